//! What one component may do: a [`Grant`], and its one decision.

use std::sync::Arc;

use super::decision::Decision;
use super::document::Verdict;
use super::error::nearest;
use super::quotas::{Detach, Quotas};
use super::remedy;
use super::rule::Rule;
use crate::command::Command;
use crate::error::{Denial, DeniedItem, SpawnError};

/// What one component may do. Nothing, unless a rule says so.
#[derive(Debug)]
pub struct Grant {
    pub(super) component: String,
    pub(super) quotas: Quotas,
    pub(super) detach: Detach,
    pub(super) rules: Vec<Arc<Rule>>,
}

impl Grant {
    /// Returns the grant that allows nothing.
    pub fn none(component: &str) -> Arc<Self> {
        Arc::new(Self {
            component: component.to_owned(),
            quotas: Quotas::default(),
            detach: Detach::default(),
            rules: Vec::new(),
        })
    }

    /// Returns the name that the host gives the component.
    pub fn component(&self) -> &str {
        &self.component
    }

    /// Returns how many children the component may have.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Returns whether and how long children may outlive their guest.
    pub fn detach(&self) -> Detach {
        self.detach
    }

    /// Decides on one request: a pure function of the request and the file system.
    ///
    /// # Errors
    ///
    /// - What [`Command::validate`] refuses.
    /// - [`SpawnError::Denied`]: no rule allows it, or one refuses it.
    /// - [`SpawnError::WorkingDirectoryNotFound`]: the working directory is none.
    /// - [`SpawnError::NotExecutable`]: the program is not what it was, and what
    ///   its path names by now cannot be executed or has another hash.
    pub fn decide(&self, command: &Command) -> Result<Decision, SpawnError> {
        command.validate()?;
        let mut refusal: Option<SpawnError> = None;
        let mut found: Option<(Verdict, Decision)> = None;
        let named = || self.rules.iter().filter(|rule| rule.name == command.program);
        for rule in named().filter(|rule| rule.verdict != Verdict::Deny) {
            match rule.plan(command).map(Box::new) {
                Ok(plan) if rule.verdict == Verdict::Ask => {
                    found = Some((Verdict::Ask, Decision::Ask(plan)));
                    break;
                }
                Ok(plan) => {
                    found.get_or_insert((Verdict::Allow, Decision::Allow(plan)));
                }
                Err(error) => refusal = Some(nearer(refusal, error)),
            }
        }
        let Some((_, decision)) = found else {
            return Err(refusal.unwrap_or_else(|| self.unknown(command).into()));
        };
        let cwd = &decision.plan().cwd.path;
        let denies = |rule: &&Arc<Rule>| {
            rule.verdict == Verdict::Deny && rule.match_args(&command.args, cwd).is_ok()
        };
        match named().find(denies) {
            Some(rule) => Err(Denial {
                nearest: Some(rule.name.clone()),
                ..Denial::new(DeniedItem::Argument, "a rule with decision = \"deny\" matches")
            }
            .into()),
            None => Ok(decision),
        }
    }

    /// Returns the refusal of a name that no rule has.
    fn unknown(&self, command: &Command) -> Denial {
        let names = self.rules.iter().map(|rule| rule.name.as_str());
        let reason = format!("{:?} is no command of {:?}", command.program, self.component);
        Denial {
            nearest: nearest(&command.program, names).map(str::to_owned),
            would_allow: Some(remedy::command(&self.component, command)),
            ..Denial::new(DeniedItem::Program, reason)
        }
    }
}

/// Of two refusals by rules of one name, returns the one of the rule that came
/// further: program, working directory, arguments, then variables.
fn nearer(earlier: Option<SpawnError>, error: SpawnError) -> SpawnError {
    fn distance(error: &SpawnError) -> u8 {
        match error {
            SpawnError::Denied(denial) => match denial.item {
                DeniedItem::WorkingDirectory => 1,
                DeniedItem::Argument => 2,
                _ => 3,
            },
            SpawnError::WorkingDirectoryNotFound => 1,
            _ => 4,
        }
    }
    match earlier {
        Some(earlier) if distance(&earlier) >= distance(&error) => earlier,
        _ => error,
    }
}

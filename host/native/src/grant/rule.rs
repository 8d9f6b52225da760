//! One command of a grant, compiled, and its decision on a request.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, open};

use super::document::Verdict;
use super::environment::Environment;
use super::matcher::{self, Mismatch};
use super::pattern::{Kind, Pattern};
use super::program::Executable;
use super::remedy;
use super::roots::{self, Root, is_under};
use super::settings::Cwd;
use crate::command::Command;
use crate::error::{Denial, DeniedItem, SpawnError};
use crate::launch::{Plan, WorkingDirectory};
use crate::limits::{CaptureCaps, Limits};
use crate::sandbox::Confinement;

/// A command with everything resolved that can be before a request.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) verdict: Verdict,
    /// None where the rule only refuses.
    pub(super) program: Option<Executable>,
    pub(super) arg0: String,
    pub(super) fixed: Vec<String>,
    pub(super) args: Vec<Pattern>,
    pub(super) environment: Environment,
    pub(super) cwd: Option<Cwd>,
    pub(super) deny: Vec<Root>,
    pub(super) limits: Limits,
    pub(super) capture: CaptureCaps,
    pub(super) confinement: Arc<Confinement>,
}

impl Rule {
    /// Returns the plan for a request of this name that this rule lets pass.
    pub(super) fn plan(&self, command: &Command) -> Result<Plan, SpawnError> {
        let cwd = self.enter(command.cwd.as_deref())?;
        self.match_args(&command.args, &cwd.path)
            .map_err(|mismatch| self.denied_argument(command, &mismatch))?;
        let env = self.environment.decide(&command.env).map_err(|name| Denial {
            nearest: Some(self.name.clone()),
            would_allow: Some(remedy::variable(name)),
            ..Denial::new(DeniedItem::Environment, format!("{name:?} is not allowed"))
        })?;
        let Some(executable) = &self.program else {
            return Err(Denial::new(DeniedItem::Program, "the rule has no program").into());
        };
        let program = executable.current()?;
        let mut limits = self.limits.clone();
        if let Some(timeout) = command.timeout {
            limits.wall = limits.wall.min(timeout);
        }
        let argv = std::iter::once(&self.arg0).chain(&self.fixed).chain(&command.args);
        Ok(Plan {
            name: self.name.clone(),
            program,
            argv: argv.cloned().collect(),
            env,
            cwd,
            limits,
            capture: self.capture,
            confinement: self.confinement.clone(),
            disclose_pid: false,
        })
    }

    /// Matches arguments against the patterns, paths as seen from `cwd`.
    pub(super) fn match_args(&self, args: &[String], cwd: &Path) -> Result<(), Mismatch> {
        matcher::matches(&self.args, args, |pattern, token| self.accepts(pattern, token, cwd))
    }

    fn accepts(&self, pattern: &Pattern, token: &str, cwd: &Path) -> bool {
        // What a refusing rule does not match, another rule may allow: it matches
        // options too.
        let plain = self.verdict == Verdict::Deny || !token.starts_with(['-', '@']);
        match &pattern.kind {
            Kind::Literal(text) => text == token,
            Kind::Any { dash } => *dash || plain,
            Kind::OneOf(texts) => texts.iter().any(|text| text == token),
            Kind::Int { least, most, prefix } => token
                .strip_prefix(prefix.as_str())
                .and_then(|digits| Some((digits, digits.parse::<i64>().ok()?)))
                // One spelling for each number: no plus, no leading zeros.
                .is_some_and(|(digits, number)| {
                    (*least..=*most).contains(&number) && number.to_string() == digits
                }),
            Kind::Path(path) => token.strip_prefix(path.prefix.as_str()).is_some_and(|rest| {
                let plain = self.verdict == Verdict::Deny || !rest.starts_with(['-', '@']);
                plain && !rest.is_empty() && self.is_inside(rest, &path.real, cwd)
            }),
            Kind::Regex(_, regex) => regex.is_match(token),
        }
    }

    fn is_inside(&self, path: &str, under: &[PathBuf], cwd: &Path) -> bool {
        roots::resolve(cwd, Path::new(path)).is_ok_and(|real| {
            under.iter().any(|root| real.starts_with(root)) && !is_under(&real, &self.deny)
        })
    }

    /// Opens the directory in which the child starts.
    pub(super) fn enter(&self, requested: Option<&str>) -> Result<WorkingDirectory, SpawnError> {
        let denied = |reason: String, path: Option<&Path>| Denial {
            nearest: Some(self.name.clone()),
            would_allow: path.map(remedy::working_directory),
            ..Denial::new(DeniedItem::WorkingDirectory, reason)
        };
        let path = match (&self.cwd, requested) {
            (None, None) => PathBuf::from("/"),
            (None, Some(path)) => {
                let reason = format!("{path:?} is asked for and the grant sets no `cwd`");
                let path = Path::new(path);
                return Err(denied(reason, Some(path).filter(|path| path.is_absolute())).into());
            }
            (Some(cwd), None) => cwd.default.real.clone(),
            (Some(cwd), Some(path)) => {
                let real = roots::resolve(&cwd.default.real, Path::new(path))
                    .map_err(|_| SpawnError::WorkingDirectoryNotFound)?;
                if !is_under(&real, &cwd.roots) || is_under(&real, &self.deny) {
                    let reason = format!("{path:?} leads outside the roots of `cwd`");
                    return Err(denied(reason, Some(&real)).into());
                }
                real
            }
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match open(&path, flags, Mode::empty()) {
            Ok(dir) => Ok(WorkingDirectory { path, dir: Arc::new(dir) }),
            Err(_) => Err(SpawnError::WorkingDirectoryNotFound),
        }
    }

    fn denied_argument(&self, command: &Command, mismatch: &Mismatch) -> Denial {
        let tried: Vec<_> =
            mismatch.tried.iter().map(|&number| self.args[number].to_string()).collect();
        let expected = match tried.is_empty() {
            true => "no further argument is allowed".to_owned(),
            false => format!("expected {}", tried.join(", or ")),
        };
        let reason = match command.args.get(mismatch.index) {
            Some(token) => format!("argument {} is {token:?}: {expected}", mismatch.index + 1),
            None => format!("after {} arguments: {expected}", mismatch.index),
        };
        Denial {
            nearest: Some(self.name.clone()),
            would_allow: Some(remedy::arguments(&command.args)),
            ..Denial::new(DeniedItem::Argument, reason)
        }
    }
}

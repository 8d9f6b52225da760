//! What one component may do: a [`Grant`], and its one decision.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::decision::Decision;
use super::file::document::Verdict;
use super::file::nearest::nearest;
use super::quotas::{Detach, Quotas};
use super::rule::command::Rule;
use super::rule::executable::Executable;
use super::{intersect, suggestion};
use crate::command::Command;
use crate::confinement::Confinement;
use crate::error::{Denial, DeniedItem, SpawnError};
use crate::launch::{Plan, WorkingDirectory};

/// What one component may do. Nothing, unless a rule says so.
#[derive(Debug, Clone)]
pub struct Grant {
    pub(super) component: String,
    pub(super) quotas: Quotas,
    pub(super) detach: Detach,
    pub(super) rules: Vec<Arc<Rule>>,
    /// Further keys, each of which must allow a request too.
    pub(super) also: Vec<Arc<Grant>>,
    pub(super) advice: Vec<String>,
}

/// One command of a grant, in words.
#[derive(Debug, Clone)]
pub struct CommandSummary {
    /// What the guest asks for.
    pub name: String,
    /// Line and column in the grant's text.
    pub place: Option<(usize, usize)>,
    /// The program, as the grant names it; none for any program, or for a command
    /// that is only refused.
    pub program: Option<PathBuf>,
    /// The arguments before the guest's.
    pub fixed: Vec<String>,
    /// What the guest's arguments must be, one fragment for each pattern.
    pub args: Vec<String>,
    /// `allow`, `ask` or `deny`.
    pub decision: &'static str,
    /// What the child is confined to.
    pub confinement: Arc<Confinement>,
}

/// A request that is not refused.
#[derive(Debug)]
pub(super) struct Passed {
    pub(super) rule: Arc<Rule>,
    /// Never [`Verdict::Deny`].
    pub(super) verdict: Verdict,
    pub(super) plan: Box<Plan>,
    /// The files that the plan starts.
    pub(super) executable: Executable,
}

impl Grant {
    /// Returns the grant that allows nothing.
    pub fn none(component: &str) -> Arc<Self> {
        Arc::new(Self {
            component: component.to_owned(),
            quotas: Quotas::default(),
            detach: Detach::default(),
            rules: Vec::new(),
            also: Vec::new(),
            advice: Vec::new(),
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

    /// Returns the commands, in the order of the file, for showing them; what
    /// further keys say to them is not in it.
    pub fn commands(&self) -> impl Iterator<Item = CommandSummary> {
        self.rules.iter().map(|rule| CommandSummary {
            name: rule.name.clone(),
            place: rule.place,
            program: rule.program_path().map(Path::to_owned),
            fixed: rule.fixed.clone(),
            args: rule.args.iter().map(ToString::to_string).collect(),
            decision: rule.verdict.word(),
            confinement: rule.confinement.clone(),
        })
    }

    /// Returns what is no error and still not what one may think, as lines for
    /// the operator: a command without a sandbox, one that its sandbox stops.
    pub fn advice(&self) -> &[String] {
        &self.advice
    }

    /// Returns the grant that allows what this one and `other` both allow, with
    /// the stricter limit of each kind.
    ///
    /// Two keys: this one is the operator's and `other` a component's own
    /// manifest. Program, arguments, environment and starting directory are this
    /// one's; `other` can only narrow.
    #[must_use]
    pub fn intersect(&self, other: &Arc<Self>) -> Arc<Self> {
        let mut both = self.clone();
        both.quotas = self.quotas.stricter(other.quotas);
        both.detach = self.detach.stricter(other.detach);
        both.also.push(other.clone());
        Arc::new(both)
    }

    /// Decides on one request: a pure function of the request and the file system.
    ///
    /// # Errors
    ///
    /// - What [`Command::validate`] refuses.
    /// - [`SpawnError::Denied`]: no rule allows it, or one refuses it.
    /// - [`SpawnError::WorkingDirectoryNotFound`]: the working directory is none.
    /// - [`SpawnError::Quota`] or [`SpawnError::OutOfMemory`]: the host lacks the
    ///   descriptors or the memory to look.
    /// - [`SpawnError::NotExecutable`]: the program is not what it was, and what
    ///   its path names by now cannot be executed or has another hash.
    ///   Or what the guest names itself is no executable file.
    /// - [`SpawnError::NoEntry`]: the program's path names nothing any more, or what
    ///   the guest names itself is not in the child's file system, in which it may
    ///   look. What lies outside is refused, whether it exists or not.
    pub fn decide(&self, command: &Command) -> Result<Decision, SpawnError> {
        let passed = self.pass(command)?;
        Ok(match passed.verdict {
            Verdict::Allow => Decision::Allow(passed.plan),
            _ => Decision::Ask(passed.plan),
        })
    }

    /// Returns the same grant under the name that the host gives the component.
    pub(super) fn renamed(&self, component: &str) -> Self {
        Self {
            component: component.to_owned(),
            ..self.clone()
        }
    }

    /// Decides, and says by which rule.
    pub(super) fn pass(&self, command: &Command) -> Result<Passed, SpawnError> {
        command.validate()?;
        self.pass_in(command, None)
    }

    fn pass_in(
        &self,
        command: &Command,
        entered: Option<&WorkingDirectory>,
    ) -> Result<Passed, SpawnError> {
        let mut passed = self.strictest(command, entered)?;
        for other in &self.also {
            let theirs = other.pass_in(command, Some(&passed.plan.cwd))?;
            intersect::narrow(&mut passed, &theirs)?;
        }
        Ok(passed)
    }

    /// Decides by the rules of this key alone. Of several rules that match, one
    /// that refuses wins over one that asks, and that over one that allows.
    fn strictest(
        &self,
        command: &Command,
        entered: Option<&WorkingDirectory>,
    ) -> Result<Passed, SpawnError> {
        let mut refusal: Option<SpawnError> = None;
        let mut found: Option<Passed> = None;
        for rule in self
            .named(&command.program)
            .filter(|rule| rule.verdict != Verdict::Deny)
        {
            let verdict = rule.verdict;
            if found.as_ref().is_some_and(|found| found.verdict >= verdict) {
                continue;
            }
            match rule.plan(command, entered) {
                Ok((plan, executable)) => {
                    found = Some(Passed {
                        rule: rule.clone(),
                        verdict,
                        plan: Box::new(plan),
                        executable,
                    });
                }
                Err(error) => refusal = Some(nearer(refusal, error)),
            }
        }
        let Some(found) = found else {
            return Err(refusal.unwrap_or_else(|| self.unknown(command).into()));
        };
        // Any rule that refuses is asked as if the child were where it will be.
        let refuses = |rule: &&Arc<Rule>| {
            rule.verdict == Verdict::Deny
                && rule.match_args(&command.args, &found.plan.cwd.path).is_ok()
        };
        match self.named(&command.program).find(refuses) {
            Some(rule) => Err(Denial {
                nearest: Some(rule.name.clone()),
                ..Denial::new(
                    DeniedItem::Argument,
                    "a rule with decision = \"deny\" matches",
                )
            }
            .into()),
            None => Ok(found),
        }
    }

    /// Returns the rules of a name; failing those, the rules of any program.
    fn named(&self, name: &str) -> impl Iterator<Item = &Arc<Rule>> {
        let known = self.rules.iter().any(|rule| rule.name == name);
        let name = if known { name } else { "*" };
        self.rules.iter().filter(move |rule| rule.name == name)
    }

    /// Returns the refusal of a name that no rule has.
    fn unknown(&self, command: &Command) -> Denial {
        let names = self.rules.iter().map(|rule| rule.name.as_str());
        let asked = suggestion::shown(&command.program);
        let reason = format!("{asked} is no command of {:?}", self.component);
        Denial {
            nearest: nearest(&command.program, names).map(str::to_owned),
            would_allow: suggestion::command(&self.component, command),
            ..Denial::new(DeniedItem::Program, reason)
        }
    }
}

/// Of two refusals by rules of one name, returns the one of the rule that came
/// further: working directory, arguments, variables, then the program.
fn nearer(earlier: Option<SpawnError>, error: SpawnError) -> SpawnError {
    fn distance(error: &SpawnError) -> u8 {
        match error {
            SpawnError::WorkingDirectoryNotFound => 1,
            SpawnError::Denied(denial) => match denial.item {
                DeniedItem::WorkingDirectory => 1,
                DeniedItem::Argument => 2,
                _ => 3,
            },
            _ => 4,
        }
    }
    match earlier {
        Some(earlier) if distance(&earlier) >= distance(&error) => earlier,
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confinement::{Network, Sandbox};
    use crate::grant::testing::{allowed, component, denied, echo, request};

    #[test]
    fn no_rule_is_no_permission() {
        let grant = Grant::none("c");
        let denial = denied(&grant, &request(&[]));
        assert_eq!((denial.item, denial.nearest), (DeniedItem::Program, None));
    }

    #[test]
    fn an_unknown_name_is_told_the_nearest() {
        let grant = component(&echo(""));
        allowed(&grant, &request(&[]));
        let summary = grant.commands().next().expect("there is one");
        assert_eq!((summary.name.as_str(), summary.decision), ("echo", "allow"));
        assert_eq!(summary.program.as_deref(), Some(Path::new("/bin/echo")));
        let denial = denied(&grant, &Command::new("ecko"));
        assert_eq!(denial.nearest.as_deref(), Some("echo"));
        assert!(
            denial
                .would_allow
                .is_some_and(|line| line.contains("name = \"ecko\""))
        );
        // A path is no name.
        denied(&grant, &Command::new("/bin/echo"));
    }

    #[test]
    fn what_no_grant_can_allow_is_invalid() {
        let grant = component(&echo("args = [\"*\"]"));
        let result = grant.decide(&request(&["a\0b"]));
        assert!(matches!(result, Err(SpawnError::InvalidArgument(_))));
    }

    #[test]
    fn of_several_rules_the_strictest_wins() {
        let grant = component(
            &[
                echo("args = [\"**\"]"),
                echo("args = [\"push\", \"*\"]\ndecision = \"ask\""),
                echo("args = [\"push\", \"prod\", \"**\"]\ndecision = \"deny\""),
                echo("args = [\"gc\", { literal = \"--prune\" }]"),
            ]
            .concat(),
        );
        allowed(&grant, &request(&["log"]));
        allowed(&grant, &request(&["gc", "--prune"]));
        let asks = grant.decide(&request(&["push", "test"]));
        assert!(matches!(asks, Ok(Decision::Ask(_))), "{asks:?}");
        assert_eq!(
            denied(&grant, &request(&["push", "prod"])).item,
            DeniedItem::Argument
        );
        denied(&grant, &request(&["push", "--prod"]));
    }

    #[test]
    fn a_rule_that_refuses_matches_options_too() {
        let grant = component(
            &[
                echo("args = [{ rest = true, allow-dash = true }]"),
                echo("args = [\"push\", \"**\"]\ndecision = \"deny\""),
            ]
            .concat(),
        );
        allowed(&grant, &request(&["--push"]));
        denied(&grant, &request(&["push", "--force"]));
    }

    #[test]
    fn two_keys_both_allow_and_the_stricter_limit_holds() {
        let operator = component(&format!(
            "[component.c]\nmax-live = 4\nrate = \"20/min\"\nnetwork = \"host\"\n{}{}",
            echo("args = [\"*\"]\nlimits = { wall = \"9s\", cpu = \"1s\" }"),
            echo("args = [\"secret\"]").replace("\"echo\"", "\"other\""),
        ));
        let manifest = component(&format!(
            "[component.c]\nmax-live = 9\nrate = \"1/s\"\nsandbox = \"none\"\nfs = {{ read = [\"/etc\"] }}\n{}",
            echo("args = [{ one-of = [\"a\", \"-b\"] }]\nlimits = { wall = \"5s\", cpu = \"2s\" }"),
        ));
        let both = operator.intersect(&manifest);
        assert_eq!(both.quotas().max_live, 4);
        assert_eq!(both.quotas().rate.map(|rate| rate.count), Some(20));
        let plan = allowed(&both, &request(&["a"]));
        assert_eq!(plan.limits.wall.as_secs(), 5);
        assert_eq!(plan.limits.cpu.map(|cpu| cpu.as_secs()), Some(1));
        assert_eq!(plan.confinement.sandbox, Sandbox::Required);
        assert_eq!(plan.confinement.network, Network::None);
        assert!(!plan.confinement.fs.read.contains(&"/etc".into()));
        assert!(plan.confinement.fs.read.contains(&"/usr".into()));
        // One key alone allows these.
        denied(&both, &request(&["c"]));
        denied(&both, &request(&["-b"]));
        denied(&both, &Command::new("other").arg("secret"));
    }

    #[test]
    fn two_keys_both_disclose_a_pid() {
        let quiet = component(&echo(""));
        let telling = component(&echo("disclose-pid = true"));
        let discloses =
            |one: &Arc<Grant>, two| allowed(&one.intersect(two), &request(&[])).disclose_pid;
        assert!(discloses(&telling, &telling));
        assert!(!discloses(&telling, &quiet) && !discloses(&quiet, &telling));
    }

    #[test]
    fn two_keys_must_mean_the_same_program_and_directory() {
        let echo_it = component(&echo(""));
        let cat_it = component(&echo("").replace("/bin/echo", "/bin/cat"));
        let denial = denied(&echo_it.intersect(&cat_it), &request(&[]));
        assert_eq!(denial.item, DeniedItem::Program);
        allowed(&echo_it.intersect(&echo_it), &request(&[]));
        let in_usr = component(&echo("cwd = { roots = [\"/usr\"] }"));
        let in_bin = component(&echo("cwd = { roots = [\"/usr/bin\"] }"));
        allowed(&in_bin.intersect(&in_usr), &request(&[]));
        let denial = denied(&in_usr.intersect(&in_bin), &request(&[]));
        assert_eq!(denial.item, DeniedItem::WorkingDirectory);
        let fixed = component(&echo("fixed = [\"x\"]"));
        denied(&echo_it.intersect(&fixed), &request(&[]));
        allowed(&fixed.intersect(&echo_it), &request(&[]));
    }
}

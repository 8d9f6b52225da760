//! A decision in words, by the code that decides.

use std::fmt::{self, Display};

use super::component::Grant;
use super::decision::Decision;
use super::file::document::Verdict;
use crate::command::Command;
use crate::confinement::{FsRoot, Network, Sandbox};
use crate::error::SpawnError;

/// Why a request is allowed or refused.
///
/// Displayed as lines for a terminal; strings of the guest are quoted and
/// escaped.
#[derive(Debug)]
pub struct Explanation {
    /// The component that asks.
    pub component: String,
    /// The command that it asks for.
    pub command: String,
    /// The rule that decided, as line and column of the grant's text; none for a
    /// refusal by all rules, or for a grant without a text.
    pub place: Option<(usize, usize)>,
    /// What [`Grant::decide`] answers.
    pub outcome: Result<Decision, SpawnError>,
}

impl Grant {
    /// Decides on one request and says why. It runs the same code as
    /// [`Grant::decide`] and starts nothing.
    pub fn explain(&self, command: &Command) -> Explanation {
        let passed = self.pass(command);
        let place = passed.as_ref().ok().and_then(|passed| passed.rule.place);
        let outcome = passed.map(|passed| match passed.verdict {
            Verdict::Allow => Decision::Allow(passed.plan),
            _ => Decision::Ask(passed.plan),
        });
        Explanation {
            component: self.component().to_owned(),
            command: command.program.clone(),
            place,
            outcome,
        }
    }
}

impl Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decision = match &self.outcome {
            Ok(decision) => decision,
            Err(SpawnError::Denied(denial)) => {
                writeln!(f, "decision   deny")?;
                writeln!(f, "refused    {}: {}", denial.item, denial.reason)?;
                if let Some(nearest) = &denial.nearest {
                    writeln!(f, "nearest    {nearest:?}")?;
                }
                if let Some(line) = &denial.would_allow {
                    writeln!(f, "allowed by {line}")?;
                }
                return Ok(());
            }
            Err(error) => return writeln!(f, "decision   deny\nrefused    {error}"),
        };
        let word = match decision {
            Decision::Allow(_) => "allow",
            Decision::Ask(_) => "ask",
        };
        let plan = decision.plan();
        writeln!(f, "decision   {word}")?;
        match self.place {
            Some((line, column)) => writeln!(f, "rule       {:?} at {line}:{column}", plan.name)?,
            None => writeln!(f, "rule       {:?}", plan.name)?,
        }
        writeln!(f, "program    {:?}", plan.program.path)?;
        writeln!(f, "arguments  {:?}", plan.argv)?;
        for (name, value) in &plan.env {
            writeln!(f, "env        {name}={value:?}")?;
        }
        writeln!(f, "cwd        {:?}", plan.cwd.path)?;
        if !plan.cwd.named {
            writeln!(f, "           or a private /tmp where the sandbox has one")?;
        }
        let limits = &plan.limits;
        writeln!(f, "wall       {:?}", limits.wall)?;
        if let Some(cpu) = limits.cpu {
            writeln!(f, "cpu        {cpu:?}")?;
        }
        let numbers = [
            ("memory", limits.memory_bytes, " bytes"),
            ("processes", limits.processes, ""),
            ("open-files", limits.open_files, ""),
            ("file-size", limits.file_size_bytes, " bytes"),
            (
                "tmpfs",
                Some(limits.tmpfs_bytes),
                " bytes in a private /tmp",
            ),
            ("output", limits.output_bytes, " bytes"),
            ("stdout", Some(plan.capture.stdout_bytes), " bytes kept"),
            ("stderr", Some(plan.capture.stderr_bytes), " bytes kept"),
        ];
        for (name, number, unit) in numbers {
            if let Some(number) = number {
                writeln!(f, "{name:<10} {number}{unit}")?;
            }
        }
        let confinement = &plan.confinement;
        writeln!(f, "sandbox    {}", sandbox_word(confinement.sandbox))?;
        writeln!(f, "network    {}", network_word(confinement.network))?;
        if plan.disclose_pid {
            writeln!(f, "pid        the guest sees it")?;
        }
        let lists = [
            ("read", &confinement.fs.read),
            ("write", &confinement.fs.write),
            ("deny", &confinement.fs.deny),
        ];
        for (name, list) in lists {
            writeln!(f, "{name:<10} {}", list_words(list))?;
        }
        Ok(())
    }
}

fn sandbox_word(sandbox: Sandbox) -> &'static str {
    match sandbox {
        Sandbox::Required => "required",
        Sandbox::BestEffort => "best-effort",
        Sandbox::None => "none",
    }
}

fn network_word(network: Network) -> &'static str {
    match network {
        Network::None => "none",
        Network::Loopback => "loopback",
        Network::Host => "host",
    }
}

fn list_words(list: &[FsRoot]) -> String {
    if list.is_empty() {
        return "-".to_owned();
    }
    let words: Vec<_> = list.iter().map(|path| format!("{path:?}")).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use crate::grant::testing::{component, echo, request};

    #[test]
    fn an_explanation_is_the_decision() {
        let grant = component(&echo("args = [\"a\"]"));
        let allowed = grant.explain(&request(&["a"]));
        assert_eq!(allowed.place, Some((2, 1)));
        let shown = allowed.to_string();
        for line in [
            "decision   allow",
            "rule       \"echo\" at 2:1",
            "program    \"/bin/echo\"",
        ] {
            assert!(shown.contains(line), "{shown}");
        }
        assert!(!shown.contains("pid"), "{shown}");
        let disclosing = component(&echo("disclose-pid = true"));
        let shown = disclosing.explain(&request(&[])).to_string();
        assert!(shown.contains("pid        the guest sees it"), "{shown}");
        let denied = grant.explain(&request(&["\u{1b}[2J"])).to_string();
        assert!(
            denied.starts_with("decision   deny\nrefused    argument"),
            "{denied}"
        );
        assert!(denied.contains("allowed by args = ["), "{denied}");
        assert!(
            !denied.contains('\u{1b}'),
            "what a guest says does not reach the terminal raw"
        );
    }
}

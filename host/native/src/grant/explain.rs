//! A decision in words, by the code that decides.

mod facts;

use std::fmt::{self, Display};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use self::facts::Fact;
use super::component::Grant;
use super::decision::Decision;
use crate::command::Command;
use crate::error::SpawnError;

/// Why a request is allowed or refused.
///
/// Displayed as lines for a terminal, with the guest's strings quoted and escaped.
/// Serialized as one object for programs.
#[derive(Debug)]
pub struct Explanation {
    /// The component that sends the request.
    pub component: String,
    /// The name of the command that it requests.
    pub command: String,
    /// Line and column in the grant's text of the rule that decided; none if no rule
    /// allows the request, or for a grant without a text.
    pub place: Option<(usize, usize)>,
    /// Whether the guest may provide standard input; false if the request is refused.
    pub allows_stdin: bool,
    /// The result of [`Grant::decide`].
    pub outcome: Result<Decision, SpawnError>,
}

impl Grant {
    /// Decides on one request and explains the decision. This runs the code of
    /// [`Grant::decide`] and starts nothing.
    pub fn explain(&self, command: &Command) -> Explanation {
        let passed = self.pass(command);
        let of_rule = passed.as_ref().ok();
        Explanation {
            component: self.component().to_owned(),
            command: command.program.clone(),
            place: of_rule.and_then(|passed| passed.rule.place),
            allows_stdin: of_rule.is_some_and(|passed| passed.allows_stdin),
            outcome: passed.map(Decision::from),
        }
    }
}

impl Explanation {
    /// Returns every fact, in the order of the lines.
    fn facts(&self) -> Vec<Fact> {
        let mut facts = vec![
            Fact::entry("component", json!(self.component)),
            Fact::entry("command", json!(self.command)),
        ];
        let mut decision = |word| facts.push(Fact::new("decision", word, "decision", json!(word)));
        match &self.outcome {
            Ok(outcome) => {
                decision(match outcome {
                    Decision::Allow(_) => "allow",
                    Decision::Ask(_) => "ask",
                });
                facts::planned(outcome.plan(), self.place, self.allows_stdin, &mut facts);
            }
            Err(error) => {
                decision("deny");
                facts::refused(error, &mut facts);
            }
        }
        facts
    }
}

impl Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.facts().into_iter().filter_map(|fact| fact.line);
        lines.try_for_each(|(label, text)| writeln!(f, "{label:<10} {text}"))
    }
}

impl Serialize for Explanation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = Value::Object(Map::new());
        for (key, value) in self.facts().into_iter().filter_map(|fact| fact.entry) {
            let place = key
                .split('.')
                .fold(&mut object, |place, part| &mut place[part]);
            *place = value;
        }
        object.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert!(
            !shown.contains("pid") && !shown.contains("stdin"),
            "{shown}"
        );
        let disclosing = component(&echo("disclose-pid = true"));
        let shown = disclosing.explain(&request(&[])).to_string();
        assert!(shown.contains("pid        the guest can see it"), "{shown}");
        let without_stdin = component(&echo("stdin = false"));
        let shown = without_stdin.explain(&request(&[])).to_string();
        let expected = "stdin      the guest cannot provide it";
        assert!(shown.contains(expected), "{shown}");
        let denied = grant.explain(&request(&["\u{1b}[2J"])).to_string();
        assert!(
            denied.starts_with("decision   deny\nrefused    argument"),
            "{denied}"
        );
        assert!(denied.contains("allowed by args = ["), "{denied}");
        assert!(
            !denied.contains('\u{1b}'),
            "a guest's string reaches the terminal escaped"
        );
    }

    #[test]
    fn a_path_that_is_not_utf_8_can_be_explained() {
        use std::os::unix::ffi::OsStrExt;

        let folder = tempfile::tempdir().expect("a temporary folder");
        let odd = folder.path().join(std::ffi::OsStr::from_bytes(b"a\xff"));
        std::fs::create_dir(&odd).expect("an empty folder");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&odd, &link).expect("the folder is ours");
        let explanation = component(&echo(&format!("cwd = {{ default = {link:?} }}")));
        let explanation = explanation.explain(&request(&[]));
        assert!(explanation.to_string().contains("cwd"));
        let cwd = json!(explanation)["cwd"].to_string();
        assert!(cwd.contains("a\u{fffd}"), "{cwd}");
    }

    #[test]
    fn a_serialized_explanation_has_the_facts_of_the_displayed_one() {
        let grant = component(&echo("args = [\"a\"]\nlimits = { cpu = \"unlimited\" }"));
        let allowed = json!(grant.explain(&request(&["a"])));
        assert_eq!(allowed["decision"], "allow");
        assert_eq!(allowed["rule"], json!({ "line": 2, "column": 1 }));
        assert_eq!(allowed["argv"], json!(["/bin/echo", "a"]));
        assert_eq!(allowed["env"]["LANG"], "C.UTF-8");
        assert_eq!(allowed["limits"]["wall_seconds"], 30.0);
        assert_eq!(allowed["limits"].get("cpu_seconds"), Some(&Value::Null));
        assert_eq!(
            (&allowed["sandbox"], &allowed["network"]),
            (&json!("required"), &json!("none"))
        );
        assert_eq!(allowed["fs"]["write"], json!([]));
        assert_eq!(allowed["stdin"], true);
        let denied = json!(grant.explain(&request(&[])));
        assert_eq!(denied["decision"], "deny");
        assert_eq!(
            (&denied["component"], &denied["command"]),
            (&json!("c"), &json!("echo"))
        );
        assert_eq!(
            (&denied["item"], &denied["nearest"]),
            (&json!("argument"), &json!("echo"))
        );
        assert_eq!(denied.get("argv"), None);
    }
}

//! A decision in words, by the code that decides.

use std::fmt::{self, Display};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::component::Grant;
use super::decision::Decision;
use crate::command::Command;
use crate::confinement::FsRoot;
use crate::error::SpawnError;
use crate::launch::Plan;

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

/// One fact of an explanation, for people, for programs, or for both.
struct Field {
    /// The label and the text of a line.
    line: Option<(&'static str, String)>,
    /// The path of a value in the object, with dots, and the value.
    entry: Option<(&'static str, Value)>,
}

impl Field {
    fn new(label: &'static str, text: impl ToString, key: &'static str, value: Value) -> Self {
        Self {
            line: Some((label, text.to_string())),
            entry: Some((key, value)),
        }
    }

    fn line(label: &'static str, text: impl ToString) -> Self {
        Self {
            line: Some((label, text.to_string())),
            entry: None,
        }
    }

    fn entry(key: &'static str, value: Value) -> Self {
        Self {
            line: None,
            entry: Some((key, value)),
        }
    }

    /// A fact without a line where `text` is none.
    fn optional(
        label: &'static str,
        text: Option<String>,
        key: &'static str,
        value: Value,
    ) -> Self {
        Self {
            line: text.map(|text| (label, text)),
            entry: Some((key, value)),
        }
    }
}

impl Explanation {
    /// Returns every fact, in the order of the lines.
    fn fields(&self) -> Vec<Field> {
        let mut fields = vec![
            Field::entry("component", json!(self.component)),
            Field::entry("command", json!(self.command)),
        ];
        let mut decision =
            |word| fields.push(Field::new("decision", word, "decision", json!(word)));
        match &self.outcome {
            Ok(outcome) => {
                decision(match outcome {
                    Decision::Allow(_) => "allow",
                    Decision::Ask(_) => "ask",
                });
                self.rule(outcome.plan(), &mut fields);
                started(outcome.plan(), &mut fields);
                limits(outcome.plan(), &mut fields);
                self.confinement(outcome.plan(), &mut fields);
            }
            Err(error) => {
                decision("deny");
                refused(error, &mut fields);
            }
        }
        fields
    }

    fn rule(&self, plan: &Plan, fields: &mut Vec<Field>) {
        fields.push(match self.place {
            Some((line, column)) => Field::new(
                "rule",
                format!("{:?} at {line}:{column}", plan.name),
                "rule",
                json!({ "line": line, "column": column }),
            ),
            None => Field::line("rule", format!("{:?}", plan.name)),
        });
    }

    fn confinement(&self, plan: &Plan, fields: &mut Vec<Field>) {
        let confinement = &plan.confinement;
        let (sandbox, network) = (confinement.sandbox.name(), confinement.network.name());
        fields.push(Field::new("sandbox", sandbox, "sandbox", json!(sandbox)));
        fields.push(Field::new("network", network, "network", json!(network)));
        let pid = plan.disclose_pid.then(|| "the guest can see it".to_owned());
        fields.push(Field::optional(
            "pid",
            pid,
            "disclose_pid",
            json!(plan.disclose_pid),
        ));
        let stdin = (!self.allows_stdin).then(|| "the guest cannot provide it".to_owned());
        fields.push(Field::optional(
            "stdin",
            stdin,
            "stdin",
            json!(self.allows_stdin),
        ));
        let lists = [
            ("read", "fs.read", &confinement.fs.read),
            ("write", "fs.write", &confinement.fs.write),
            ("deny", "fs.deny", &confinement.fs.deny),
        ];
        for (label, key, list) in lists {
            let written: Vec<_> = list.iter().map(|root| root.written.as_path()).collect();
            fields.push(Field::new(label, words(list), key, json!(written)));
        }
    }
}

fn refused(error: &SpawnError, fields: &mut Vec<Field>) {
    let SpawnError::Denied(denial) = error else {
        fields.push(Field::new(
            "refused",
            error,
            "reason",
            json!(error.to_string()),
        ));
        return;
    };
    fields.push(Field::entry("item", json!(denial.item.to_string())));
    let shown = format!("{}: {}", denial.item, denial.reason);
    fields.push(Field::new("refused", shown, "reason", json!(denial.reason)));
    let nearest = denial.nearest.as_ref().map(|name| format!("{name:?}"));
    fields.push(Field::optional(
        "nearest",
        nearest,
        "nearest",
        json!(denial.nearest),
    ));
    let line = denial.would_allow.clone();
    fields.push(Field::optional(
        "allowed by",
        line,
        "would_allow",
        json!(denial.would_allow),
    ));
}

/// What is started, and where.
fn started(plan: &Plan, fields: &mut Vec<Field>) {
    let program = &plan.program.path;
    fields.push(Field::new(
        "program",
        format!("{program:?}"),
        "program",
        json!(program),
    ));
    fields.push(Field::new(
        "arguments",
        format!("{:?}", plan.argv),
        "argv",
        json!(plan.argv),
    ));
    for (name, value) in &plan.env {
        fields.push(Field::line("env", format!("{name}={value:?}")));
    }
    let env: Map<_, _> = plan
        .env
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    fields.push(Field::entry("env", json!(env)));
    let cwd = &plan.cwd.path;
    fields.push(Field::new("cwd", format!("{cwd:?}"), "cwd", json!(cwd)));
    if !plan.cwd.named {
        fields.push(Field::line(
            "",
            "or a private /tmp where the sandbox has one",
        ));
    }
}

fn limits(plan: &Plan, fields: &mut Vec<Field>) {
    let (limits, capture) = (&plan.limits, &plan.capture);
    let times = [
        ("wall", "limits.wall_seconds", Some(limits.wall)),
        ("cpu", "limits.cpu_seconds", limits.cpu),
    ];
    for (label, key, time) in times {
        let text = time.map(|time| format!("{time:?}"));
        fields.push(Field::optional(
            label,
            text,
            key,
            json!(time.map(|it| it.as_secs_f64())),
        ));
    }
    let (tmpfs, stdout, stderr) = (
        limits.tmpfs_bytes,
        capture.stdout_bytes,
        capture.stderr_bytes,
    );
    let numbers = [
        (
            "memory",
            " bytes",
            "limits.memory_bytes",
            limits.memory_bytes,
        ),
        ("processes", "", "limits.processes", limits.processes),
        ("open-files", "", "limits.open_files", limits.open_files),
        (
            "file-size",
            " bytes",
            "limits.file_size_bytes",
            limits.file_size_bytes,
        ),
        (
            "tmpfs",
            " bytes in a private /tmp",
            "limits.tmpfs_bytes",
            Some(tmpfs),
        ),
        (
            "output",
            " bytes",
            "limits.output_bytes",
            limits.output_bytes,
        ),
        ("stdout", " bytes kept", "limits.stdout_bytes", Some(stdout)),
        ("stderr", " bytes kept", "limits.stderr_bytes", Some(stderr)),
    ];
    for (label, unit, key, number) in numbers {
        let text = number.map(|number| format!("{number}{unit}"));
        fields.push(Field::optional(label, text, key, json!(number)));
    }
}

fn words(list: &[FsRoot]) -> String {
    if list.is_empty() {
        return "-".to_owned();
    }
    let words: Vec<_> = list.iter().map(|path| format!("{path:?}")).collect();
    words.join(" ")
}

impl Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.fields().into_iter().filter_map(|field| field.line);
        lines.try_for_each(|(label, text)| writeln!(f, "{label:<10} {text}"))
    }
}

impl Serialize for Explanation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = Value::Object(Map::new());
        for (key, value) in self.fields().into_iter().filter_map(|field| field.entry) {
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

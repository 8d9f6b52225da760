//! A pattern as a grant writes it: for a line that the operator can copy.

use std::fmt::Write as _;

use crate::grant::file::pattern::{Pattern, PatternKind};
use crate::grant::suggestion::{argument, quoted};

/// Returns the TOML of a pattern; none if it is longer than any suggestion.
pub(super) fn written(pattern: &Pattern) -> Option<String> {
    let is_rest = pattern.min == 0 && pattern.max == usize::MAX;
    let mut keys = match &pattern.kind {
        PatternKind::Any { dash: true } if is_rest => "rest = true, allow-dash = true".to_owned(),
        PatternKind::Any { dash: false } if is_rest => return Some("\"**\"".to_owned()),
        PatternKind::Any { dash: true } => "any = true, allow-dash = true".to_owned(),
        PatternKind::Any { dash: false } => "any = true".to_owned(),
        PatternKind::Literal(text) if pattern.min == 1 && pattern.max == 1 => {
            return argument(text);
        }
        PatternKind::Literal(text) => format!("literal = {}", quoted(text)?),
        PatternKind::OneOf(texts) => format!("one-of = [{}]", list(texts)?),
        PatternKind::Int { min, max, prefix } => {
            format!("int = [{min}, {max}]{}", with_prefix(prefix)?)
        }
        PatternKind::Path(path) => {
            let under: Vec<_> = path.under.iter().map(|text| &text.value).collect();
            let access = if path.write {
                ", access = \"write\""
            } else {
                ""
            };
            let prefix = with_prefix(&path.prefix)?;
            format!("path = {{ under = [{}]{access} }}{prefix}", list(&under)?)
        }
        PatternKind::Regex(regex) => {
            let dash = if regex.dash {
                ", allow-dash = true"
            } else {
                ""
            };
            format!("re = {}{dash}", quoted(&regex.text)?)
        }
    };
    let is_any_rest = is_rest && matches!(pattern.kind, PatternKind::Any { .. });
    // Writing to a string cannot fail.
    let _ = match (pattern.min, pattern.max) {
        _ if is_any_rest => Ok(()),
        (1, 1) => Ok(()),
        (0, 1) => write!(keys, ", optional = true"),
        (min, usize::MAX) => write!(keys, ", repeat = \"{min}..\""),
        (min, max) => write!(keys, ", repeat = \"{min}..{max}\""),
    };
    match keys.as_str() {
        "any = true" => Some("\"*\"".to_owned()),
        _ => Some(format!("{{ {keys} }}")),
    }
}

fn list<S: AsRef<str>>(texts: &[S]) -> Option<String> {
    let quoted: Option<Vec<_>> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    Some(quoted?.join(", "))
}

fn with_prefix(prefix: &str) -> Option<String> {
    match prefix {
        "" => Some(String::new()),
        _ => Some(format!(", prefix = {}", quoted(prefix)?)),
    }
}

#[cfg(test)]
mod tests {
    use crate::grant::suggestion::patterns;
    use crate::grant::testing::{allowed, component, denied, echo, request};

    use super::*;

    /// The patterns of a command, written again.
    fn again(args: &str) -> String {
        let grant = component(&echo(&format!("args = {args}")));
        let rule = grant.rules().next().expect("there is one");
        patterns(rule.args.iter().map(written)).expect("it is short")
    }

    #[test]
    fn a_pattern_is_written_as_it_was_read() {
        let args = concat!(
            r#"["a\"b", { literal = "*" }, { literal = "a", repeat = "1..3" }, "*", "#,
            r#"{ any = true, allow-dash = true, optional = true }, { one-of = ["a", "b"], repeat = "0.." }, "#,
            r#"{ int = [1, 5], prefix = "-n" }, { path = { under = ["/usr"] }, prefix = "--f=" }, "#,
            r#"{ re = "\\d+", allow-dash = true }, "**"]"#
        );
        assert_eq!(again(args), format!("args = {args}"));
        assert_eq!(
            again("[{ rest = true, allow-dash = true }]"),
            "args = [{ rest = true, allow-dash = true }]"
        );
    }

    #[test]
    fn the_remedy_for_an_option_names_allow_dash_and_works() {
        for (args, request_args) in [
            (r#"["log", "*"]"#, &["log", "-x"][..]),
            (r#"["log", "**"]"#, &["log", "a", "-x", "@y"]),
            (
                r#"[{ re = "[-a-z]+", repeat = "1..3" }, "end"]"#,
                &["-x", "a", "end"],
            ),
            (r#"["*", { int = [1, 3] }, "*"]"#, &["-a", "2", "-b"]),
        ] {
            let grant = component(&echo(&format!("args = {args}")));
            let request = request(request_args);
            let line = denied(&grant, &request)
                .would_allow
                .expect("there is a remedy");
            allowed(&component(&echo(&line)), &request);
            let (_, wider) = line
                .split_once(" # or for any such argument: ")
                .expect("there is another");
            assert!(wider.contains("allow-dash = true"), "{line}");
            allowed(&component(&echo(wider)), &request);
        }
        // Where allow-dash would not help, the remedy lists the arguments.
        let grant = component(&echo(r#"args = ["log", "*"]"#));
        let line = denied(&grant, &request(&["log", "-x", "-y"])).would_allow;
        assert_eq!(line.as_deref(), Some(r#"args = ["log", "-x", "-y"]"#));
    }
}

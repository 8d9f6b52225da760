//! The line of a grant that would allow a refused request.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::command::Command;
use crate::escape::{self, is_hidden};

/// The longest suggestion, in bytes. A guest may send a mebibyte of arguments, which does
/// not belong in a log.
const MAX_LINE: usize = 2048;

/// Returns the line for a name that no command of the component has.
pub(super) fn command(component: &str, command: &Command) -> Option<String> {
    let args = arguments(&command.args)?;
    let (component, name) = (quoted(component)?, quoted(&command.program)?);
    bounded(format!(
        "[[component.{component}.command]] with name = {name}, program = \"/...\", {args}"
    ))
}

/// Returns the line for an argument vector.
pub(super) fn arguments(args: &[OsString]) -> Option<String> {
    // A grant has no literal that is not UTF-8.
    let pattern = |text: &OsString| match text.to_str() {
        Some(text) => argument(text),
        None => Some("{ any = true }".to_owned()),
    };
    patterns(args.iter().map(pattern))
}

/// Returns the pattern that takes one argument and no other.
pub(super) fn argument(text: &str) -> Option<String> {
    match text {
        // The strings `*` and `**` would be patterns.
        "*" | "**" => Some(format!("{{ literal = {} }}", quoted(text)?)),
        _ => quoted(text),
    }
}

/// Returns the line for a list of patterns; none if one of them is none.
pub(super) fn patterns(patterns: impl Iterator<Item = Option<String>>) -> Option<String> {
    let mut line = String::from("args = [");
    for (index, pattern) in patterns.enumerate() {
        if index > 0 {
            line.push_str(", ");
        }
        line.push_str(&pattern?);
        if line.len() > MAX_LINE {
            return None;
        }
    }
    line.push(']');
    bounded(line)
}

/// Returns the line that allows this request alone, with the wider one as its comment.
pub(super) fn with_alternative(line: Option<String>, wider: Option<String>) -> Option<String> {
    match (line, wider) {
        (Some(line), Some(wider)) => Some(format!("{line} # or for any such argument: {wider}")),
        (line, wider) => line.or(wider),
    }
}

/// Returns the line for an `argv[0]`.
pub(super) fn arg0(arg0: &str) -> Option<String> {
    bounded(format!("allow-arg0 = [{}]", quoted(arg0)?))
}

/// Returns the line for arguments and values that are not UTF-8.
pub(super) fn bytes() -> String {
    "allow-bytes = true".to_owned()
}

/// Returns the line for files as standard streams.
pub(super) fn redirect() -> String {
    "redirect = true".to_owned()
}

/// Returns the line for a file outside the roots of `key`, which is `read` or `write`.
pub(super) fn root(key: &str, folder: &Path) -> Option<String> {
    bounded(format!(
        "fs = {{ {key} = [{}] }}",
        quoted(folder.to_str()?)?
    ))
}

/// Returns the line for a variable.
pub(super) fn variable(name: &str) -> Option<String> {
    bounded(format!("env = {{ allow = [{}] }}", quoted(name)?))
}

/// Returns the line for a working directory.
pub(super) fn working_directory(path: &Path) -> Option<String> {
    bounded(format!("cwd = {{ roots = [{}] }}", quoted(path.to_str()?)?))
}

/// Returns the line for a request that provides standard input.
pub(super) fn stdin() -> String {
    "stdin = true".to_owned()
}

/// Returns the line for a program outside the child's file system.
pub(super) fn readable(path: &Path) -> Option<String> {
    bounded(format!("fs = {{ read = [{}] }}", quoted(path.to_str()?)?))
}

fn bounded(line: String) -> Option<String> {
    (line.len() <= MAX_LINE).then_some(line)
}

/// Returns a guest's string for use in a message: quoted, escaped, and truncated.
pub(super) fn escaped(text: &str) -> String {
    const MOST: usize = 200;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", escape::quoted(&text[..end])),
        None => escape::quoted(text).to_string(),
    }
}

/// Does what [`escaped`] does, for a string that need not be UTF-8.
pub(crate) fn escaped_os(text: &OsStr) -> String {
    const MOST: usize = 200;
    match text.to_str() {
        Some(text) => escaped(text),
        None if text.len() <= MOST => escape::quoted(text).to_string(),
        None => format!(
            "{}...",
            escape::quoted(OsStr::from_bytes(&text.as_bytes()[..MOST]))
        ),
    }
}

/// Returns a TOML string in which hidden characters are escaped; none if it is longer than any suggestion.
pub(super) fn quoted(text: &str) -> Option<String> {
    if text.len() > MAX_LINE {
        return None;
    }
    let mut quoted = String::from('"');
    for c in text.chars() {
        // Writing to a string cannot fail.
        let _ = match c {
            '"' => write!(quoted, "\\\""),
            '\\' => write!(quoted, "\\\\"),
            c if is_hidden(c) && u32::from(c) > 0xffff => {
                write!(quoted, "\\U{:08X}", u32::from(c))
            }
            c if is_hidden(c) => write!(quoted, "\\u{:04X}", u32::from(c)),
            c => write!(quoted, "{c}"),
        };
    }
    quoted.push('"');
    Some(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_is_toml_of_the_same_arguments() {
        let args: Vec<OsString> = ["a\"b", "*", "c\\d\n", "\u{202e}x\u{e0041}"]
            .map(OsString::from)
            .into();
        let line = arguments(&args).expect("it is short");
        let table: toml::Table = line.parse().expect("it is TOML");
        let items = table["args"].as_array().expect("it is an array");
        assert_eq!(items[0].as_str(), Some("a\"b"));
        assert_eq!(items[1]["literal"].as_str(), Some("*"));
        assert_eq!(items[2].as_str(), Some("c\\d\n"));
        assert_eq!(items[3].as_str(), Some("\u{202e}x\u{e0041}"));
        assert!(!line.contains(is_hidden));
        assert_eq!(arguments(&vec![OsString::new(); 100_000]), None);
        assert_eq!(arguments(&["\x1b".repeat(MAX_LINE / 2).into()]), None);
        assert_eq!(arguments(&["x".repeat(MAX_LINE + 1).into()]), None);
    }
}

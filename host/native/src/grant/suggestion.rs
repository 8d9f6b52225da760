//! The line of a grant that would allow a refused request.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::command::Command;

/// The longest suggestion, in bytes. A guest may send a mebibyte of arguments, which does
/// not belong in a log.
const MAX_LINE: usize = 4096;

/// Returns the line for a name that no command of the component has.
pub(super) fn command(component: &str, command: &Command) -> Option<String> {
    if command.program.len() > MAX_LINE {
        return None;
    }
    Some(format!(
        "[[component.{}.command]] with name = {}, program = \"/...\", {}",
        quoted(component),
        quoted(&command.program),
        arguments(&command.args)?,
    ))
}

/// Returns the line for an argument vector.
pub(super) fn arguments(args: &[OsString]) -> Option<String> {
    if args.iter().map(|text| text.len()).sum::<usize>() > MAX_LINE {
        return None;
    }
    // The strings `*` and `**` would be patterns. A grant has no literal that is not UTF-8.
    let token = |text: &OsString| match text.to_str() {
        Some(text @ ("*" | "**")) => format!("{{ literal = {} }}", quoted(text)),
        Some(text) => quoted(text),
        None => "{ any = true }".to_owned(),
    };
    Some(format!(
        "args = [{}]",
        args.iter().map(token).collect::<Vec<_>>().join(", ")
    ))
}

/// Returns the line for an `argv[0]`.
pub(super) fn arg0(arg0: &str) -> Option<String> {
    (arg0.len() <= MAX_LINE).then(|| format!("allow-arg0 = [{}]", quoted(arg0)))
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
    let folder = folder.to_string_lossy();
    (folder.len() <= MAX_LINE).then(|| format!("fs = {{ {key} = [{}] }}", quoted(&folder)))
}

/// Returns the line for a variable.
pub(super) fn variable(name: &str) -> Option<String> {
    (name.len() <= MAX_LINE).then(|| format!("env = {{ allow = [{}] }}", quoted(name)))
}

/// Returns the line for a working directory.
pub(super) fn working_directory(path: &Path) -> Option<String> {
    let path = path.to_string_lossy();
    (path.len() <= MAX_LINE).then(|| format!("cwd = {{ roots = [{}] }}", quoted(&path)))
}

/// Returns the line for a request that provides standard input.
pub(super) fn stdin() -> String {
    "stdin = true".to_owned()
}

/// Returns the line for a program outside the child's file system.
pub(super) fn readable(path: &Path) -> Option<String> {
    let path = path.to_string_lossy();
    (path.len() <= MAX_LINE).then(|| format!("fs = {{ read = [{}] }}", quoted(&path)))
}

/// Returns a guest's string for use in a message: quoted, escaped, and truncated.
pub(super) fn escaped(text: &str) -> String {
    const MOST: usize = 200;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Does what [`escaped`] does, for a string that need not be UTF-8.
pub(super) fn escaped_os(text: &OsStr) -> String {
    const MOST: usize = 200;
    match text.to_str() {
        Some(text) => escaped(text),
        None if text.len() <= MOST => format!("{text:?}"),
        None => format!("{:?}...", OsStr::from_bytes(&text.as_bytes()[..MOST])),
    }
}

/// Returns a TOML string without characters that could confuse a terminal.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            // Control characters and invisible ones, including those that change direction.
            c if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}') =>
            {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_is_toml_of_the_same_arguments() {
        let args: Vec<OsString> = ["a\"b", "*", "c\\d\n", "\u{202e}x"]
            .map(OsString::from)
            .into();
        let line = arguments(&args).expect("it is short");
        let table: toml::Table = line.parse().expect("it is TOML");
        let items = table["args"].as_array().expect("it is an array");
        assert_eq!(items[0].as_str(), Some("a\"b"));
        assert_eq!(items[1]["literal"].as_str(), Some("*"));
        assert_eq!(items[2].as_str(), Some("c\\d\n"));
        assert!(!line.contains('\u{202e}'));
        assert_eq!(arguments(&["x".repeat(MAX_LINE + 1).into()]), None);
    }
}

//! The line of a grant that would have allowed what was refused.

use std::path::Path;

use crate::command::Command;

/// For a name that no command of the component has.
pub(super) fn command(component: &str, command: &Command) -> String {
    format!(
        "[[component.{}.command]] with name = {}, program = \"/...\", {}",
        quoted(component),
        quoted(&command.program),
        arguments(&command.args),
    )
}

/// For an argument vector.
pub(super) fn arguments(args: &[String]) -> String {
    // A literal `*` or `**` written as a string would be a pattern.
    let token = |text: &String| match text.as_str() {
        "*" | "**" => format!("{{ literal = {} }}", quoted(text)),
        _ => quoted(text),
    };
    format!("args = [{}]", args.iter().map(token).collect::<Vec<_>>().join(", "))
}

/// For a variable.
pub(super) fn variable(name: &str) -> String {
    format!("env = {{ allow = [{}] }}", quoted(name))
}

/// For a working directory.
pub(super) fn working_directory(path: &Path) -> String {
    format!("cwd = {{ roots = [{}] }}", quoted(&path.to_string_lossy()))
}

/// Returns a TOML string that any terminal can show.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            // Control and other invisible characters, bidirectional ones among them.
            c if c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}') => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(c)));
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
    fn a_remedy_is_toml_that_says_the_same() {
        let args: Vec<String> =
            ["a\"b", "*", "c\\d\n", "\u{202e}x"].map(str::to_owned).into();
        let line = arguments(&args);
        let table: toml::Table = line.parse().expect("it is TOML");
        let items = table["args"].as_array().expect("it is an array");
        assert_eq!(items[0].as_str(), Some("a\"b"));
        assert_eq!(items[1]["literal"].as_str(), Some("*"));
        assert_eq!(items[2].as_str(), Some("c\\d\n"));
        assert!(!line.contains('\u{202e}'));
    }
}

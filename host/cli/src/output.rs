//! What the command writes for people: results, errors, and strings that come from the
//! guest.
//!
//! Everything passes through [`capspawn_native::escape`] on its way to the terminal, whatever
//! it is made of: the name of an import, of a file or of a component is as foreign as an argument.

use std::ffi::OsStr;
use std::io::{IsTerminal as _, Write as _};

use anyhow::Context as _;
use capspawn_native::escape;
use serde::Serialize;

use crate::streams::{Notes, Output};

/// Writes a result to standard output. A closed pipe is an error, not a panic.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let text = escape::lines(text);
    let text = if has_colours() {
        coloured(&text)
    } else {
        text.into_owned()
    };
    Output::Stdout
        .write_all(text.as_bytes())
        .context("cannot write to standard output")
}

/// The words at the beginning of a line that have a colour, and the number of the colour (SGR): red for what allows
/// more, yellow for what needs a look, green for what allows less.
const COLOURS: [(&str, u8); 4] = [
    ("widens ", 31),
    ("undecided ", 33),
    ("warning:", 33),
    ("narrows ", 32),
];

/// Returns whether standard output shows colours: a terminal that is not a dumb one, unless `NO_COLOR` is set.
fn has_colours() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    std::io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

/// Adds colours to a text that is escaped already.
fn coloured(text: &str) -> String {
    let line = |line: &str| {
        let words = line.trim_start();
        let indent = &line[..line.len() - words.len()];
        match COLOURS.iter().find(|(word, _)| words.starts_with(word)) {
            Some((word, colour)) => {
                let (word, rest) = words.split_at(word.trim_end().len());
                format!("{indent}\x1b[{colour}m{word}\x1b[0m{rest}")
            }
            None => line.to_owned(),
        }
    };
    text.split_inclusive('\n').map(line).collect()
}

/// Writes a result as indented JSON to standard output.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&(escape::json_pretty(value)? + "\n"))
}

/// Writes one line of the command's own to standard error. It is lost if nobody reads it.
pub(crate) fn note(line: &str) {
    let line = format!("capspawn: {}\n", escape::line(line));
    let _ = Notes.write_all(line.as_bytes());
}

/// Writes an error with its causes to standard error, as one line; the error of a
/// grant file has one line for each fault.
pub(crate) fn report(error: &anyhow::Error) {
    match error.downcast_ref::<capspawn::GrantError>() {
        Some(grant) => grant.to_string().lines().for_each(note),
        None => note(&one_line(&format!("{error:#}"))),
    }
}

/// Joins the lines of another library's message.
pub(crate) fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.join(" ")
}

/// Breaks a text into lines of at most `width` characters, at spaces.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines
            .last_mut()
            .map(|line| line.chars().count())
            .unwrap_or_default();
        if line > 0 && line + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// Returns a string or path of the guest in quotes. Characters that would move the
/// cursor, break the line or change its direction are escaped.
pub(crate) fn quoted<T: AsRef<OsStr> + ?Sized>(shown: &T) -> String {
    escape::quoted(shown).to_string()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;

    /// Control characters, line separators, bidirectional controls, a no-break
    /// space, and a tag character that would combine with the quote.
    pub(crate) const HOSTILE: &str = "a\x1b[2J\r\n\t\u{7f}\u{9b}\u{2028}\u{2029}\u{61c}\u{200b}\
        \u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\
        \u{a0}\u{feff}\u{e0041}\"\\";

    #[test]
    fn text_that_would_change_the_terminal_is_escaped() {
        let is_plain = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        for text in [quoted(HOSTILE), quoted(Path::new(HOSTILE))] {
            assert!(is_plain(&text), "{text}");
            assert!(text.starts_with("\"a\\u{1b}[2J\\r\\n\\t"), "{text}");
            assert!(text.contains("\\u{202e}"), "{text}");
            assert!(text.ends_with("\\\"\\\\\""), "{text}");
        }
        assert_eq!(quoted("Grüße, 世界"), "\"Grüße, 世界\"");
    }

    #[test]
    fn only_the_first_word_of_a_line_has_a_colour() {
        let text = "  warning: a warning: b\nwidens    \"widens \"\nnarrowsx\n";
        let expected = "  \x1b[33mwarning:\x1b[0m a warning: b\n\x1b[31mwidens\x1b[0m    \"widens \"\nnarrowsx\n";
        assert_eq!(coloured(text), expected);
    }

    #[test]
    fn a_text_is_broken_at_spaces_and_a_long_word_stays_whole() {
        assert_eq!(wrapped("a bb ccc dddddd", 6), ["a bb", "ccc", "dddddd"]);
        assert_eq!(wrapped("dddddddd a", 4), ["dddddddd", "a"]);
    }

    #[test]
    fn a_message_of_several_lines_becomes_one() {
        assert_eq!(one_line("first\n\n  second\n"), "first second");
    }
}

//! Strings of a guest, a component or a file name on a terminal, in a log and in JSON.
//!
//! Such a string may move the cursor, colour or hide text, reverse its direction, or break a line, and so make a log
//! or a question show something else than it is. One table lists the characters that are never shown as themselves,
//! and everything that shows a foreign string uses it. Rejected: the escapes of `Debug`, which follow the version of
//! the compiler and have no form for JSON; and escapes where each string is shown, of which one is forgotten.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt::{self, Display, Write as _};

use serde::Serialize;

/// Returns whether `c` is never shown as itself: a control character (C0, DEL, C1), a separator of lines, a character
/// that changes the direction of text, one without a width, or a space that is not U+0020.
pub fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || matches!(c,
            // Spaces, soft hyphen, fillers.
            '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{1680}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
            | '\u{3164}' | '\u{ffa0}'
            // Marks of Arabic, Syriac and other scripts that format what follows.
            | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            // Zero width, direction, separators of lines and paragraphs, invisible operators.
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            // Variation selectors, byte order mark, annotations, tags.
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A string between quotes; see [`quoted`].
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'a>(&'a OsStr);

/// Returns `text` for display between double quotes, on one line. Quotes and backslashes in it are escaped too, so
/// that the string cannot end the quotes. Bytes that are not UTF-8 are shown as `\xNN`.
///
/// ```
/// use capspawn_native::escape::quoted;
///
/// assert_eq!(quoted("a\u{1b}[2J\"b\n").to_string(), r#""a\u{1b}[2J\"b\n""#);
/// ```
pub fn quoted<S: AsRef<OsStr> + ?Sized>(text: &S) -> Quoted<'_> {
    Quoted(text.as_ref())
}

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for chunk in self.0.as_encoded_bytes().utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '"' => f.write_str("\\\"")?,
                    '\\' => f.write_str("\\\\")?,
                    c => write_char(c, f)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        f.write_char('"')
    }
}

/// A list of strings; see [`quoted_list`].
#[derive(Debug, Clone, Copy)]
pub struct QuotedList<'a, S>(&'a [S]);

/// Returns `items` for display as a list of [`quoted`] strings: `["a", "b"]`.
pub fn quoted_list<S: AsRef<OsStr>>(items: &[S]) -> QuotedList<'_, S> {
    QuotedList(items)
}

impl<S: AsRef<OsStr>> Display for QuotedList<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('[')?;
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            quoted(item).fmt(f)?;
        }
        f.write_char(']')
    }
}

/// Returns `text` as one line without quotes: hidden characters are escaped, line feeds among them. For a whole
/// message, whose foreign strings are [`quoted`] where it is made.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden)
}

/// Returns `text` with its lines kept, and every other hidden character escaped.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_hidden(c))
}

fn escaped(text: &str, hides: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&hides) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        // Writing to a string cannot fail.
        let _ = match hides(c) {
            true => write_char(c, &mut shown),
            false => shown.write_char(c),
        };
    }
    shown.into()
}

fn write_char(c: char, to: &mut impl fmt::Write) -> fmt::Result {
    match c {
        '\n' => to.write_str("\\n"),
        '\r' => to.write_str("\\r"),
        '\t' => to.write_str("\\t"),
        c if is_hidden(c) => write!(to, "\\u{{{:x}}}", u32::from(c)),
        c => to.write_char(c),
    }
}

/// Returns `value` as JSON on one line, in which hidden characters are written as `\uXXXX`: JSON itself escapes C0
/// alone.
///
/// # Errors
///
/// `value` cannot be represented, for example a map whose keys are no strings.
pub fn json(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string(value).map(json_escaped)
}

/// Returns `value` as [`json`] does, indented.
///
/// # Errors
///
/// As [`json`].
pub fn json_pretty(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string_pretty(value).map(json_escaped)
}

/// Escapes in JSON text. A hidden character other than a line feed lies in a string: nothing else in JSON has any.
fn json_escaped(text: String) -> String {
    let hides = |c: char| c != '\n' && is_hidden(c);
    if !text.contains(hides) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if !hides(c) {
            shown.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "\\u{unit:04x}");
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    /// One of each kind, and a tag character that would combine with a quote.
    const HOSTILE: &str = "a\x1b[2J\r\n\t\u{7f}\u{9b}\u{2028}\u{2029}\u{61c}\u{200b}\u{202e}\u{2066}\
        \u{a0}\u{feff}\u{fe0f}\u{e0041}\"\\";

    fn is_plain(text: &str) -> bool {
        text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    }

    #[test]
    fn a_quoted_string_has_no_hidden_character_and_cannot_end_its_quotes() {
        let shown = quoted(HOSTILE).to_string();
        assert!(is_plain(&shown), "{shown}");
        assert!(shown.starts_with(r#""a\u{1b}[2J\r\n\t\u{7f}"#), "{shown}");
        assert!(shown.ends_with(r#"\u{e0041}\"\\""#), "{shown}");
        assert_eq!(quoted("Grüße, 世界").to_string(), "\"Grüße, 世界\"");
        let bytes = OsStr::from_bytes(b"a\xff\x9b\x1b");
        assert_eq!(quoted(bytes).to_string(), r#""a\xff\x9b\u{1b}""#);
        assert_eq!(quoted_list(&["a", "\n"]).to_string(), r#"["a", "\n"]"#);
    }

    #[test]
    fn a_line_is_one_line_and_lines_keep_theirs() {
        assert!(is_plain(&line(HOSTILE)));
        assert_eq!(line("a\nb\x1b"), "a\\nb\\u{1b}");
        assert_eq!(lines("a\nb\x1b"), "a\nb\\u{1b}");
        assert!(matches!(line("as it is"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_has_no_hidden_character_and_the_same_value() {
        for text in [json(&[HOSTILE]), json_pretty(&[HOSTILE])] {
            let text = text.expect("a string is plain data");
            assert!(is_plain(&text.replace('\n', "")), "{text}");
            let read: Vec<String> = serde_json::from_str(&text).expect("it is JSON");
            assert_eq!(read, [HOSTILE]);
        }
        assert_eq!(json(&["ü"]).expect("plain"), "[\"ü\"]");
    }

    #[test]
    fn whatever_debug_escapes_as_a_control_or_format_character_is_hidden() {
        // A second opinion on the table: the categories Cc, Zl, Zp and the bidirectional controls.
        for c in (0..0x110000)
            .filter_map(char::from_u32)
            .filter(|c| c.is_control())
        {
            assert!(is_hidden(c), "{c:?}");
        }
        for c in [
            '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{2067}',
            '\u{2069}',
        ] {
            assert!(is_hidden(c), "{c:?}");
        }
        assert!(!is_hidden(' ') && !is_hidden('é') && !is_hidden('\u{301}'));
    }
}

//! The string that `env -S` splits into words: `#!` lines name an interpreter with several
//! arguments by it, because the kernel passes one.
//!
//! The way chosen: the words are split as `env(1)` of GNU and of the BSDs does, and the
//! interpreter is started with them directly. Rejected: to start `env` itself, which would look
//! the interpreter up anew, in the child's `PATH`. What changes the environment (assignments,
//! options of `env`, variables in the string) is refused: the grant's `env` is the place for it.

/// Why a string cannot be split, as a sentence fragment about the line.
type Refusal = &'static str;

const UNFINISHED: Refusal = "has a quote or an escape after `env -S` that does not end";
const VARIABLE: Refusal =
    "has a variable after `env -S`: write its value, or set it by `env` of the grant";
const UNKNOWN: Refusal = "has an unknown escape after `env -S`";

/// Splits the string into words.
///
/// # Errors
///
/// A quote that does not end, an escape that `env` does not know, or a variable.
pub(super) fn split(text: &str) -> Result<Vec<String>, Refusal> {
    let mut words = Vec::new();
    // None between words: a quote may hold an empty one.
    let mut word: Option<String> = None;
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match next {
            ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' => words.extend(word.take()),
            '#' if word.is_none() => return Ok(words),
            '\'' => word.get_or_insert_default().push_str(&quoted(&mut rest)?),
            '"' => loop {
                let word = word.get_or_insert_default();
                match rest.next().ok_or(UNFINISHED)? {
                    '"' => break,
                    '$' => return Err(VARIABLE),
                    '\\' => match rest.next().ok_or(UNFINISHED)? {
                        '_' => word.push(' '),
                        'c' => return Err(UNKNOWN),
                        escape => word.push(escaped(escape)?),
                    },
                    other => word.push(other),
                }
            },
            '\\' => match rest.next().ok_or(UNFINISHED)? {
                '_' => words.extend(word.take()),
                'c' => break,
                escape => word.get_or_insert_default().push(escaped(escape)?),
            },
            '$' => return Err(VARIABLE),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Returns what stands before the next single quote. Only a quote and a backslash can be escaped
/// there.
fn quoted(rest: &mut std::str::Chars<'_>) -> Result<String, Refusal> {
    let mut text = String::new();
    loop {
        match rest.next().ok_or(UNFINISHED)? {
            '\'' => return Ok(text),
            '\\' => match rest.next().ok_or(UNFINISHED)? {
                escape @ ('\'' | '\\') => text.push(escape),
                other => text.extend(['\\', other]),
            },
            other => text.push(other),
        }
    }
}

/// Returns what an escape stands for.
fn escaped(escape: char) -> Result<char, Refusal> {
    match escape {
        '"' | '#' | '$' | '\'' | '\\' => Ok(escape),
        'f' => Ok('\x0c'),
        'n' => Ok('\n'),
        'r' => Ok('\r'),
        't' => Ok('\t'),
        'v' => Ok('\x0b'),
        _ => Err(UNKNOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_env_splits_them() {
        for (text, expected) in [
            ("python3 -u -E", &["python3", "-u", "-E"][..]),
            (" \t sh  -e ", &["sh", "-e"]),
            ("", &[]),
            ("# nothing", &[]),
            ("sh -e # comment", &["sh", "-e"]),
            ("sh a#b", &["sh", "a#b"]),
            ("perl -e 'print 1'", &["perl", "-e", "print 1"]),
            ("a 'it\\'s' 'b\\\\' 'c\\d'", &["a", "it's", "b\\", "c\\d"]),
            ("a \"b c\" \"\" ''", &["a", "b c", "", ""]),
            ("a \"x\\ty\\_z\\\"\"", &["a", "x\ty z\""]),
            ("a\\_b c\\td", &["a", "b", "c\td"]),
            ("a\\$b \\#c \\\\", &["a$b", "#c", "\\"]),
            ("a b\\c d", &["a", "b"]),
            ("a'b'\"c\"d", &["abcd"]),
        ] {
            let expected = expected.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(split(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_does_not_end_or_depends_on_the_environment_is_refused() {
        for text in ["a 'b", "a \"b", "a \\", "a \"b\\", "a 'b\\"] {
            assert_eq!(split(text), Err(UNFINISHED), "{text}");
        }
        for text in ["${HOME}/bin/a", "a $x", "a \"${x}\""] {
            assert_eq!(split(text), Err(VARIABLE), "{text}");
        }
        for text in ["a \\q", "a \"\\c\"", "a \"\\q\""] {
            assert_eq!(split(text), Err(UNKNOWN), "{text}");
        }
    }
}

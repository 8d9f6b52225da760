//! The part of a request that an event shows, and what identifies the whole.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::limits::{MAX_EVENT_ARGUMENT_BYTES, MAX_EVENT_COMMAND_BYTES};

/// The most arguments that an event shows: an empty one takes no bytes, and a place in the list all the same.
const MAX_SHOWN: usize = 64;

/// The whole of a list of strings of which an event shows a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// How many strings there are.
    pub count: usize,
    /// How many bytes they have together.
    pub bytes: usize,
    /// The SHA-256 of all strings, each followed by a NUL: what `sha256sum /proc/PID/cmdline` prints for a vector.
    pub sha256: String,
}

impl Cut {
    fn of<S: AsRef<str>>(strings: &[S]) -> Self {
        let mut hash = Sha256::new();
        for text in strings {
            hash.update(text.as_ref());
            hash.update([0]);
        }
        Self {
            count: strings.len(),
            bytes: total(strings),
            sha256: format!("{:x}", hash.finalize()),
        }
    }
}

/// Returns what an event shows of a command's name.
pub(super) fn cut_command(name: &str) -> (String, Option<Cut>) {
    let shown = prefix(name, MAX_EVENT_COMMAND_BYTES);
    let cut = (shown.len() < name.len()).then(|| Cut::of(&[name]));
    (shown.to_owned(), cut)
}

/// Returns what an event shows of an argument vector.
pub(super) fn cut_args(args: &[String]) -> (Vec<String>, Option<Cut>) {
    if args.len() <= MAX_SHOWN && total(args) <= MAX_EVENT_ARGUMENT_BYTES {
        return (args.to_vec(), None);
    }
    let mut left = MAX_EVENT_ARGUMENT_BYTES;
    let mut shown = Vec::new();
    for text in args.iter().take(MAX_SHOWN) {
        if left == 0 {
            break;
        }
        let part = prefix(text, left);
        left -= part.len();
        shown.push(part.to_owned());
        if part.len() < text.len() {
            break;
        }
    }
    (shown, Some(Cut::of(args)))
}

fn total<S: AsRef<str>>(strings: &[S]) -> usize {
    strings.iter().map(|text| text.as_ref().len()).sum()
}

/// Returns the longest beginning of `text` that has at most `bytes` bytes and no part of a character.
fn prefix(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_within_the_bounds_is_shown_whole() {
        let args = vec!["x".repeat(MAX_EVENT_ARGUMENT_BYTES)];
        assert_eq!(cut_args(&args), (args, None));
        let many = vec![String::new(); MAX_SHOWN];
        assert_eq!(cut_args(&many), (many, None));
        let name = "n".repeat(MAX_EVENT_COMMAND_BYTES);
        assert_eq!(cut_command(&name), (name, None));
    }

    #[test]
    fn a_longer_one_has_its_beginning_its_length_and_a_hash() {
        let args = ["a".into(), "ü".repeat(1024), "c".into()];
        let (shown, cut) = cut_args(&args);
        assert_eq!(shown, ["a".to_owned(), "ü".repeat(511)]);
        let cut = cut.expect("it is a part");
        assert_eq!((cut.count, cut.bytes), (3, 2050));
        let whole = Sha256::digest(format!("a\0{}\0c\0", args[1]));
        assert_eq!(cut.sha256, format!("{whole:x}"));
        let (shown, cut) = cut_args(&vec![String::new(); 100_000]);
        assert_eq!(
            (shown.len(), cut.expect("a part").count),
            (MAX_SHOWN, 100_000)
        );
        let (shown, cut) = cut_command(&"n".repeat(1 << 20));
        assert_eq!((shown.len(), cut.expect("a part").bytes), (256, 1 << 20));
    }
}

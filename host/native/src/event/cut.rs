//! The part of a request that an event shows, and what identifies the whole.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::launch::Request;
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
    fn of<'a>(strings: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        let (mut count, mut bytes) = (0, 0);
        for text in strings {
            hash.update(text);
            hash.update([0]);
            count += 1;
            bytes += text.len();
        }
        Self {
            count,
            bytes,
            sha256: format!("{:x}", hash.finalize()),
        }
    }
}

/// Returns what an event shows of a command's name, or of an `argv[0]`.
pub(super) fn cut_name(name: &str) -> (String, Option<Cut>) {
    let shown = prefix(name, MAX_EVENT_COMMAND_BYTES);
    let is_part = shown.len() < name.len();
    let cut = is_part.then(|| Cut::of(std::iter::once(name.as_bytes())));
    (shown.to_owned(), cut)
}

/// The arguments that are not UTF-8: the place of each, and its bytes.
type RawArgs = Vec<(usize, Vec<u8>)>;

/// Returns what an event shows of an argument vector.
pub(super) fn cut_args(request: &Request) -> (Vec<String>, RawArgs, Option<Cut>) {
    let args = &request.args;
    if args.len() <= MAX_SHOWN && total(args) <= MAX_EVENT_ARGUMENT_BYTES {
        return (args.clone(), request.raw_args.clone(), None);
    }
    let mut left = MAX_EVENT_ARGUMENT_BYTES;
    let mut shown = Vec::new();
    let mut whole = 0;
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
        whole += 1;
    }
    let raw = |place: usize| {
        let found = request.raw_args.binary_search_by_key(&place, |(at, _)| *at);
        found.ok().map(|index| &request.raw_args[index].1)
    };
    let bytes = args.iter().enumerate();
    let bytes = bytes.map(|(place, text)| raw(place).map_or(text.as_bytes(), Vec::as_slice));
    let shown_raw = request.raw_args.iter().filter(|(place, _)| *place < whole);
    (shown, shown_raw.cloned().collect(), Some(Cut::of(bytes)))
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

    fn request(args: Vec<String>) -> Request {
        Request {
            args,
            ..Request::default()
        }
    }

    #[test]
    fn a_request_within_the_bounds_is_shown_whole() {
        for args in [
            vec!["x".repeat(MAX_EVENT_ARGUMENT_BYTES)],
            vec![String::new(); MAX_SHOWN],
        ] {
            assert_eq!(cut_args(&request(args.clone())), (args, vec![], None));
        }
        let name = "n".repeat(MAX_EVENT_COMMAND_BYTES);
        assert_eq!(cut_name(&name), (name, None));
    }

    #[test]
    fn a_longer_one_has_its_beginning_its_length_and_a_hash() {
        let args = vec!["a".into(), "ü".repeat(1024), "c".into()];
        let whole = Sha256::digest(format!("a\0{}\0c\0", args[1]));
        let (shown, _, cut) = cut_args(&request(args));
        assert_eq!(shown, ["a".to_owned(), "ü".repeat(511)]);
        let cut = cut.expect("it is a part");
        assert_eq!((cut.count, cut.bytes), (3, 2050));
        assert_eq!(cut.sha256, format!("{whole:x}"));
        let (shown, _, cut) = cut_args(&request(vec![String::new(); 100_000]));
        assert_eq!(
            (shown.len(), cut.expect("a part").count),
            (MAX_SHOWN, 100_000)
        );
        let (shown, cut) = cut_name(&"n".repeat(1 << 20));
        assert_eq!((shown.len(), cut.expect("a part").bytes), (256, 1 << 20));
    }

    #[test]
    fn the_hash_is_of_the_bytes_and_the_bytes_of_a_part_are_left_out() {
        let long = "\u{fffd}".repeat(1000);
        let request = Request {
            args: vec!["\u{fffd}".into(), long],
            raw_args: vec![(0, vec![0xff]), (1, vec![0xfe; 1000])],
            ..Request::default()
        };
        let (shown, raw, cut) = cut_args(&request);
        assert_eq!((shown.len(), raw), (2, vec![(0, vec![0xff])]));
        let whole = Sha256::digest([&[0xff, 0][..], &[0xfe; 1000], &[0]].concat());
        let cut = cut.expect("it is a part");
        assert_eq!((cut.bytes, cut.sha256), (1001, format!("{whole:x}")));
    }
}

//! Bytes in a tape: text where they are UTF-8, otherwise hexadecimal digits, so that a review can read what can be read.

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use capspawn_native::escape::quoted;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The most bytes of one line of output in a tape: 4 KiB of text, and as many digits.
const MAX_PIECE_BYTES: usize = 4096;

/// The bytes of binary output in one line: 32, which makes 64 digits.
const HEX_BYTES: usize = 32;

/// A string that may be no UTF-8, such as an argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Word {
    /// It is UTF-8.
    Text(String),
    /// It is not.
    Hex {
        /// Its bytes, two digits each.
        hex: Hex,
    },
}

impl Word {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Hex {
                hex: Hex(bytes.to_vec()),
            },
        }
    }

    fn os_string(&self) -> OsString {
        match self {
            Self::Text(text) => text.into(),
            Self::Hex { hex } => OsString::from_vec(hex.0.clone()),
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        quoted(&self.os_string()).fmt(f)
    }
}

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Piece {
    Text(String),
    Hex(Hex),
}

impl Piece {
    /// Returns the parts of `bytes`: one for each line of text, or for each 32 bytes of what is no text.
    pub(crate) fn split(bytes: &[u8]) -> Vec<Self> {
        let Ok(text) = std::str::from_utf8(bytes) else {
            let pieces = bytes.chunks(HEX_BYTES);
            return pieces.map(|piece| Self::Hex(Hex(piece.to_vec()))).collect();
        };
        let mut pieces = Vec::new();
        for mut line in text.split_inclusive('\n') {
            while line.len() > MAX_PIECE_BYTES {
                let (piece, rest) = line.split_at(line.floor_char_boundary(MAX_PIECE_BYTES));
                pieces.push(Self::Text(piece.to_owned()));
                line = rest;
            }
            pieces.push(Self::Text(line.to_owned()));
        }
        pieces
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Hex(hex) => &hex.0,
        }
    }
}

/// Bytes as hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl From<Hex> for String {
    fn from(Hex(bytes): Hex) -> Self {
        digits(&bytes)
    }
}

impl TryFrom<String> for Hex {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const EXPECTED: &str = "expected pairs of hexadecimal digits";
        let digit = |c: u8| {
            char::from(c)
                .to_digit(16)
                .and_then(|it| u8::try_from(it).ok())
        };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let bytes = pairs
            .iter()
            .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
        let bytes = bytes.collect::<Option<_>>().filter(|_| rest.is_empty());
        bytes.map(Self).ok_or(EXPECTED)
    }
}

/// Returns two lower-case digits for each byte.
pub(crate) fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns SHA-256 of `bytes` in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    digits(&Sha256::digest(bytes))
}

/// Returns the bytes of a string of the system.
pub(crate) fn bytes_of(text: impl AsRef<OsStr>) -> Vec<u8> {
    text.as_ref().as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_lines_and_together_the_whole() {
        let long = "x".repeat(MAX_PIECE_BYTES - 1) + "ö" + "\nlast";
        for (whole, count) in [
            (&b""[..], 0),
            (b"a\nb\n", 2),
            (b"no end", 1),
            (long.as_bytes(), 3),
            (&[0xff; 33], 2),
        ] {
            let pieces = Piece::split(whole);
            assert_eq!(pieces.len(), count, "{pieces:?}");
            let together: Vec<u8> = pieces.iter().flat_map(Piece::bytes).copied().collect();
            assert_eq!(together, whole);
        }
    }

    #[test]
    fn what_is_no_text_is_read_as_it_was_written() {
        for bytes in [&b"plain"[..], b"\xff\x00a"] {
            let word = Word::new(bytes);
            let json = serde_json::to_string(&word).expect("plain data");
            assert_eq!(
                serde_json::from_str::<Word>(&json).expect("its own text"),
                word
            );
        }
        for bad in ["f", "0g", "é"] {
            Hex::try_from(bad.to_owned()).expect_err("no pairs of digits");
        }
    }
}

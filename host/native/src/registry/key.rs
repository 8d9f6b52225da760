//! The key to a detached child.
//!
//! 128 random bits from the system: a key cannot be guessed, and one key reveals
//! nothing about another. A name chosen by the guest would be friendlier, but a
//! second component could claim it first.

use std::{fmt, io};

/// Bytes of a key.
const KEY_BYTES: usize = 16;

/// A key, shown to its owner once. `Debug` does not print it, because others read
/// the logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct DetachKey([u8; KEY_BYTES]);

impl DetachKey {
    /// Returns a new random key.
    pub(crate) fn random() -> io::Result<Self> {
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads exactly what `Display` wrote: no other spelling of the same bits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        if text.len() != 2 * KEY_BYTES {
            return None;
        }
        let mut bytes = [0; KEY_BYTES];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = digit(digits[0])? << 4 | digit(digits[1])?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for DetachKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DetachKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DetachKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_nothing_like_it_does() {
        let key = DetachKey::random().expect("the system has random numbers");
        let text = key.to_string();
        assert_eq!(text.len(), 32);
        assert_eq!(DetachKey::parse(&text), Some(key));
        let other = DetachKey::random().expect("the system has random numbers");
        assert_ne!(other, key);
        assert_eq!(DetachKey::parse(&text[..31]), None);
        assert_eq!(DetachKey::parse(&format!("{text}0")), None);
        assert_eq!(DetachKey::parse("ABCDEF00ABCDEF00ABCDEF00ABCDEF00"), None);
        assert_eq!(DetachKey::parse(&"é".repeat(16)), None);
        assert_eq!(DetachKey::parse(""), None);
        assert!(!format!("{key:?}").contains(&text));
    }
}

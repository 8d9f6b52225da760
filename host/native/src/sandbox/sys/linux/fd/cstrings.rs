//! Arrays of C strings, as `execveat(2)` takes them.

#![allow(unsafe_code, reason = "vouches for the array that the child reads")]

use std::ffi::c_char;
use std::io;

use capspawn_raw::string_array::StringArray;

/// Strings, each ended by a NUL, and a null-terminated array of pointers to them.
pub(crate) struct CStrings {
    bytes: Vec<u8>,
    starts: Vec<usize>,
    pointers: Vec<*const c_char>,
}

impl CStrings {
    /// Returns an empty array.
    pub(crate) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            starts: Vec::new(),
            pointers: Vec::new(),
        }
    }

    /// Appends the string that `parts` make together.
    ///
    /// # Errors
    ///
    /// `EINVAL` if a part contains a NUL.
    pub(crate) fn push(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let start = self.bytes.len();
        for part in parts {
            if part.contains(&0) {
                self.bytes.truncate(start);
                return Err(io::Error::from_raw_os_error(libc::EINVAL));
            }
            self.bytes.extend_from_slice(part);
        }
        self.bytes.push(0);
        self.starts.push(start);
        Ok(())
    }

    /// Returns the array.
    pub(crate) fn array(&mut self) -> StringArray<'_> {
        let base = self.bytes.as_ptr();
        self.pointers.clear();
        self.pointers.extend(
            self.starts
                .iter()
                .map(|start| base.wrapping_add(*start).cast()),
        );
        self.pointers.push(std::ptr::null());
        // SAFETY: every start is followed by a NUL in `bytes`, and the last pointer is null. The borrow of `self` keeps
        // both vectors unchanged for as long as the array is used.
        unsafe { StringArray::new(self.pointers.as_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back_in_their_order_and_none_with_a_nul() {
        let mut strings = CStrings::new();
        assert_eq!(strings.array().iter().count(), 0);
        strings.push(&[b"a", b"=", b"\xff"]).expect("no NUL");
        strings.push(&[b"c\0d"]).expect_err("a NUL");
        strings.push(&[b""]).expect("no NUL");
        let array: Vec<_> = strings.array().iter().collect();
        assert_eq!(array, [c"a=\xff", c""]);
    }
}

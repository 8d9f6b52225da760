//! Arrays of C strings, as `execveat` takes them.

use std::ffi::c_char;
use std::io;

/// Strings, each ended by a NUL, and a null-terminated array that points to them.
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
    pub(crate) fn push(&mut self, parts: &[&str]) -> io::Result<()> {
        self.starts.push(self.bytes.len());
        for part in parts {
            if part.as_bytes().contains(&0) {
                return Err(io::Error::from_raw_os_error(libc::EINVAL));
            }
            self.bytes.extend_from_slice(part.as_bytes());
        }
        self.bytes.push(0);
        Ok(())
    }

    /// Returns the array, valid as long as `self` is and is not pushed to.
    pub(crate) fn as_ptr(&mut self) -> *const *const c_char {
        let base = self.bytes.as_ptr();
        self.pointers.clear();
        self.pointers.extend(
            self.starts
                .iter()
                .map(|start| base.wrapping_add(*start).cast()),
        );
        self.pointers.push(std::ptr::null());
        self.pointers.as_ptr()
    }
}

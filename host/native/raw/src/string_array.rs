//! Arrays of C strings, as `execveat(2)` takes them.

use core::ffi::{CStr, c_char};
use core::fmt;
use core::marker::PhantomData;

/// A null-terminated array of C strings: an argument vector or an environment.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct StringArray<'a> {
    first: *const *const c_char,
    strings: PhantomData<&'a [&'a CStr]>,
}

impl<'a> StringArray<'a> {
    /// Returns the array that starts at `first`.
    ///
    /// # Safety
    ///
    /// From `first` on there must be pointers to C strings and then a null pointer. The
    /// pointers and the strings must stay valid and unchanged for `'a`.
    pub unsafe fn new(first: *const *const c_char) -> Self {
        Self {
            first,
            strings: PhantomData,
        }
    }

    /// Returns the address of the first pointer.
    pub fn as_ptr(&self) -> *const *const c_char {
        self.first
    }

    /// Returns the strings in their order.
    pub fn iter(&self) -> impl Iterator<Item = &'a CStr> {
        let mut next = self.first;
        core::iter::from_fn(move || {
            // SAFETY: by the contract of `new` there is a pointer here: the null pointer has not been passed.
            let string = unsafe { next.read() };
            if string.is_null() {
                return None;
            }
            next = next.wrapping_add(1);
            // SAFETY: by the contract of `new` this is a C string, valid for `'a`.
            Some(unsafe { CStr::from_ptr(string) })
        })
    }
}

impl fmt::Debug for StringArray<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

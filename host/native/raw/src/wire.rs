//! The formats of the messages between the host and `capspawn-init`.
//!
//! | format | from | to | carried by |
//! |---|---|---|---|
//! | [`InitArgs`] | the host | every process of `capspawn-init` | its `argv[0]` |
//! | [`Configuration`] | the host | a session's server and pid 1 | a sealed memfd |
//! | [`ServerRequest`] | the host | a session's server | a datagram, with descriptors |
//! | [`Report`] | a session's processes | the host | a datagram, 16 bytes |
//! | [`FailureReport`] | a process that confines itself | the host | a pipe, 8 bytes |
//! | [`GroupChange`] | a child; the host | the watchdog | a socket, 4 bytes |
//! | [`ProbeFinding`] | the probe | the host | its exit status, a bit each |
//!
//! Each module holds a format's writer and its reader. Integers have the native byte order,
//! because both ends run on one machine, from one build. The readers are pure functions over
//! bytes: they check every length, never index a slice, and accept only what a writer
//! produces.
//! Rejected: a serialization library, which the build script could not compile with `rustc`
//! alone.

mod args;
mod configuration;
mod failure;
mod group;
mod probe;
mod report;
mod request;
mod server_request;

use core::ffi::CStr;

pub use args::{EncodedArgs, ExecuteArgs, InitArgs, SessionArgs};
pub use configuration::{
    Configuration, HOST_NAME, Malformed, NetworkNamespace, Operation, filter_pass,
};
pub use failure::{FAILURE_BYTES, FailureReport};
pub use group::{GROUP_CHANGE_BYTES, GroupChange};
pub use probe::ProbeFinding;
pub use report::{REPORT_BYTES, Report};
pub use request::{
    Alone, CgroupEntry, MAX_CGROUP_FILES, MAX_DATAGRAM, MAX_HEAD, MAX_INLINE, MAX_SHARED,
    MAX_STRINGS, SPAWN_DESCRIPTORS, SpawnFiles, SpawnRequest, SpawnStrings,
};
pub use server_request::ServerRequest;

use crate::step::{Fault, Step};

/// Writes fields one after the other, through a closure that appends bytes.
struct Writer<F>(F);

impl<F: FnMut(&[u8])> Writer<F> {
    fn bytes(&mut self, bytes: &[u8]) {
        (self.0)(bytes);
    }

    fn word(&mut self, word: u32) {
        self.bytes(&word.to_ne_bytes());
    }

    fn long(&mut self, long: u64) {
        self.bytes(&long.to_ne_bytes());
    }

    fn flag(&mut self, flag: bool) {
        self.word(u32::from(flag));
    }

    /// A length and as many bytes. No reader accepts a block of 4 GiB or more.
    fn block(&mut self, bytes: &[u8]) {
        self.word(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.bytes(bytes);
    }

    fn path(&mut self, path: &CStr) {
        self.block(path.to_bytes_with_nul());
    }

    fn fault(&mut self, fault: Fault) {
        self.word(step_word(fault.step));
        self.word(fault.errno.cast_unsigned());
    }
}

/// Reads fields one after the other; `None` where the bytes are not such a field.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(array)
    }

    fn word(&mut self) -> Option<u32> {
        self.array().map(|word| u32::from_ne_bytes(*word))
    }

    fn long(&mut self) -> Option<u64> {
        self.array().map(|long| u64::from_ne_bytes(*long))
    }

    fn flag(&mut self) -> Option<bool> {
        flag(self.word()?)
    }

    fn block(&mut self) -> Option<&'a [u8]> {
        let count = self.word()?;
        self.bytes(usize::try_from(count).ok()?)
    }

    /// An absolute path.
    fn path(&mut self) -> Option<&'a CStr> {
        let path = CStr::from_bytes_with_nul(self.block()?).ok()?;
        matches!(path.to_bytes(), [b'/', ..]).then_some(path)
    }

    fn fault(&mut self) -> Option<Fault> {
        Some(Fault {
            step: step(self.word()?)?,
            errno: self.word()?.cast_signed(),
        })
    }
}

fn flag(word: u32) -> Option<bool> {
    match word {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// Returns a step's number; 0 for none.
fn step_word(step: Option<Step>) -> u32 {
    step.map_or(0, Step::number)
}

/// Reads what [`step_word`] returns.
fn step(word: u32) -> Option<Option<Step>> {
    match word {
        0 => Some(None),
        number => Step::from_number(number).map(Some),
    }
}

/// The word for no descriptor.
const ABSENT: u32 = u32::MAX;

/// Returns the word of a descriptor, or of none.
fn optional_word(fd: Option<i32>) -> u32 {
    fd.map_or(ABSENT, i32::cast_unsigned)
}

/// Reads what [`optional_word`] returns.
fn optional(word: u32) -> Option<Option<i32>> {
    match word {
        ABSENT => Some(None),
        word => descriptor(word).map(Some),
    }
}

fn descriptor(word: u32) -> Option<i32> {
    i32::try_from(word).ok()
}

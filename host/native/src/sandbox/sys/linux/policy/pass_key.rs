//! The key by which a session's server passes the filter that its children have too.
//!
//! A filter is inherited and sees nothing of who calls but the registers. So three
//! calls are made only where the registers that they do not use carry 128 random
//! bits, drawn for each session. Rejected: a second filter for each child, which
//! the kernel takes 50 us to install.
//!
//! Whom it must not reach is the children. It travels in the sealed configuration,
//! which the server and pid 1 close and unmap before there are children; the server
//! is in the host's pid namespace, where nobody inside can name it, and neither is
//! dumpable, so that nobody reads its memory or its registers; those of the vfork
//! child are gone with its exec. A filter cannot be read back without
//! `CAP_SYS_ADMIN` in the host's own user namespace, and takes the same time
//! whatever part of a guess is right.
//!
//! What a key would give, were it known: a process could leave its group, or make
//! the host the parent of one that the host does not know, and live on until its
//! session ends, when only its leader's tree was to be killed; and resolve a path
//! by `openat2`, which reaches nothing that `open` does not, but may leave a set-id
//! bit on a file that it creates.

use std::{fmt, io};

use rustix::io::retry_on_intr;
use rustix::rand::{GetRandomFlags, getrandom};

/// What the last two arguments of a call have to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key([u64; 2]);

impl Key {
    /// Draws a key.
    pub(crate) fn draw() -> io::Result<Self> {
        let mut bytes = [0; 16];
        // Up to 256 bytes come whole.
        let drawn = retry_on_intr(|| getrandom(&mut bytes, GetRandomFlags::empty()))?;
        if drawn != bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let key = u128::from_ne_bytes(bytes);
        #[allow(clippy::cast_possible_truncation, reason = "cut in two")]
        Ok(Self([key as u64, (key >> 64) as u64]))
    }

    /// Returns the key, as arguments.
    pub(crate) fn arguments(self) -> [u64; 2] {
        self.0
    }

    /// Returns the key, as a filter sees it: the lower half of each argument first.
    pub(crate) fn words(self) -> [u32; 4] {
        let [a, b] = self.0;
        #[allow(clippy::cast_possible_truncation, reason = "cut in four")]
        [a as u32, (a >> 32) as u32, b as u32, (b >> 32) as u32]
    }
}

/// Not the key itself: it must not come into a log.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

//! The random number that lets a session's server make calls which the filter, shared with
//! its children, denies to them.
//!
//! The problem: the server must make four calls that its children must not make, and
//! all processes of a session have one filter, which is inherited. A filter sees nothing
//! of its caller but the registers.
//!
//! The way chosen: the four calls are allowed only where the two argument registers
//! that they do not use carry 128 random bits, drawn for each session. Rejected: a second
//! filter for each child, which takes the kernel 50 µs to install.
//!
//! The children must not obtain the pass. It is transferred in the sealed configuration,
//! which the server and pid 1 close and unmap before there are children. The server is in
//! the host's pid namespace, where no process of the session can name it, and neither of
//! the two is dumpable, so that no process reads their memory or registers. The vfork child's
//! registers are replaced when it executes. A filter cannot be read back without
//! `CAP_SYS_ADMIN` in the host's own user namespace, and the comparison takes the same
//! time whichever part of a guess is right.
//!
//! What a leaked pass would allow:
//!
//! - A process could leave its process group, or create a child of the host that the host
//!   does not know, and so survive the kill of its tree until its session ends.
//! - It could resolve a path by `openat2`, which reaches nothing that `open` does not, but
//!   may leave a set-id bit on a file that it creates.

use std::fmt;
use std::io;

/// The required value of the last two arguments of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FilterPass([u64; 2]);

impl FilterPass {
    /// Draws a random pass.
    pub(crate) fn draw() -> io::Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        let number = u128::from_ne_bytes(bytes);
        #[allow(clippy::cast_possible_truncation, reason = "cut in two")]
        Ok(Self([number as u64, (number >> 64) as u64]))
    }

    /// Returns the pass as the last two arguments of a call.
    pub(crate) fn arguments(self) -> [u64; 2] {
        self.0
    }

    /// Returns the pass as a filter loads it: the lower half of each argument first.
    pub(crate) fn words(self) -> [u32; 4] {
        let [a, b] = self.0;
        #[allow(clippy::cast_possible_truncation, reason = "cut in four")]
        [a as u32, (a >> 32) as u32, b as u32, (b >> 32) as u32]
    }
}

/// Without the number, which must not appear in a log.
impl fmt::Debug for FilterPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FilterPass")
    }
}

//! What `capspawn-init` reports when it could not execute a program.

use super::Reader;
use crate::step::{Failure, Step};

/// The bytes of a [`FailureReport`].
pub const FAILURE_BYTES: usize = 8;

/// The step that failed and its error number. The exec that succeeds closes the pipe
/// without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureReport(pub Failure);

impl FailureReport {
    /// Returns the report's bytes.
    pub fn to_bytes(self) -> [u8; FAILURE_BYTES] {
        let Self((step, errno)) = self;
        let [a, b, c, d] = step.number().to_ne_bytes();
        let [e, f, g, h] = errno.to_ne_bytes();
        [a, b, c, d, e, f, g, h]
    }

    /// Reads a report; `None` if the bytes are not one.
    pub fn read(bytes: [u8; FAILURE_BYTES]) -> Option<Self> {
        let mut reader = Reader(&bytes);
        let step = Step::from_number(reader.word()?)?;
        Some(Self((step, reader.word()?.cast_signed())))
    }
}

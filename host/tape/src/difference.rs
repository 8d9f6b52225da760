//! Where a run differs from its tape.

use std::fmt;

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field, such as `argv[1]`, `env.LANG` or `stdin`.
    pub field: String,
    /// What the tape has; none if it has no such field.
    pub expected: Option<String>,
    /// What the run has; none if it has no such field.
    pub found: Option<String>,
}

impl Difference {
    pub(crate) fn new(field: &str, expected: Option<String>, found: Option<String>) -> Self {
        Self {
            field: field.to_owned(),
            expected,
            found,
        }
    }
}

impl fmt::Display for Difference {
    /// Writes the field, and the lines of a diff.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.field)?;
        if let Some(expected) = &self.expected {
            write!(f, "\n  - {expected}")?;
        }
        if let Some(found) = &self.found {
            write!(f, "\n  + {found}")?;
        }
        Ok(())
    }
}

/// A run does not do what its tape has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Divergence {
    /// A request differs from the one that the tape has at its place, or from all that are left.
    #[error("call {call}, {request}: the tape ({line}) has another {difference}")]
    Request {
        /// The number of the request in the run, from 1 on.
        call: usize,
        /// The request.
        request: String,
        /// Where the tape has the call that is nearest: `line 7`.
        line: String,
        /// The first difference.
        difference: Box<Difference>,
    },
    /// The run has a request more than the tape.
    #[error("call {call}, {request}: the tape has no call that is left, it ends with call {calls}")]
    Exhausted {
        /// The number of the request in the run, from 1 on.
        call: usize,
        /// The request.
        request: String,
        /// How many calls the tape has.
        calls: usize,
    },
    /// The run ended, and the tape has another call.
    #[error("the run ended before call {call} of the tape ({line}), {request}")]
    NotMade {
        /// The number of the call in the tape, from 1 on.
        call: usize,
        /// The request.
        request: String,
        /// Where the tape has the call: `line 7`.
        line: String,
    },
    /// A child was started as in the tape, and then received something else.
    #[error("call {call} of the tape ({line}), {request}: the run has another {difference}")]
    Child {
        /// The number of the call in the tape, from 1 on.
        call: usize,
        /// The request.
        request: String,
        /// Where the tape has the call: `line 7`.
        line: String,
        /// The difference.
        difference: Box<Difference>,
    },
    /// The tape has only the beginning of a stream.
    #[error(
        "call {call} of the tape ({line}), {request}: the tape has {kept} of the {bytes} bytes of {stream} \
         (sha256 {sha256}): record with a larger bound"
    )]
    Cut {
        /// The number of the call in the tape, from 1 on.
        call: usize,
        /// The request.
        request: String,
        /// Where the tape has the call: `line 7`.
        line: String,
        /// `stdout` or `stderr`.
        stream: String,
        /// The bytes that the tape has.
        kept: u64,
        /// The bytes that there were.
        bytes: u64,
        /// The hash of all of them.
        sha256: String,
    },
}

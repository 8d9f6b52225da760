//! What a session reports to the host.

use super::{Reader, step, step_word};
use crate::step::Step;

/// The bytes of a [`Report`]. A child's announcement, which may come before it, has 4.
pub const REPORT_BYTES: usize = 16;

const STARTED: u32 = 1;
const FAILED: u32 = 2;
const READY: u32 = 3;
const REFUSED: u32 = 4;
const STATE: u32 = 5;

/// A report, on the control socket or on the socket that came along with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// A child executes its program.
    Started {
        /// The child's pid, as the host sees it. Its pidfd comes along where the kernel passes it.
        pid: u32,
    },
    /// The session could not be made.
    Failed {
        /// The step that failed.
        step: Step,
        /// Its error number.
        errno: i32,
        /// The index of the operation that failed, where the step is [`Step::Root`].
        operation: u32,
    },
    /// A server takes requests.
    Ready {
        /// Pid 1 of the session whose first server reports this, as the host sees it; 0 from any other server.
        pid_1: u32,
    },
    /// What children have left in the session.
    State {
        /// Whether there is anything that a later child would find.
        found: bool,
    },
    /// A child could not be started.
    Refused {
        /// The step that failed; `None` if the child could not be cloned.
        step: Option<Step>,
        /// Its error number.
        errno: i32,
        /// The pid of the process that failed, which the host has to reap; 0 if there was none.
        pid: u32,
    },
}

impl Report {
    /// Returns the report's bytes.
    pub fn to_bytes(&self) -> [u8; REPORT_BYTES] {
        let words = match *self {
            Self::Started { pid } => [STARTED, pid, 0, 0],
            Self::Failed {
                step,
                errno,
                operation,
            } => [FAILED, step.number(), errno.cast_unsigned(), operation],
            Self::Ready { pid_1 } => [READY, pid_1, 0, 0],
            Self::State { found } => [STATE, found.into(), 0, 0],
            Self::Refused { step, errno, pid } => {
                [REFUSED, step_word(step), errno.cast_unsigned(), pid]
            }
        };
        let mut bytes = [0; REPORT_BYTES];
        let (places, _) = bytes.as_chunks_mut();
        for (place, word) in places.iter_mut().zip(words) {
            *place = word.to_ne_bytes();
        }
        bytes
    }

    /// Reads a report; `None` if the bytes are not one.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let mut word = || reader.word();
        let report = match [word()?, word()?, word()?, word()?] {
            [STARTED, pid, 0, 0] => Self::Started { pid },
            [FAILED, number, errno, operation] => Self::Failed {
                step: Step::from_number(number)?,
                errno: errno.cast_signed(),
                operation,
            },
            [READY, pid_1, 0, 0] => Self::Ready { pid_1 },
            [STATE, found @ 0..=1, 0, 0] => Self::State { found: found == 1 },
            [REFUSED, number, errno, pid] => Self::Refused {
                step: step(number)?,
                errno: errno.cast_signed(),
                pid,
            },
            _ => return None,
        };
        reader.0.is_empty().then_some(report)
    }
}

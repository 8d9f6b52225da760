//! The arguments of `capspawn-init`: one string of hexadecimal digits in its `argv[0]`.
//!
//! The other arguments and the environment belong to the program that it executes. So all
//! of its own are in one string, which is printable, since `ps(1)` shows it.

use super::{descriptor, flag, optional, optional_word, step, step_word};
use crate::step::Fault;

/// The words of the arguments: the task, and what it needs.
const WORDS: usize = 10;
/// A word has eight digits.
const BYTES: usize = WORDS * 8;

const EXECUTE: u32 = 0;
const PROBE: u32 = 1;
const WATCH: u32 = 2;
const SESSION: u32 = 3;
const MAP_IDS: u32 = 4;
const SERVE: u32 = 5;

/// What a process of `capspawn-init` does. Descriptors are inherited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitArgs {
    /// Changes its user, confines itself and executes a program.
    Execute(ExecuteArgs),
    /// Tries what its confinement should deny, and exits with the findings.
    Probe {
        /// The pid of a process that it tries to signal.
        canary: u32,
        /// Whether it runs in a session, which has a root of its own.
        in_session: bool,
        /// Whether a process may leave its group and its session.
        free_groups: bool,
    },
    /// Kills the children of a host that has died.
    Watch {
        /// The socket that ends with the host.
        socket: i32,
    },
    /// Holds a user namespace until the host has taken it.
    MapIds {
        /// The socket on which the process reports that the namespace is made, and with which
        /// the process ends.
        socket: i32,
    },
    /// Is the server and the pid 1 of a session.
    Session(SessionArgs),
    /// Is the first server of children outside a session.
    Serve {
        /// The socket on which the server takes requests; the server ends with it.
        control: i32,
        /// The socket on which children announce themselves.
        announcements: i32,
    },
}

/// The arguments of a process that executes a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecuteArgs {
    /// The program.
    pub program: i32,
    /// The pipe on which a failure is reported.
    pub report: i32,
    /// The user that the process becomes.
    pub uid: u32,
    /// The group that it becomes.
    pub gid: u32,
    /// The Landlock ruleset.
    pub ruleset: Option<i32>,
    /// A file with the instructions of the seccomp filter.
    pub filter: Option<i32>,
    /// The most tasks that the user may have, set after the change of the user: the kernel
    /// would fail the exec of a process that changes to a user with more. `u32::MAX` sets no limit.
    pub user_tasks: u32,
    /// The step that tests make fail.
    pub fault: Fault,
}

/// The arguments of a session's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionArgs {
    /// A sealed file with the [`Configuration`](super::Configuration).
    pub configuration: i32,
    /// The socket on which the server takes requests; the server ends with it.
    pub control: i32,
    /// The socket that ends with the host; pid 1 ends with it.
    pub lifeline: i32,
    /// The socket on which children announce themselves.
    pub announcements: i32,
    /// The grant's Landlock ruleset.
    pub ruleset: Option<i32>,
    /// The step that tests make fail.
    pub fault: Fault,
}

/// [`InitArgs`] as a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodedArgs([u8; BYTES]);

impl EncodedArgs {
    /// Returns the string.
    pub fn as_str(&self) -> &str {
        // Digits are UTF-8 at any time.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl InitArgs {
    /// The bytes of the string, without its NUL.
    pub const BYTES: usize = BYTES;

    /// Returns the arguments as a string.
    pub fn encode(&self) -> EncodedArgs {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let mut string = [b'0'; BYTES];
        let (places, _) = string.as_chunks_mut::<8>();
        for (place, word) in places.iter_mut().zip(self.words()) {
            for (digit, shift) in place.iter_mut().rev().zip((0..32).step_by(4)) {
                let value = word.wrapping_shr(shift) & 0xf;
                *digit = DIGITS.get(value as usize).copied().unwrap_or(b'0');
            }
        }
        EncodedArgs(string)
    }

    /// Reads the string, without its NUL; `None` if it is not one that [`Self::encode`] returns.
    pub fn read(string: &[u8]) -> Option<Self> {
        let string: &[u8; BYTES] = string.try_into().ok()?;
        let (places, _) = string.as_chunks::<8>();
        let mut words = [0; WORDS];
        for (word, place) in words.iter_mut().zip(places) {
            for digit in place {
                let value = match digit {
                    b'0'..=b'9' => digit.wrapping_sub(b'0'),
                    b'a'..=b'f' => digit.wrapping_sub(b'a').wrapping_add(10),
                    _ => return None,
                };
                *word = *word << 4 | u32::from(value);
            }
        }
        let args = Self::from_words(words)?;
        // Words that the task does not use are zero.
        (args.words() == words).then_some(args)
    }

    fn words(&self) -> [u32; WORDS] {
        match *self {
            Self::Execute(args) => [
                EXECUTE,
                args.program.cast_unsigned(),
                args.report.cast_unsigned(),
                args.uid,
                args.gid,
                optional_word(args.ruleset),
                optional_word(args.filter),
                args.user_tasks,
                step_word(args.fault.step),
                args.fault.errno.cast_unsigned(),
            ],
            Self::Probe {
                canary,
                in_session,
                free_groups,
            } => {
                let flags = [in_session, free_groups].map(u32::from);
                [PROBE, canary, flags[0], flags[1], 0, 0, 0, 0, 0, 0]
            }
            Self::Watch { socket } => [WATCH, socket.cast_unsigned(), 0, 0, 0, 0, 0, 0, 0, 0],
            Self::MapIds { socket } => [MAP_IDS, socket.cast_unsigned(), 0, 0, 0, 0, 0, 0, 0, 0],
            Self::Serve {
                control,
                announcements,
            } => {
                let [control, announcements] = [control, announcements].map(i32::cast_unsigned);
                [SERVE, control, announcements, 0, 0, 0, 0, 0, 0, 0]
            }
            Self::Session(args) => [
                SESSION,
                args.configuration.cast_unsigned(),
                args.control.cast_unsigned(),
                args.lifeline.cast_unsigned(),
                args.announcements.cast_unsigned(),
                optional_word(args.ruleset),
                step_word(args.fault.step),
                args.fault.errno.cast_unsigned(),
                0,
                0,
            ],
        }
    }

    fn from_words([task, a, b, c, d, e, f, g, h, i]: [u32; WORDS]) -> Option<Self> {
        let fault = |number, errno: u32| {
            Some(Fault {
                step: step(number)?,
                errno: errno.cast_signed(),
            })
        };
        Some(match task {
            EXECUTE => Self::Execute(ExecuteArgs {
                program: descriptor(a)?,
                report: descriptor(b)?,
                uid: c,
                gid: d,
                ruleset: optional(e)?,
                filter: optional(f)?,
                user_tasks: g,
                fault: fault(h, i)?,
            }),
            PROBE => Self::Probe {
                canary: a,
                in_session: flag(b)?,
                free_groups: flag(c)?,
            },
            WATCH => Self::Watch {
                socket: descriptor(a)?,
            },
            MAP_IDS => Self::MapIds {
                socket: descriptor(a)?,
            },
            SERVE => Self::Serve {
                control: descriptor(a)?,
                announcements: descriptor(b)?,
            },
            SESSION => Self::Session(SessionArgs {
                configuration: descriptor(a)?,
                control: descriptor(b)?,
                lifeline: descriptor(c)?,
                announcements: descriptor(d)?,
                ruleset: optional(e)?,
                fault: fault(f, g)?,
            }),
            _ => return None,
        })
    }
}

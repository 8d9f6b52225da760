//! What the host and a session's helper say to each other.
//!
//! Three formats: the configuration, read once from a sealed memfd; the requests
//! that follow on the control socket; the reports that come back. (A child says that
//! it is there in four bytes, whose sender alone counts.) Native byte
//! order, since both ends are one machine and one build. The readers are pure
//! functions over bytes: every length is checked, nothing is indexed, and the
//! host's tests run them on random input. The file uses `core` alone and is part
//! of the crate and of the helper both.

use core::ffi::CStr;

/// The most bytes that a request carries itself; larger strings come in a sealed memfd.
pub const MAX_INLINE: usize = 32 * 1024;
/// A datagram: the words of the request, its affinity, its limits, its strings.
pub const MAX_DATAGRAM: usize = MAX_INLINE + 1024;
/// The most bytes of strings in a memfd: above the registry's `MAX_REQUEST_BYTES`.
pub const MAX_SHARED: usize = 4 * 1024 * 1024;
/// The most strings: argument and environment together, at nine bytes a string
/// (the shortest, its NUL and its pointer) in a request of 1 MiB.
pub const MAX_STRINGS: usize = 120_000;
/// The most resource limits of a child.
pub const MAX_LIMITS: usize = 16;
/// The bits of the streams that come along with a spawn.
pub const STREAMS: [u32; 3] = [1, 2, 4];
/// The most descriptors of a spawn: three streams, the program, the socket for the
/// answer and the strings, of which a request says whether they come along.
pub const SPAWN_DESCRIPTORS: usize = 6;

/// Reads fields one after the other.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// Returns the next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Returns the next word.
    pub fn word(&mut self) -> Option<u32> {
        let (word, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_ne_bytes(*word))
    }

    /// Returns the next double word.
    pub fn long(&mut self) -> Option<u64> {
        let (long, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_ne_bytes(*long))
    }

    fn block(&mut self) -> Option<&'a [u8]> {
        let count = self.word()?;
        self.bytes(usize::try_from(count).ok()?)
    }

    fn path(&mut self) -> Option<&'a CStr> {
        let path = CStr::from_bytes_with_nul(self.block()?).ok()?;
        matches!(path.to_bytes(), [b'/', ..]).then_some(path)
    }
}

fn truth(word: u32) -> Option<bool> {
    match word {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// A configuration's flags.
pub mod flag {
    /// Change to the user and group first.
    pub const BECOME_USER: u32 = 1;
    /// A network namespace of its own.
    pub const OWN_NETWORK: u32 = 2;
    /// The loopback interface is up in it.
    pub const LOOPBACK: u32 = 4;
}

/// Returns the key at the head of a configuration: what the last two arguments of
/// the server's own calls carry, by which the filter lets them pass. Apart from the
/// rest, so that only who serves ever has it on its stack.
pub fn key(bytes: &[u8]) -> Option<[u64; 2]> {
    let mut reader = Reader(bytes);
    Some([reader.long()?, reader.long()?])
}

/// What one session is: who, which limits, which filter, which root. Not shown: the
/// filter has the key in it.
#[derive(Clone, Copy)]
pub struct Configuration<'a> {
    pub flags: u32,
    pub uid: u32,
    pub gid: u32,
    /// Tasks, the session's own two included; the greatest value is no limit.
    pub tasks: u64,
    /// Landlock rights for what the session has of its own.
    pub list: u64,
    /// The same for `/proc`.
    pub proc: u64,
    /// The same for `/tmp` and `/dev/shm`.
    pub write: u64,
    /// The Landlock scopes of each child's own domain.
    pub scopes: u64,
    /// The filter of the session and all in it, as `struct sock_filter`s.
    pub filter: &'a [u8],
    /// The operations that make the root.
    operations: &'a [u8],
}

impl<'a> Configuration<'a> {
    /// Reads a configuration; none if it is not one.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        reader.bytes(size_of::<[u64; 2]>())?;
        Some(Self {
            flags: reader.word()?,
            uid: reader.word()?,
            gid: reader.word()?,
            tasks: reader.long()?,
            list: reader.long()?,
            proc: reader.long()?,
            write: reader.long()?,
            scopes: reader.long()?,
            filter: reader.block()?,
            operations: reader.0,
        })
    }

    /// Returns the operations, each read as it is reached; `Err` ends them.
    pub fn operations(&self) -> impl Iterator<Item = Result<Operation<'a>, ()>> {
        let mut reader = Reader(self.operations);
        core::iter::from_fn(move || {
            if reader.0.is_empty() {
                return None;
            }
            let operation = Operation::read(&mut reader);
            if operation.is_none() {
                reader.0 = &[];
            }
            Some(operation.ok_or(()))
        })
    }
}

/// One step in making the root, in the order in which they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Shows the host's `path` at the same place.
    Bind {
        path: &'a CStr,
        writable: bool,
        required: bool,
    },
    /// A minimal `/dev`, with so many bytes in `/dev/shm`.
    Dev { bytes: u64 },
    /// A fresh `/proc`, where the system lets it be mounted.
    Proc,
    /// `/tmp`, with so many bytes.
    Tmp { bytes: u64 },
    /// Keeps the directory from being renamed.
    Pin { path: &'a CStr },
    /// Hides what is there.
    Hole { path: &'a CStr, required: bool },
    /// Shows the root's own `path` at `at` too.
    Alias { path: &'a CStr, at: &'a CStr },
}

const BIND: u32 = 1;
const DEV: u32 = 2;
const PROC: u32 = 3;
const TMP: u32 = 4;
const PIN: u32 = 5;
const HOLE: u32 = 6;
const ALIAS: u32 = 7;

impl<'a> Operation<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(match reader.word()? {
            BIND => Self::Bind {
                writable: truth(reader.word()?)?,
                required: truth(reader.word()?)?,
                path: reader.path()?,
            },
            DEV => Self::Dev {
                bytes: reader.long()?,
            },
            PROC => Self::Proc,
            TMP => Self::Tmp {
                bytes: reader.long()?,
            },
            PIN => Self::Pin {
                path: reader.path()?,
            },
            HOLE => Self::Hole {
                required: truth(reader.word()?)?,
                path: reader.path()?,
            },
            ALIAS => Self::Alias {
                path: reader.path()?,
                at: reader.path()?,
            },
            _ => return None,
        })
    }

    /// Appends the operation by `push`, which appends bytes.
    pub fn write(&self, mut push: impl FnMut(&[u8])) {
        let mut word = |word: u32| push(&word.to_ne_bytes());
        match self {
            Self::Bind {
                writable, required, ..
            } => {
                word(BIND);
                word(u32::from(*writable));
                word(u32::from(*required));
            }
            Self::Dev { .. } => word(DEV),
            Self::Proc => word(PROC),
            Self::Tmp { .. } => word(TMP),
            Self::Pin { .. } => word(PIN),
            Self::Hole { required, .. } => {
                word(HOLE);
                word(u32::from(*required));
            }
            Self::Alias { .. } => word(ALIAS),
        }
        if let Self::Dev { bytes } | Self::Tmp { bytes } = self {
            push(&bytes.to_ne_bytes());
        }
        let paths = match self {
            Self::Bind { path, .. } | Self::Pin { path } | Self::Hole { path, .. } => {
                [Some(*path), None]
            }
            Self::Alias { path, at } => [Some(*path), Some(*at)],
            Self::Dev { .. } | Self::Proc | Self::Tmp { .. } => [None, None],
        };
        for path in paths.into_iter().flatten() {
            let bytes = path.to_bytes_with_nul();
            push(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_ne_bytes());
            push(bytes);
        }
    }
}

/// A child to start: what the host asks for. Its strings are the working directory,
/// the program's path inside, the arguments and the environment, each ended by a NUL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spawn<'a> {
    pub arguments: usize,
    pub variables: usize,
    /// A step that is made to fail, for the tests.
    pub fault: (u32, i32),
    /// The processors that the child may run on, as `sched_setaffinity` takes them; none for the server's.
    pub affinity: Option<&'a [u8; 128]>,
    /// Records of a resource (a double word) and its two values.
    pub limits: &'a [u8],
    /// Which standard streams come along, a bit each from the lowest; the others are the null device.
    pub streams: u32,
    /// The answer goes to a socket that comes along, not to the control socket.
    pub apart: bool,
    /// None where they come in a memfd.
    pub strings: Option<&'a [u8]>,
}

/// The bytes of one resource limit.
pub const LIMIT_BYTES: usize = 24;

impl<'a> Spawn<'a> {
    /// Reads a datagram; none if it is not a request.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let arguments = usize::try_from(reader.word()?).ok()?;
        let variables = usize::try_from(reader.word()?).ok()?;
        let fault = (reader.word()?, reader.word()?.cast_signed());
        let affinity = match reader.block()? {
            [] => None,
            affinity => Some(affinity.try_into().ok()?),
        };
        let limits = reader.block()?;
        let streams = reader.word().filter(|streams| *streams < 8)?;
        let apart = truth(reader.word()?)?;
        let shared = truth(reader.word()?)?;
        let few =
            limits.len().is_multiple_of(LIMIT_BYTES) && limits.len() / LIMIT_BYTES <= MAX_LIMITS;
        // An argument vector has its program's name at least.
        if !few || arguments == 0 || arguments.checked_add(variables)? > MAX_STRINGS {
            return None;
        }
        let strings = match shared {
            false => Some(reader.0),
            true if reader.0.is_empty() => None,
            true => return None,
        };
        Some(Self {
            arguments,
            variables,
            fault,
            affinity,
            limits,
            streams,
            apart,
            strings,
        })
    }

    /// Returns the resource limits: number, soft and hard value.
    pub fn limits(&self) -> impl Iterator<Item = (u32, [u64; 2])> {
        let mut reader = Reader(self.limits);
        core::iter::from_fn(move || {
            let resource = u32::try_from(reader.long()?).ok()?;
            Some((resource, [reader.long()?, reader.long()?]))
        })
    }

    /// Splits `strings` into the working directory and the program's path, and
    /// fills `pointers` as `execveat` takes them: the arguments, null, the
    /// environment, null. None unless there are exactly as many strings as were
    /// announced.
    pub fn split<'s>(
        &self,
        strings: &'s [u8],
        pointers: &mut [*const u8],
    ) -> Option<(&'s CStr, &'s CStr)> {
        let mut rest = strings;
        let mut next = || {
            let string = CStr::from_bytes_until_nul(rest).ok()?;
            rest = rest.get(string.to_bytes_with_nul().len()..)?;
            Some(string)
        };
        let cwd = next()?;
        let program = next()?;
        let mut slots = pointers.iter_mut();
        for count in [self.arguments, self.variables] {
            for _ in 0..count {
                *slots.next()? = next()?.as_ptr().cast();
            }
            *slots.next()? = core::ptr::null();
        }
        rest.is_empty().then_some((cwd, program))
    }
}

/// What comes back, on the control socket or on a launch's own. Always 16 bytes: a
/// child's word before its server's has 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// A child executes. It has this number for the host, and its pidfd comes along
    /// where the system lets it.
    Started { pid: u32 },
    /// A step of the session failed, with this error number; where the root was made,
    /// at this operation.
    Failed {
        step: u32,
        errno: i32,
        operation: u32,
    },
    /// The session is ready.
    Ready,
    /// A step of a child failed. It has this number, or 0 where it was never made.
    Refused { step: u32, errno: i32, pid: u32 },
}

/// The bytes of a report.
pub const REPORT_BYTES: usize = 16;

impl Report {
    /// Returns the report's bytes.
    pub fn bytes(&self) -> [u8; REPORT_BYTES] {
        let words = match *self {
            Self::Started { pid } => [1, pid, 0, 0],
            Self::Failed {
                step,
                errno,
                operation,
            } => [2, step, errno.cast_unsigned(), operation],
            Self::Ready => [3, 0, 0, 0],
            Self::Refused { step, errno, pid } => [4, step, errno.cast_unsigned(), pid],
        };
        let mut bytes = [0; REPORT_BYTES];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    /// Reads a report; none if it is not one.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let mut word = || reader.word();
        let [kind, first, second, third] = [word()?, word()?, word()?, word()?];
        let report = match kind {
            1 => Self::Started { pid: first },
            2 => Self::Failed {
                step: first,
                errno: second.cast_signed(),
                operation: third,
            },
            3 => Self::Ready,
            4 => Self::Refused {
                step: first,
                errno: second.cast_signed(),
                pid: third,
            },
            _ => return None,
        };
        reader.0.is_empty().then_some(report)
    }
}

//! A session's configuration, which its processes read once.

use core::ffi::CStr;
use core::fmt;

use super::{Reader, Writer, optional, optional_word};

/// What one session is: its user, its limits, its filter and its root.
///
/// In the file the filter's pass comes first. It is not a field: the server alone reads it,
/// by [`filter_pass`], so that no other process has it on its stack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Configuration<'a> {
    /// Whether to change to the user and the group first, which needs a privileged host.
    pub becomes_user: bool,
    /// Whether the session's cgroup becomes the root of what its processes see of cgroups. The
    /// server could not clone children into cgroups outside of it.
    pub hides_cgroup: bool,
    /// The network of the session.
    pub network: NetworkNamespace,
    /// The user of the session.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// The number by which the session's processes see the user. The group keeps its own.
    pub inner_uid: u32,
    /// The most System V shared memory of the session, in bytes.
    pub shared_memory_bytes: u64,
    /// The Landlock rights, as the kernel's bits, for the session's own root: to list it.
    pub list_rights: u64,
    /// The same for its `/proc`.
    pub proc_rights: u64,
    /// The same for its `/tmp` and `/dev/shm`.
    pub write_rights: u64,
    /// The same for its terminals.
    pub terminal_rights: u64,
    /// The Landlock scopes of each child's own domain, as the kernel's bits.
    pub scopes: u64,
    /// The seccomp filter of all the session's processes, as
    /// [`Instruction::to_bytes`](crate::filter::Instruction::to_bytes) writes instructions.
    pub filter: &'a [u8],
    /// The filter that denies System V IPC, in the same format, for a session that cannot limit it.
    pub system_v_filter: &'a [u8],
    /// The operations that make the root, as [`Operation::write`] writes them.
    pub operations: &'a [u8],
}

/// The host name of a session with a network of its own.
pub const HOST_NAME: &str = "capspawn";

/// The network of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum NetworkNamespace {
    /// The host's.
    Host = 0,
    /// One of its own, in which no interface is up.
    Own = 1,
    /// One of its own, in which the loopback interface is up.
    OwnWithLoopback = 2,
}

impl NetworkNamespace {
    /// Whether it is one of the session's own.
    pub fn is_own(self) -> bool {
        self != Self::Host
    }

    fn read(word: u32) -> Option<Self> {
        let all = [Self::Host, Self::Own, Self::OwnWithLoopback];
        all.into_iter().find(|network| *network as u32 == word)
    }
}

/// Returns the filter's pass at the head of a configuration: what the last two arguments of
/// the server's own calls carry.
pub fn filter_pass(bytes: &[u8]) -> Option<[u64; 2]> {
    let mut reader = Reader(bytes);
    Some([reader.long()?, reader.long()?])
}

impl<'a> Configuration<'a> {
    /// Writes a configuration with the pass `filter_pass`, through `push`, which appends bytes.
    pub fn write(&self, filter_pass: [u64; 2], push: impl FnMut(&[u8])) {
        let mut writer = Writer(push);
        for word in filter_pass {
            writer.long(word);
        }
        writer.flag(self.becomes_user);
        writer.flag(self.hides_cgroup);
        writer.word(self.network as u32);
        writer.word(self.uid);
        writer.word(self.gid);
        writer.word(self.inner_uid);
        writer.long(self.shared_memory_bytes);
        writer.long(self.list_rights);
        writer.long(self.proc_rights);
        writer.long(self.write_rights);
        writer.long(self.terminal_rights);
        writer.long(self.scopes);
        writer.block(self.filter);
        writer.block(self.system_v_filter);
        writer.bytes(self.operations);
    }

    /// Reads a configuration; `None` if the bytes are not one.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        reader.bytes(size_of::<[u64; 2]>())?;
        Some(Self {
            becomes_user: reader.flag()?,
            hides_cgroup: reader.flag()?,
            network: NetworkNamespace::read(reader.word()?)?,
            uid: reader.word()?,
            gid: reader.word()?,
            inner_uid: reader.word()?,
            shared_memory_bytes: reader.long()?,
            list_rights: reader.long()?,
            proc_rights: reader.long()?,
            write_rights: reader.long()?,
            terminal_rights: reader.long()?,
            scopes: reader.long()?,
            filter: reader.block()?,
            system_v_filter: reader.block()?,
            operations: reader.0,
        })
    }

    /// Returns the operations. Each is read when the iterator reaches it; an error is the last item.
    pub fn operations(&self) -> impl Iterator<Item = Result<Operation<'a>, Malformed>> {
        let mut reader = Reader(self.operations);
        core::iter::from_fn(move || {
            if reader.0.is_empty() {
                return None;
            }
            let operation = Operation::read(&mut reader);
            if operation.is_none() {
                reader.0 = &[];
            }
            Some(operation.ok_or(Malformed))
        })
    }
}

/// Not the filter, which contains the pass.
impl fmt::Debug for Configuration<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configuration")
            .field("network", &self.network)
            .field("uid", &self.uid)
            .field("gid", &self.gid)
            .finish_non_exhaustive()
    }
}

/// Bytes that are not an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// One step in making the root, in the order in which they are sent. Paths are absolute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Shows a path of the host at the same place.
    Bind {
        /// The inherited descriptor of a detached mount of the path, where the host has made
        /// one. Without it the session makes the mount.
        mount: Option<i32>,
        /// The path.
        path: &'a CStr,
        /// Whether it may be written to.
        writable: bool,
        /// Whether it is an error that the path does not exist.
        required: bool,
    },
    /// A minimal `/dev`.
    Dev {
        /// The size of `/dev/shm`, in bytes.
        bytes: u64,
    },
    /// A fresh `/proc`, where the kernel allows the mount.
    Proc,
    /// A private `/tmp`.
    Tmp {
        /// Its size, in bytes.
        bytes: u64,
    },
    /// A file of the session's own, read-only, in place of the host's where a granted directory has one.
    File {
        /// The path.
        path: &'a CStr,
        /// Whether it replaces what is at the path; otherwise that stays.
        replaces: bool,
        /// What the file contains.
        contents: &'a [u8],
    },
    /// Keeps a directory from being renamed.
    Pin {
        /// The directory.
        path: &'a CStr,
    },
    /// Hides a path, as the masked paths of an OCI container.
    Mask {
        /// The path.
        path: &'a CStr,
        /// Whether it is an error that the path does not exist.
        required: bool,
    },
    /// Shows a path of the root at a second place.
    Alias {
        /// The path.
        path: &'a CStr,
        /// The second place.
        at: &'a CStr,
    },
}

const BIND: u32 = 1;
const DEV: u32 = 2;
const PROC: u32 = 3;
const TMP: u32 = 4;
const PIN: u32 = 5;
const MASK: u32 = 6;
const ALIAS: u32 = 7;
const FILE: u32 = 8;

impl<'a> Operation<'a> {
    /// Writes the operation through `push`, which appends bytes.
    pub fn write(&self, push: impl FnMut(&[u8])) {
        let mut writer = Writer(push);
        match *self {
            Self::Bind {
                mount,
                path,
                writable,
                required,
            } => {
                writer.word(BIND);
                writer.word(optional_word(mount));
                writer.flag(writable);
                writer.flag(required);
                writer.path(path);
            }
            Self::Dev { bytes } => {
                writer.word(DEV);
                writer.long(bytes);
            }
            Self::Proc => writer.word(PROC),
            Self::Tmp { bytes } => {
                writer.word(TMP);
                writer.long(bytes);
            }
            Self::File {
                path,
                replaces,
                contents,
            } => {
                writer.word(FILE);
                writer.flag(replaces);
                writer.path(path);
                writer.block(contents);
            }
            Self::Pin { path } => {
                writer.word(PIN);
                writer.path(path);
            }
            Self::Mask { path, required } => {
                writer.word(MASK);
                writer.flag(required);
                writer.path(path);
            }
            Self::Alias { path, at } => {
                writer.word(ALIAS);
                writer.path(path);
                writer.path(at);
            }
        }
    }

    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(match reader.word()? {
            BIND => Self::Bind {
                mount: optional(reader.word()?)?,
                writable: reader.flag()?,
                required: reader.flag()?,
                path: reader.path()?,
            },
            DEV => Self::Dev {
                bytes: reader.long()?,
            },
            PROC => Self::Proc,
            TMP => Self::Tmp {
                bytes: reader.long()?,
            },
            FILE => Self::File {
                replaces: reader.flag()?,
                path: reader.path()?,
                contents: reader.block()?,
            },
            PIN => Self::Pin {
                path: reader.path()?,
            },
            MASK => Self::Mask {
                required: reader.flag()?,
                path: reader.path()?,
            },
            ALIAS => Self::Alias {
                path: reader.path()?,
                at: reader.path()?,
            },
            _ => return None,
        })
    }
}

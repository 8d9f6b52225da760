//! A request to a session's server: start a child.
//!
//! It is one datagram with descriptors. The strings follow its head, or come in a sealed
//! memfd if they are longer than [`MAX_INLINE`]: the server's buffer for a datagram stays
//! small.

use core::ffi::{CStr, c_char};

use super::{Reader, Writer};
use crate::affinity::Affinity;
use crate::limit::{Limit, LimitList, MAX_LIMITS};
use crate::step::Fault;
use crate::string_array::StringArray;
use crate::user::ChildUser;

/// The most bytes of strings in a datagram; more come in a sealed memfd.
pub const MAX_INLINE: usize = 32 * 1024;
/// The most bytes before the strings: twenty words (the first is the kind of the request), the
/// affinity, and for each limit a word and two double words.
pub const MAX_HEAD: usize = 20 * 4 + size_of::<Affinity>() + MAX_LIMITS * (4 + 2 * 8);
/// The most bytes of a request.
pub const MAX_DATAGRAM: usize = MAX_HEAD + MAX_INLINE;
/// The most bytes of strings in a memfd: more than the registry's `MAX_REQUEST_BYTES`.
pub const MAX_SHARED: usize = 4 * 1024 * 1024;
/// The most strings, arguments and environment together: a request of 1 MiB at nine bytes a
/// string (the shortest, its NUL and its pointer).
pub const MAX_STRINGS: usize = 120_000;
/// The most descriptors of a request: those of [`SpawnFiles`].
pub const SPAWN_DESCRIPTORS: usize = 12;

/// A child to start.
///
/// Its strings are the working directory, the path of the program inside of the session,
/// the arguments and the environment, each ended by a NUL. An empty working directory is
/// the session's own, and an empty path is no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnRequest<'a> {
    /// The number of arguments, including the program's name.
    pub arguments: u32,
    /// The number of environment variables.
    pub variables: u32,
    /// The step that tests make fail.
    pub fault: Fault,
    /// The processors on which the child may run; `None` for the server's.
    pub affinity: Option<&'a Affinity>,
    /// The resource limits.
    pub limits: LimitList,
    /// Which standard streams come along; the others are the null device.
    pub streams: [bool; 3],
    /// How the child enters its cgroup.
    pub cgroup: CgroupEntry,
    /// What a child outside a session gets in addition; `None` for one in the server's session.
    pub alone: Option<Alone>,
    /// Whether the child's filter reports to an observer: a sealed file with the filter comes along, in a session
    /// too, and a socket to which the child passes the filter's listener.
    pub observed: bool,
    /// The strings; `None` where they come in a memfd.
    pub strings: Option<&'a [u8]>,
}

/// What confines a child outside a session. The descriptor of its working directory comes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alone {
    /// The user that the child becomes.
    pub user: Option<ChildUser>,
    /// Whether a Landlock ruleset comes along.
    pub has_ruleset: bool,
    /// Whether a sealed file with a seccomp filter comes along.
    pub has_filter: bool,
    /// Whether the child locks its securebits, which needs `CAP_SETPCAP`.
    pub lock_securebits: bool,
}

impl<'a> SpawnRequest<'a> {
    /// Writes the request without its strings, which follow in the same datagram, through
    /// `push`, which appends bytes.
    pub fn write_head(&self, push: impl FnMut(&[u8])) {
        let mut writer = Writer(push);
        writer.word(self.arguments);
        writer.word(self.variables);
        writer.fault(self.fault);
        writer.block(self.affinity.map_or(&[], |affinity| affinity));
        // At most `MAX_LIMITS`.
        writer.word(u32::try_from(self.limits.len()).unwrap_or(u32::MAX));
        for Limit { resource, values } in self.limits.iter() {
            writer.word(*resource);
            for value in values {
                writer.long(*value);
            }
        }
        let [stdin, stdout, stderr] = self.streams.map(u32::from);
        writer.word(stdin | stdout << 1 | stderr << 2);
        writer.word(self.cgroup.number());
        writer.flag(self.strings.is_none());
        writer.flag(self.observed);
        writer.flag(self.alone.is_some());
        if let Some(alone) = self.alone {
            writer.flag(alone.has_ruleset);
            writer.flag(alone.has_filter);
            writer.flag(alone.lock_securebits);
            writer.flag(alone.user.is_some());
            if let Some(ChildUser { uid, gid, tasks }) = alone.user {
                writer.word(uid);
                writer.word(gid);
                writer.long(tasks.unwrap_or(u64::MAX));
            }
        }
    }

    /// Reads a datagram; `None` if it is not a request.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let arguments = reader.word()?;
        let variables = reader.word()?;
        let fault = reader.fault()?;
        let affinity = match reader.block()? {
            [] => None,
            affinity => Some(affinity.try_into().ok()?),
        };
        let mut limits = LimitList::new();
        for _ in 0..reader.word()? {
            limits.push(Limit {
                resource: reader.word()?,
                values: [reader.long()?, reader.long()?],
            })?;
        }
        let bits = reader.word().filter(|bits| *bits < 8)?;
        let streams = [1, 2, 4].map(|bit| bits & bit != 0);
        let cgroup = CgroupEntry::from_number(reader.word()?)?;
        let in_memfd = reader.flag()?;
        let observed = reader.flag()?;
        let alone = match reader.flag()? {
            false => None,
            true => Some(Alone {
                has_ruleset: reader.flag()?,
                has_filter: reader.flag()?,
                lock_securebits: reader.flag()?,
                user: match reader.flag()? {
                    false => None,
                    true => Some(ChildUser {
                        uid: reader.word()?,
                        gid: reader.word()?,
                        tasks: Some(reader.long()?).filter(|tasks| *tasks != u64::MAX),
                    }),
                },
            }),
        };
        let strings = arguments.checked_add(variables)?;
        // An argument vector has at least the program's name.
        if arguments == 0 || usize::try_from(strings).ok()? > MAX_STRINGS {
            return None;
        }
        let strings = match in_memfd {
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
            cgroup,
            alone,
            observed,
            strings,
        })
    }

    /// Splits `strings` and fills `pointers` as `execveat(2)` takes them: the arguments, a
    /// null pointer, the environment, a null pointer.
    ///
    /// `None` unless there are exactly as many strings as the request announces, and room
    /// for their pointers.
    pub fn split<'s>(
        &self,
        strings: &'s [u8],
        pointers: &'s mut [*const c_char],
    ) -> Option<SpawnStrings<'s>> {
        let mut rest = strings;
        let mut next = || {
            let string = CStr::from_bytes_until_nul(rest).ok()?;
            rest = rest.get(string.to_bytes_with_nul().len()..)?;
            Some(string)
        };
        let cwd = next()?;
        let program = next()?;
        let mut fill = |pointers: &'s mut [*const c_char]| {
            let (end, slots) = pointers.split_last_mut()?;
            for slot in slots {
                *slot = next()?.as_ptr();
            }
            *end = core::ptr::null();
            // SAFETY: each pointer but the last was set to a C string of `strings`, and the last to null. Both slices
            // are borrowed for `'s`.
            Some(unsafe { StringArray::new(pointers.as_ptr()) })
        };
        let with_null = |count| usize::try_from(count).ok()?.checked_add(1);
        let (arguments, pointers) = pointers.split_at_mut_checked(with_null(self.arguments)?)?;
        let (variables, _) = pointers.split_at_mut_checked(with_null(self.variables)?)?;
        let argv = fill(arguments)?;
        let envp = fill(variables)?;
        rest.is_empty().then_some(SpawnStrings {
            cwd,
            program,
            argv,
            envp,
        })
    }
}

/// How a child enters its cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupEntry {
    /// It has no cgroup of its own.
    None,
    /// It writes to this many files, which come along: at most [`MAX_CGROUP_FILES`].
    Write(u32),
    /// It is cloned into the directory that comes along.
    Clone,
}

/// The most files by which a child enters a cgroup: one for each controller that is used.
pub const MAX_CGROUP_FILES: u32 = 3;

impl CgroupEntry {
    /// Returns the number of descriptors that come along.
    pub const fn descriptors(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Write(count) => count,
            Self::Clone => 1,
        }
    }

    fn number(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Write(count) => count,
            Self::Clone => MAX_CGROUP_FILES + 1,
        }
    }

    fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            count @ 1..=MAX_CGROUP_FILES => Some(Self::Write(count)),
            number => (number == MAX_CGROUP_FILES + 1).then_some(Self::Clone),
        }
    }
}

/// The strings of a request, split.
#[derive(Clone, Copy, Debug)]
pub struct SpawnStrings<'a> {
    /// The working directory.
    pub cwd: &'a CStr,
    /// The program's path.
    pub program: &'a CStr,
    /// The arguments.
    pub argv: StringArray<'a>,
    /// The environment.
    pub envp: StringArray<'a>,
}

/// The descriptors that come along with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnFiles<T> {
    /// The standard streams.
    pub streams: [Option<T>; 3],
    /// The program.
    pub program: T,
    /// The files or the directory of the child's cgroup.
    pub cgroup: [Option<T>; MAX_CGROUP_FILES as usize],
    /// The working directory of a child outside a session.
    pub cwd: Option<T>,
    /// Its Landlock ruleset.
    pub ruleset: Option<T>,
    /// Its seccomp filter.
    pub filter: Option<T>,
    /// The socket of the observer.
    pub observer: Option<T>,
    /// The strings.
    pub strings: Option<T>,
}

impl<T> SpawnFiles<T> {
    /// Returns the descriptors in the order in which they are passed.
    pub fn into_passed(self) -> impl Iterator<Item = T> {
        let [stdin, stdout, stderr] = self.streams;
        let program = Some(self.program);
        let first = [stdin, stdout, stderr, program];
        let all = first.into_iter().chain(self.cgroup);
        all.chain([
            self.cwd,
            self.ruleset,
            self.filter,
            self.observer,
            self.strings,
        ])
        .flatten()
    }

    /// Reads the descriptors that were passed with `request`; `None` unless there are exactly
    /// as many as it announces.
    pub fn from_passed(
        request: &SpawnRequest<'_>,
        mut passed: impl Iterator<Item = T>,
    ) -> Option<Self> {
        let mut next = |is_passed: bool| match is_passed {
            true => passed.next().map(Some),
            false => Some(None),
        };
        let [stdin, stdout, stderr] = request.streams.map(&mut next);
        let program = next(true)??;
        let files = request.cgroup.descriptors();
        let alone = request.alone;
        let [a, b, c] = [0, 1, 2].map(|index| next(index < files));
        let files = Self {
            streams: [stdin?, stdout?, stderr?],
            program,
            cgroup: [a?, b?, c?],
            cwd: next(alone.is_some())?,
            ruleset: next(alone.is_some_and(|alone| alone.has_ruleset))?,
            filter: next(request.observed || alone.is_some_and(|alone| alone.has_filter))?,
            observer: next(request.observed)?,
            strings: next(request.strings.is_none())?,
        };
        passed.next().is_none().then_some(files)
    }
}

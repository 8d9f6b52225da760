//! What a host is short of.
//!
//! A shortage is a state of the moment. It shows nothing about what the host can enforce, and the
//! next request may succeed: so nothing of it is remembered, and no weaker confinement is chosen
//! because of it.

use std::io;

use rustix::io::Errno;

/// What the host lacks at the moment, with what the operator can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Shortage {
    /// The host process has no free descriptor. POSIX: `EMFILE`.
    #[error(
        "the host process has no free descriptor: raise its limit on open files (RLIMIT_NOFILE, `ulimit -n`)"
    )]
    Descriptors,
    /// The machine has no free descriptor. POSIX: `ENFILE`.
    #[error("the machine has no free descriptor: raise the sysctl fs.file-max")]
    MachineDescriptors,
    /// Too many descriptors are on their way through UNIX sockets. Linux: `ETOOMANYREFS`.
    #[error(
        "too many descriptors of the host's user are in flight in UNIX sockets: raise the host's limit on open files (RLIMIT_NOFILE, `ulimit -n`), or lower limits.open-files of the children that run as this user"
    )]
    DescriptorsInFlight,
    /// No process or thread can be started. POSIX: `EAGAIN`.
    #[error(
        "no process or thread can be started: raise the limit on processes of the host's user (RLIMIT_NPROC, `ulimit -u`), the pids.max of its cgroup, or the sysctl kernel.pid_max"
    )]
    Processes,
    /// No memory is left. POSIX: `ENOMEM`.
    #[error(
        "no memory is left: raise the memory limit of the host's cgroup, or run fewer children"
    )]
    Memory,
    /// No namespace can be made. Linux: `ENOSPC`, `EUSERS`.
    #[error("no namespace can be made: raise the sysctls user.max_*_namespaces")]
    Namespaces,
    /// No watch over the denied paths can be made. Linux: `EMFILE` or `ENOSPC` of inotify.
    #[error(
        "no inotify instance or watch is left for fs.deny: raise the sysctls fs.inotify.max_user_instances and fs.inotify.max_user_watches"
    )]
    Watches,
    /// Every session that one guest may have runs a child.
    #[error(
        "all sessions of the guest run children: use fewer different confinements in its grant, or wait for an end"
    )]
    Sessions,
    /// Every user id for owners is another owner's.
    #[error("every user id for owners is in use: widen the range of user ids (--owner-uids)")]
    UserIds,
    /// A process of the host was killed before it could do its work.
    #[error(
        "a process of the host (capspawn-init) was killed: look for the kernel's out-of-memory killer, or for a program that kills processes"
    )]
    Killed,
    /// The host did not complete a step in time.
    #[error(
        "a step took the host too long: look for a stopped process, an overloaded machine, or a file system that does not respond"
    )]
    Time,
}

impl Shortage {
    /// Returns what the host lacks where a system call fails with `errno`, whatever the call; none
    /// if that shows no shortage.
    pub(crate) fn of(errno: Errno) -> Option<Self> {
        Some(match errno {
            Errno::MFILE => Self::Descriptors,
            Errno::NFILE => Self::MachineDescriptors,
            Errno::TOOMANYREFS => Self::DescriptorsInFlight,
            Errno::AGAIN => Self::Processes,
            Errno::NOMEM => Self::Memory,
            Errno::TIMEDOUT => Self::Time,
            _ => return None,
        })
    }

    /// Returns the shortage that `error` is or wraps.
    pub(crate) fn within(error: &io::Error) -> Option<Self> {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(shortage) = error.downcast_ref::<Self>() {
                return Some(*shortage);
            }
            cause = match error.downcast_ref::<io::Error>() {
                Some(error) => match Errno::from_io_error(error).map(Self::of) {
                    Some(shortage) => return shortage,
                    None if error.kind() == io::ErrorKind::TimedOut => return Some(Self::Time),
                    None => error.get_ref().map(|inner| inner as _),
                },
                None => error.source(),
            };
        }
        None
    }
}

impl From<Shortage> for io::Error {
    fn from(shortage: Shortage) -> Self {
        Self::other(shortage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_found_also_where_a_library_has_wrapped_it() {
        let wrapped = |error: io::Error| Shortage::within(&io::Error::other(error));
        assert_eq!(wrapped(Errno::MFILE.into()), Some(Shortage::Descriptors));
        assert_eq!(wrapped(Shortage::UserIds.into()), Some(Shortage::UserIds));
        assert_eq!(
            wrapped(io::ErrorKind::TimedOut.into()),
            Some(Shortage::Time)
        );
        assert_eq!(wrapped(Errno::NOSYS.into()), None);
        assert_eq!(wrapped(io::Error::other("else")), None);
    }
}

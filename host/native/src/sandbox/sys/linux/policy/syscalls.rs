//! The policy for system calls: the table that all tiers share, and what a session
//! changes in it.
//!
//! The problem: a filter has to stop the calls that reach outside a confinement, without
//! breaking ordinary programs, and it sees the arguments in registers only.
//!
//! The way chosen: a table of denied calls, closed at its end: a number beyond the last
//! known call returns `ENOSYS`. `openat2` and `clone3` take their arguments from memory,
//! which a filter cannot read; they return `ENOSYS` too, and libraries fall back. Rejected: a
//! table of allowed calls. It breaks harmless programs, and a call that is allowed for a
//! good reason is as dangerous in either table.

mod arguments;

use capspawn_raw::filter::Instruction;

use self::arguments::{
    BIND_ROUTES, CLONE, DENY, FCNTL, IGNORE, IOCTL, IOCTL_CLOSED, IOPRIO_SET,
    IOPRIO_SET_IN_SESSION, MEMFD_CREATE, MKNOD, MKNODAT, MODE_1, MODE_2, ModeRule, NO_SUCH_CALL,
    NOT_PID_1, OPEN, OPENAT, PERSONALITY, PRLIMIT, PRLIMIT_IN_SESSION, SELF_ONLY, SETPRIORITY,
    SETPRIORITY_IN_SESSION, SETRLIMIT, SETSOCKOPT_CLOSED, SHMGET, SOCKET_INTERNET, SOCKET_OPEN,
    SOCKET_ROUTES, SOCKETPAIR_CLOSED, SOCKETPAIR_OPEN, UNSUPPORTED_HERE,
};
use super::bpf::{Action, ArgTest, CallRule, Instead, compile, replace_error};
use super::filter_pass::FilterPass;
use super::set_group_id::SetGroupId;
use crate::confinement::Network;

/// One past the last call of Linux 6.18 (`file_setattr`).
const KNOWN_CALLS: u32 = 470;

/// Denied whatever the arguments.
#[rustfmt::skip]
const DENIED: &[libc::c_long] = &[
    // Other processes.
    libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise, libc::SYS_process_mrelease, libc::SYS_kcmp, libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // Calls made through io_uring pass no filter.
    libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register,
    // Kernel interfaces that ordinary programs do not need.
    libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl, libc::SYS_bpf,
    libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_fanotify_init, libc::SYS_fanotify_mark,
    libc::SYS_memfd_secret, libc::SYS_open_by_handle_at, libc::SYS_uselib,
    libc::SYS_modify_ldt, libc::SYS_lookup_dcookie,
    // Namespaces and mounts.
    libc::SYS_setns, libc::SYS_unshare, libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root,
    libc::SYS_chroot, libc::SYS_move_mount, libc::SYS_open_tree, libc::SYS_fsopen, libc::SYS_fsconfig,
    libc::SYS_fsmount, libc::SYS_fspick, libc::SYS_mount_setattr, STATMOUNT, LISTMOUNT, OPEN_TREE_ATTR,
    // The machine.
    libc::SYS_swapon, libc::SYS_swapoff, libc::SYS_quotactl, libc::SYS_quotactl_fd, libc::SYS_acct,
    libc::SYS_reboot, libc::SYS_kexec_load, libc::SYS_kexec_file_load, libc::SYS_init_module,
    libc::SYS_finit_module, libc::SYS_delete_module, libc::SYS_iopl, libc::SYS_ioperm,
    libc::SYS_settimeofday, libc::SYS_clock_settime, libc::SYS_sethostname, libc::SYS_setdomainname,
    libc::SYS_syslog, libc::SYS_vhangup,
];

/// System V IPC. Outside a session its names would be those of the whole host.
#[rustfmt::skip]
const SYSTEM_V: &[libc::c_long] = &[
    libc::SYS_shmget, libc::SYS_shmat, libc::SYS_shmctl, libc::SYS_shmdt,
    libc::SYS_semget, libc::SYS_semop, libc::SYS_semctl, libc::SYS_semtimedop,
    libc::SYS_msgget, libc::SYS_msgsnd, libc::SYS_msgrcv, libc::SYS_msgctl,
];

/// Denied outside a session.
#[rustfmt::skip]
const DENIED_ALONE: &[libc::c_long] = &[
    // Nothing else keeps a child without a write root from executing what is in no granted folder.
    libc::SYS_memfd_create,
    // The names of POSIX message queues would be those of the whole host.
    libc::SYS_mq_open, libc::SYS_mq_unlink, libc::SYS_mq_timedsend, libc::SYS_mq_timedreceive,
    libc::SYS_mq_notify, libc::SYS_mq_getsetattr,
];

/// Denied where the child has no Landlock domain of its own, in which alone it can trace.
const DENIED_WITHOUT_DOMAIN: &[libc::c_long] = &[libc::SYS_ptrace];

const STATMOUNT: libc::c_long = 457;
const LISTMOUNT: libc::c_long = 458;
const OPEN_TREE_ATTR: libc::c_long = 467;

/// Allowed or denied by their arguments.
const RESTRICTED: &[(libc::c_long, CallRule)] = &[
    (libc::SYS_setrlimit, SETRLIMIT),
    (libc::SYS_clone, CLONE),
    (libc::SYS_fcntl, FCNTL),
    (libc::SYS_personality, PERSONALITY),
];

/// Allowed or denied by the mode among their arguments. `mkdir(2)` takes no set-id bit: a directory inherits one, or
/// gets it by `chmod(2)`.
const MODES: &[(libc::c_long, ModeRule)] = &[
    (libc::SYS_open, OPEN),
    (libc::SYS_openat, OPENAT),
    (libc::SYS_creat, MODE_1),
    (libc::SYS_chmod, MODE_1),
    (libc::SYS_fchmod, MODE_1),
    (libc::SYS_fchmodat, MODE_2),
    (libc::SYS_fchmodat2, MODE_2),
    (libc::SYS_mknod, MKNOD),
    (libc::SYS_mknodat, MKNODAT),
];

/// The limits, processors and priorities of a process that a number names, outside a session.
const OF_PROCESSES_ALONE: &[(libc::c_long, CallRule)] = &[
    (libc::SYS_prlimit64, PRLIMIT),
    (libc::SYS_sched_setparam, SELF_ONLY),
    (libc::SYS_sched_setscheduler, SELF_ONLY),
    (libc::SYS_sched_setaffinity, SELF_ONLY),
    (libc::SYS_sched_setattr, SELF_ONLY),
    (libc::SYS_setpriority, SETPRIORITY),
    (libc::SYS_ioprio_set, IOPRIO_SET),
];

/// The same in a session: programs name themselves and their threads by their numbers.
const OF_PROCESSES_IN_SESSION: &[(libc::c_long, CallRule)] = &[
    (libc::SYS_prlimit64, PRLIMIT_IN_SESSION),
    (libc::SYS_sched_setparam, NOT_PID_1),
    (libc::SYS_sched_setscheduler, NOT_PID_1),
    (libc::SYS_sched_setaffinity, NOT_PID_1),
    (libc::SYS_sched_setattr, NOT_PID_1),
    (libc::SYS_setpriority, SETPRIORITY_IN_SESSION),
    (libc::SYS_ioprio_set, IOPRIO_SET_IN_SESSION),
];

/// What a session's namespaces and its init process bound.
const BOUNDED_IN_SESSION: &[(libc::c_long, CallRule)] = &[
    (libc::SYS_memfd_create, MEMFD_CREATE),
    (libc::SYS_shmget, SHMGET),
];

/// Not executed, with a success as the result, where the tree is killed by its process group: leaving that group. With an error git
/// complains after each commit, ninja does not build and Python's `start_new_session` raises; none of them needs the group.
const IGNORED: &[libc::c_long] = &[libc::SYS_setsid, libc::SYS_setpgid];

/// Not available to the child, as on a kernel without them.
#[rustfmt::skip]
const UNSUPPORTED: &[libc::c_long] = &[
    libc::SYS_clone3, libc::SYS_openat2,
    // Asynchronous I/O of the kernel: all users of the machine share one number of requests (`fs.aio-max-nr`).
    libc::SYS_io_setup, libc::SYS_io_destroy, libc::SYS_io_submit, libc::SYS_io_cancel,
    libc::SYS_io_getevents, IO_PGETEVENTS,
    // Rulesets are kernel memory that no resource limit counts: 4 MiB for one with a rule for each port.
    libc::SYS_landlock_create_ruleset, libc::SYS_landlock_add_rule,
];

/// Not available outside a session: a watch shows the names in any directory that the user may read, and Landlock does
/// not check it. Programs that need no watch poll instead (`tail -f`).
const UNSUPPORTED_ALONE: &[libc::c_long] = &[libc::SYS_inotify_init, libc::SYS_inotify_init1];

/// Fail as on a file system without extended attributes, which `cp -a`, `tar` and `mv` accept. On a tmpfs, attributes and
/// ACLs are kernel memory that its size does not count.
const NO_ATTRIBUTES: &[libc::c_long] = &[
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    SETXATTRAT,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    REMOVEXATTRAT,
];

const IO_PGETEVENTS: libc::c_long = 333;
const SETXATTRAT: libc::c_long = 463;
const REMOVEXATTRAT: libc::c_long = 466;

/// Calls that use a socket. Denied without a network, where they could only use an inherited socket.
const SOCKET_CALLS: &[libc::c_long] = &[
    libc::SYS_connect,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_listen,
];

/// What the processes of a tree may do with their process groups and sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Groups {
    /// Make and leave them, as outside.
    Free,
    /// Nothing: the group of the leader names the tree.
    Fixed,
}

impl Groups {
    /// Returns what trees may do where a Landlock domain names each of them, or where none does.
    pub(crate) fn of_domains(exist: bool) -> Self {
        match exist {
            true => Self::Free,
            false => Self::Fixed,
        }
    }
}

/// What a filter depends on in addition to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FilterOptions {
    /// What a tree may do with its groups.
    pub(crate) groups: Groups,
    /// Whether each child has a Landlock domain of its own: it can trace no process outside that
    /// domain.
    pub(crate) has_domain: bool,
    /// Whether a child may set the set-group-ID bit.
    pub(crate) set_group_id: SetGroupId,
}

/// Which sockets a child may create.
#[derive(Clone, Copy)]
enum Sockets {
    /// Pairs of stream sockets only.
    Pairs,
    /// Pairs of stream sockets, and netlink sockets that list the interfaces of the session's network namespace.
    PairsAndRoutes,
    /// Internet sockets, in a network namespace of the session, and pairs of stream sockets.
    Internet,
    /// All sockets of the host's network, UNIX sockets included.
    Host,
}

/// Allowed to a session's server and not to its children: `clone` and `clone3` of a child whose parent is the host,
/// `setsid` and the mark by `prlimit` (called by the vfork child of the server), `openat2` to resolve a path below
/// a directory, and `setns` (called by a new server). None of them uses its last two arguments: `clone` has five, and reads the fifth only with
/// `CLONE_SETTLS`; `clone3` and `setns` have two, and `prlimit` four.
const SERVER_ONLY: &[libc::c_long] = &[
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_setsid,
    libc::SYS_openat2,
    libc::SYS_prlimit64,
    libc::SYS_setns,
];

/// Returns the filter program of a child outside a session, under `network`.
pub(crate) fn program(network: Network, options: FilterOptions) -> Vec<Instruction> {
    compile(&alone_rules(network, options), KNOWN_CALLS, NO_SUCH_CALL)
}

fn alone_rules(network: Network, options: FilterOptions) -> Vec<(u32, CallRule)> {
    let sockets = match network {
        // Without a network namespace a loopback socket would reach the host's loopback interface.
        Network::None | Network::Loopback => Sockets::Pairs,
        Network::Host => Sockets::Host,
    };
    let mut rules = rules(sockets, options);
    rules.extend(all(SYSTEM_V, DENY));
    rules.extend(all(DENIED_ALONE, DENY));
    rules.extend(by_args(OF_PROCESSES_ALONE));
    rules.extend(all(UNSUPPORTED_ALONE, NO_SUCH_CALL));
    rules
}

/// Returns the filter program of all processes of a session, which the server's own calls pass by `pass`. (A second
/// program for each child would take 50 µs of the 400 that a child costs.) In the network namespace of a session, sockets
/// reach only its loopback interface, unless they are UNIX sockets that have a path.
pub(crate) fn session_program(
    network: Network,
    options: FilterOptions,
    pass: FilterPass,
) -> Vec<Instruction> {
    let mut rules = session_rules(network, options);
    for (call, rule) in &mut rules {
        *rule = match (is_server_only(*call), *rule) {
            (true, CallRule::Always(action)) => CallRule::WithPass(&[], pass, action),
            (true, CallRule::ByArgs(tests, action)) => CallRule::WithPass(tests, pass, action),
            (_, rule) => rule,
        };
    }
    compile(&rules, KNOWN_CALLS, NO_SUCH_CALL)
}

fn session_rules(network: Network, options: FilterOptions) -> Vec<(u32, CallRule)> {
    let sockets = match network {
        Network::None => Sockets::PairsAndRoutes,
        Network::Loopback => Sockets::Internet,
        Network::Host => Sockets::Host,
    };
    let mut rules = rules(sockets, options);
    rules.extend(by_args(OF_PROCESSES_IN_SESSION));
    rules.extend(by_args(BOUNDED_IN_SESSION));
    rules
}

/// The filter of an observed child, and the one that it stands for.
#[derive(Debug)]
pub(crate) struct Observed {
    /// Reports the observed calls, and those that are denied; refuses the others that are refused.
    pub(crate) filter: Vec<Instruction>,
    /// Decides on what is reported: the filter of a child that is not observed.
    pub(crate) decides: Vec<Instruction>,
}

/// Returns the filter of an observed child of a session, or of one outside. `calls` are reported although they are allowed.
pub(crate) fn observed(
    network: Network,
    options: FilterOptions,
    in_session: bool,
    calls: &[libc::c_long],
) -> Observed {
    let mut rules = match in_session {
        true => session_rules(network, options),
        false => alone_rules(network, options),
    };
    let decides = compile(&rules, KNOWN_CALLS, NO_SUCH_CALL);
    rules.extend(all(calls, Action::Notify));
    // Large private memory, whose length the limit on memory may refuse.
    rules.push((number(libc::SYS_mmap), LARGE_MMAP));
    let mut filter = compile(&rules, KNOWN_CALLS, NO_SUCH_CALL);
    if let Action::Errno(errno) = DENY {
        replace_error(&mut filter, errno, Instead::Notify);
    }
    Observed { filter, decides }
}

/// Makes `program`, of a session whose children are observed, leave its denials to their filters.
pub(crate) fn leave_denials(program: &mut [Instruction]) {
    if let Action::Errno(errno) = DENY {
        replace_error(program, errno, Instead::Unavailable);
    }
}

/// `mmap(2)` of 16 MiB and more.
const LARGE_MMAP: CallRule = CallRule::ByArgs(
    &[
        ArgTest {
            arg: 1,
            high: true,
            mask: u32::MAX,
            value: 0,
            equal: false,
            then: Some(Action::Notify),
        },
        ArgTest {
            arg: 1,
            high: false,
            mask: 0xff00_0000,
            value: 0,
            equal: false,
            then: Some(Action::Notify),
        },
    ],
    Action::Allow,
);

/// Returns the program that stands in front of a session's where its System V IPC could not be limited.
pub(crate) fn system_v_denied() -> Vec<Instruction> {
    compile(&all(SYSTEM_V, DENY), KNOWN_CALLS, NO_SUCH_CALL)
}

fn is_server_only(call: u32) -> bool {
    SERVER_ONLY
        .iter()
        .any(|number| u32::try_from(*number) == Ok(call))
}

fn number(call: libc::c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

/// Returns the rules of `calls` that have one `action`, whatever the arguments.
fn all(calls: &[libc::c_long], action: Action) -> Vec<(u32, CallRule)> {
    let rule = |call: &libc::c_long| (number(*call), CallRule::Always(action));
    calls.iter().map(rule).collect()
}

/// Returns the rules of calls that are allowed or denied by their arguments.
fn by_args(calls: &[(libc::c_long, CallRule)]) -> impl Iterator<Item = (u32, CallRule)> {
    calls.iter().map(|(call, rule)| (number(*call), *rule))
}

/// Returns what is common to all policies as a table, without the calls that are simply allowed.
fn rules(sockets: Sockets, options: FilterOptions) -> Vec<(u32, CallRule)> {
    let mut rules = all(DENIED, DENY);
    if !options.has_domain {
        rules.extend(all(DENIED_WITHOUT_DOMAIN, DENY));
    }
    if options.groups == Groups::Fixed {
        rules.extend(all(IGNORED, IGNORE));
    }
    rules.extend(all(UNSUPPORTED, NO_SUCH_CALL));
    rules.extend(all(NO_ATTRIBUTES, UNSUPPORTED_HERE));
    rules.extend(by_args(RESTRICTED));
    rules.extend(MODES.iter().map(|(call, rule)| match options.set_group_id {
        SetGroupId::Denied => (number(*call), rule.denied),
        SetGroupId::Allowed => (number(*call), rule.allowed),
    }));
    let (socket, pair) = match sockets {
        Sockets::Pairs => (CallRule::Always(DENY), SOCKETPAIR_CLOSED),
        Sockets::PairsAndRoutes => (SOCKET_ROUTES, SOCKETPAIR_CLOSED),
        Sockets::Internet => (SOCKET_INTERNET, SOCKETPAIR_CLOSED),
        Sockets::Host => (SOCKET_OPEN, SOCKETPAIR_OPEN),
    };
    let bind = match sockets {
        Sockets::Pairs => Some(CallRule::Always(DENY)),
        Sockets::PairsAndRoutes => Some(BIND_ROUTES),
        Sockets::Internet | Sockets::Host => None,
    };
    let ioctl = match sockets {
        Sockets::Pairs | Sockets::PairsAndRoutes => {
            rules.extend(all(SOCKET_CALLS, DENY));
            rules.push((number(libc::SYS_setsockopt), SETSOCKOPT_CLOSED));
            IOCTL_CLOSED
        }
        Sockets::Internet | Sockets::Host => IOCTL,
    };
    rules.extend(bind.map(|rule| (number(libc::SYS_bind), rule)));
    rules.push((number(libc::SYS_ioctl), ioctl));
    rules.push((number(libc::SYS_socket), socket));
    rules.push((number(libc::SYS_socketpair), pair));
    rules
}

#[cfg(test)]
mod tests;

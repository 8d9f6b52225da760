//! What a confined child's system calls meet: the list of all
//! tiers, and what a session changes in it.
//!
//! A list of what is denied, closed at its end: a number beyond the last known
//! call does not exist for the child. (A list of what is allowed breaks programs
//! that are not malicious, and both let through what has been allowed for a
//! reason.) `openat2` and `clone3` keep their arguments in memory, where a filter
//! cannot look: they do not exist either, and libraries fall back.

use capspawn_raw::filter::Instruction;

use super::bpf::{Answer, Test, Verdict, compile};
use super::pass_key::Key;
use crate::confinement::Network;

const DENIED: Verdict = Verdict::Errno(1); // EPERM
const MISSING: Verdict = Verdict::Errno(38); // ENOSYS
const NOTHING: Verdict = Verdict::Errno(0); // returns 0

/// One past the last call of Linux 6.18 (`file_setattr`).
const KNOWN: u32 = 470;

const fn allow_if(arg: u8, mask: u32, value: u32) -> Test {
    Test {
        arg,
        mask,
        value,
        equal: true,
        then: Verdict::Allow,
    }
}

const fn deny_if(arg: u8, mask: u32, value: u32) -> Test {
    Test {
        arg,
        mask,
        value,
        equal: true,
        then: DENIED,
    }
}

const fn deny_unless(arg: u8, mask: u32, value: u32) -> Test {
    Test {
        arg,
        mask,
        value,
        equal: false,
        then: DENIED,
    }
}

const ALL: u32 = u32::MAX;
/// S_ISUID | S_ISGID: such a file would bite the host's other users.
const SET_ID: u32 = 0o6000;
/// O_CREAT | __O_TMPFILE: without them the mode is not looked at.
const CREATES: u32 = 0o20_000_100;
/// The new namespaces and CLONE_PARENT, which would make the host the parent of a child it never reaps.
const CLONE_DENIED: u32 = 0x7e02_8000;

const SELF_ONLY: Answer = Answer::Depends(&[allow_if(0, ALL, 0)], DENIED);
const CLONE: Answer = Answer::Depends(&[allow_if(0, CLONE_DENIED, 0)], DENIED);
const IOCTL: Answer = Answer::Depends(
    &[deny_if(1, ALL, 0x5412), deny_if(1, ALL, 0x541c)],
    Verdict::Allow,
);
/// F_SETLEASE and F_SETDELEG: whoever opens or executes the file, the host among them, would wait for 45 s.
const FCNTL: Answer = Answer::Depends(
    &[deny_if(1, ALL, 1024), deny_if(1, ALL, 1040)],
    Verdict::Allow,
);
const PERSONALITY: Answer = Answer::Depends(&[allow_if(0, ALL, ALL)], DENIED);
const SETPRIORITY: Answer = Answer::Depends(
    &[
        deny_unless(1, ALL, 0),
        allow_if(0, ALL, 0),
        allow_if(0, ALL, 1),
    ],
    DENIED,
);
const IOPRIO_SET: Answer = Answer::Depends(
    &[
        deny_unless(1, ALL, 0),
        allow_if(0, ALL, 1),
        allow_if(0, ALL, 2),
    ],
    DENIED,
);
const MODE_1: Answer = Answer::Depends(&[allow_if(1, SET_ID, 0)], DENIED);
const MODE_2: Answer = Answer::Depends(&[allow_if(2, SET_ID, 0)], DENIED);
const OPEN: Answer = Answer::Depends(&[allow_if(1, CREATES, 0), allow_if(2, SET_ID, 0)], DENIED);
const OPENAT: Answer = Answer::Depends(&[allow_if(2, CREATES, 0), allow_if(3, SET_ID, 0)], DENIED);
const FORMAT: u32 = 0o170_000;
const MKNOD: Answer = Answer::Depends(
    &[
        deny_unless(1, SET_ID, 0),
        deny_if(1, FORMAT, 0o020_000),
        deny_if(1, FORMAT, 0o060_000),
    ],
    Verdict::Allow,
);
const MKNODAT: Answer = Answer::Depends(
    &[
        deny_unless(2, SET_ID, 0),
        deny_if(2, FORMAT, 0o020_000),
        deny_if(2, FORMAT, 0o060_000),
    ],
    Verdict::Allow,
);
/// A connected pair of streams of the UNIX family. A pair of datagram sockets could send to any path socket of the host
/// (`sendto`, `sendmsg`), and TIPC makes pairs too.
const SOCKETPAIR_CLOSED: Answer = Answer::Depends(
    &[
        deny_unless(0, ALL, 1),
        allow_if(1, 0xf, 1),
        allow_if(1, 0xf, 5),
    ],
    DENIED,
);
const SOCKETPAIR_OPEN: Answer = Answer::Depends(&[allow_if(0, ALL, 1)], DENIED);
/// UNIX, IPv4, IPv6, and of netlink the routing table, which libc asks for the addresses of the host.
const SOCKET_OPEN: Answer = Answer::Depends(
    &[
        allow_if(0, ALL, 1),
        allow_if(0, ALL, 2),
        allow_if(0, ALL, 10),
        deny_unless(0, ALL, 16),
        allow_if(2, ALL, 0),
    ],
    DENIED,
);

/// The same without UNIX: a granted root may hold a socket of the host, whose path no network namespace hides.
const SOCKET_INTERNET: Answer = Answer::Depends(
    &[
        allow_if(0, ALL, 2),
        allow_if(0, ALL, 10),
        deny_unless(0, ALL, 16),
        allow_if(2, ALL, 0),
    ],
    DENIED,
);

/// Denied whatever the arguments.
#[rustfmt::skip]
const NEVER: &[libc::c_long] = &[
    // Other processes.
    libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise, libc::SYS_process_mrelease, libc::SYS_kcmp, libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // io_uring makes calls that no filter sees.
    libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register,
    // IPC of System V and POSIX.
    libc::SYS_shmget, libc::SYS_shmat, libc::SYS_shmctl, libc::SYS_shmdt,
    libc::SYS_semget, libc::SYS_semop, libc::SYS_semctl, libc::SYS_semtimedop,
    libc::SYS_msgget, libc::SYS_msgsnd, libc::SYS_msgrcv, libc::SYS_msgctl,
    libc::SYS_mq_open, libc::SYS_mq_unlink, libc::SYS_mq_timedsend, libc::SYS_mq_timedreceive,
    libc::SYS_mq_notify, libc::SYS_mq_getsetattr,
    // Kernel interfaces that no ordinary program needs.
    libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl, libc::SYS_bpf,
    libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_fanotify_init, libc::SYS_fanotify_mark,
    libc::SYS_memfd_create, libc::SYS_memfd_secret, libc::SYS_open_by_handle_at, libc::SYS_uselib,
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

const STATMOUNT: libc::c_long = 457;
const LISTMOUNT: libc::c_long = 458;
const OPEN_TREE_ATTR: libc::c_long = 467;

/// What depends on the arguments.
const SOMETIMES: &[(libc::c_long, Answer)] = &[
    (libc::SYS_prlimit64, SELF_ONLY),
    (libc::SYS_sched_setparam, SELF_ONLY),
    (libc::SYS_sched_setscheduler, SELF_ONLY),
    (libc::SYS_sched_setaffinity, SELF_ONLY),
    (libc::SYS_sched_setattr, SELF_ONLY),
    (libc::SYS_setpriority, SETPRIORITY),
    (libc::SYS_ioprio_set, IOPRIO_SET),
    (libc::SYS_clone, CLONE),
    (libc::SYS_ioctl, IOCTL),
    (libc::SYS_fcntl, FCNTL),
    (libc::SYS_personality, PERSONALITY),
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

/// What is not done and reported as done: leaving the process group, by which the tree is killed. With an error git
/// complains after each commit, ninja does not build and Python's `start_new_session` raises; none of them needs the group.
const QUIET: &[libc::c_long] = &[libc::SYS_setsid, libc::SYS_setpgid];

/// What does not exist for the child.
const ABSENT: &[libc::c_long] = &[libc::SYS_clone3, libc::SYS_openat2];

/// What would reach or serve a socket; with no network only inherited ones could be meant.
const SOCKETS: &[libc::c_long] = &[
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_listen,
];

/// Which sockets a child may make.
#[derive(Clone, Copy)]
enum Sockets {
    /// Pairs of streams alone.
    Pairs,
    /// Those of the internet, in a network namespace of its own, and pairs of streams.
    Internet,
    /// Those of the host, UNIX sockets included.
    Host,
}

/// What a session's server does and its children may not: a child of the host, a session of its own for each child (its
/// vfork child calls it), and resolving a path below a directory. None uses the last two arguments: `clone` has five, and
/// looks at the fifth with `CLONE_SETTLS` alone.
const SERVING: &[libc::c_long] = &[libc::SYS_clone, libc::SYS_setsid, libc::SYS_openat2];

/// Returns the program for `network`, for a child that has no other.
pub(crate) fn program(network: Network) -> Vec<Instruction> {
    let sockets = match network {
        // Without a network namespace it would be the host's loopback interface.
        Network::None | Network::Loopback => Sockets::Pairs,
        Network::Host => Sockets::Host,
    };
    compile(&answers(sockets), KNOWN, MISSING)
}

/// Returns the program of a session: all its processes have the same one, which the server passes where it shows `key`.
/// (A second program for each child would take 50 us of the 400 that a child costs.) In a network namespace of its own
/// sockets reach nothing but the session's loopback interface, unless a path leads them out.
pub(crate) fn session(network: Network, key: Key) -> Vec<Instruction> {
    let sockets = match network {
        Network::None => Sockets::Pairs,
        Network::Loopback => Sockets::Internet,
        Network::Host => Sockets::Host,
    };
    let mut answers = answers(sockets);
    for (call, answer) in &mut answers {
        *answer = match (is_serving(*call), *answer) {
            (true, Answer::Always(verdict)) => Answer::Keyed(&[], key, verdict),
            (true, Answer::Depends(tests, verdict)) => Answer::Keyed(tests, key, verdict),
            (_, answer) => answer,
        };
    }
    compile(&answers, KNOWN, MISSING)
}

fn is_serving(call: u32) -> bool {
    SERVING
        .iter()
        .any(|serving| u32::try_from(*serving) == Ok(call))
}

/// The policy as a table, without what is simply allowed.
fn answers(sockets: Sockets) -> Vec<(u32, Answer)> {
    let number = |number: &libc::c_long| u32::try_from(*number).unwrap_or(u32::MAX);
    let mut answers: Vec<_> = NEVER
        .iter()
        .map(|call| (number(call), Answer::Always(DENIED)))
        .collect();
    answers.extend(
        QUIET
            .iter()
            .map(|call| (number(call), Answer::Always(NOTHING))),
    );
    answers.extend(
        ABSENT
            .iter()
            .map(|call| (number(call), Answer::Always(MISSING))),
    );
    answers.extend(
        SOMETIMES
            .iter()
            .map(|(call, answer)| (number(call), *answer)),
    );
    let (socket, pair) = match sockets {
        Sockets::Pairs => {
            let all = SOCKETS.iter();
            answers.extend(all.map(|call| (number(call), Answer::Always(DENIED))));
            (None, SOCKETPAIR_CLOSED)
        }
        Sockets::Internet => (Some(SOCKET_INTERNET), SOCKETPAIR_CLOSED),
        Sockets::Host => (Some(SOCKET_OPEN), SOCKETPAIR_OPEN),
    };
    answers.extend(socket.map(|answer| (number(&libc::SYS_socket), answer)));
    answers.push((number(&libc::SYS_socketpair), pair));
    answers
}

#[cfg(test)]
mod tests;

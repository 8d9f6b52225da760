//! Rules for calls that are allowed or denied by their arguments.

use crate::sandbox::sys::linux::policy::bpf::{Action, ArgTest, CallRule};

pub(super) const DENY: Action = Action::Errno(1); // EPERM
pub(super) const NO_SUCH_CALL: Action = Action::Errno(38); // ENOSYS
pub(super) const UNSUPPORTED_HERE: Action = Action::Errno(95); // EOPNOTSUPP
pub(super) const IGNORE: Action = Action::Errno(0); // returns 0

const fn allow_if(arg: u8, mask: u32, value: u32) -> ArgTest {
    ArgTest {
        arg,
        high: false,
        mask,
        value,
        equal: true,
        then: Some(Action::Allow),
    }
}

const fn deny_if(arg: u8, mask: u32, value: u32) -> ArgTest {
    ArgTest {
        arg,
        high: false,
        mask,
        value,
        equal: true,
        then: Some(DENY),
    }
}

const fn ignore_if(arg: u8, mask: u32, value: u32) -> ArgTest {
    ArgTest {
        arg,
        high: false,
        mask,
        value,
        equal: true,
        then: Some(IGNORE),
    }
}

const fn deny_unless(arg: u8, mask: u32, value: u32) -> ArgTest {
    ArgTest {
        arg,
        high: false,
        mask,
        value,
        equal: false,
        then: Some(DENY),
    }
}

const ALL: u32 = u32::MAX;
/// S_ISUID: other users of the host could execute such a file with the child's rights.
const SET_USER: u32 = 0o4000;
/// S_ISGID | S_IXGRP: the same with the rights of its group. The kernel ignores S_ISGID on a file that its group cannot
/// execute, and no call adds one of the two without naming the other.
const SET_GROUP: u32 = 0o2010;
/// O_CREAT | __O_TMPFILE: without them the kernel ignores the mode.
const CREATES: u32 = 0o20_000_100;
/// All CLONE_NEW flags, and CLONE_PARENT, which would make the host the parent of a child that it never reaps.
const CLONE_DENIED: u32 = 0x7e02_8000;

const fn end_unless(arg: u8, high: bool, value: u32) -> ArgTest {
    ArgTest {
        arg,
        high,
        mask: ALL,
        value,
        equal: false,
        then: None,
    }
}

/// The limit on file locks is the mark of a child's tree. Its processes may read it; only the server sets it.
const RLIMIT_LOCKS: u32 = 10;
const OTHER_LIMIT: ArgTest = ArgTest {
    equal: false,
    ..allow_if(1, ALL, RLIMIT_LOCKS)
};
/// The pointer to the new limits is not null.
const SETS: [ArgTest; 2] = [end_unless(2, false, 0), end_unless(2, true, 0)];
/// The tests of `prlimit(2)`, after the one of the process that it is about.
const fn prlimit(process: ArgTest) -> [ArgTest; 5] {
    let [low, high] = SETS;
    [process, OTHER_LIMIT, low, high, allow_if(2, ALL, 0)]
}
/// Outside a session a process names itself by 0.
pub(super) const PRLIMIT: CallRule = CallRule::ByArgs(&prlimit(deny_unless(0, ALL, 0)), DENY);
/// In a session every process but pid 1, which is the session's own.
pub(super) const PRLIMIT_IN_SESSION: CallRule =
    CallRule::ByArgs(&prlimit(deny_if(0, ALL, 1)), DENY);
pub(super) const SETRLIMIT: CallRule =
    CallRule::ByArgs(&[deny_if(0, ALL, RLIMIT_LOCKS)], Action::Allow);
/// Outside a session a number may name any process of the user, and a filter does not know the caller's own.
pub(super) const SELF_ONLY: CallRule = CallRule::ByArgs(&[allow_if(0, ALL, 0)], DENY);
/// In a session a number names a process of the session or none; pid 1 is the session's own.
pub(super) const NOT_PID_1: CallRule = CallRule::ByArgs(&[deny_if(0, ALL, 1)], Action::Allow);
pub(super) const CLONE: CallRule = CallRule::ByArgs(&[allow_if(0, CLONE_DENIED, 0)], DENY);
/// TIOCSTI and TIOCLINUX type into a terminal, TIOCCONS takes what the kernel prints, and TIOCSETD loads the code of a serial
/// line's protocol into the kernel.
const TERMINAL: [ArgTest; 4] = [
    deny_if(1, ALL, 0x5412),
    deny_if(1, ALL, 0x541c),
    deny_if(1, ALL, 0x541d),
    deny_if(1, ALL, 0x5423),
];
pub(super) const IOCTL: CallRule = CallRule::ByArgs(&TERMINAL, Action::Allow);
/// The same without a network. `SIOCGIFCONF` and its like (type 0x89), and the requests of wireless interfaces (0x8b),
/// answer on any socket, a pair's too, and describe the interfaces of the network namespace.
pub(super) const IOCTL_CLOSED: CallRule = CallRule::ByArgs(
    &[
        TERMINAL[0],
        TERMINAL[1],
        TERMINAL[2],
        TERMINAL[3],
        deny_if(1, 0xff00, 0x8900),
        deny_if(1, 0xff00, 0x8b00),
    ],
    Action::Allow,
);
/// SO_SNDBUF, SO_RCVBUF and their FORCE forms have no effect on a pair: what waits in its buffers is kernel memory that no
/// resource limit counts. The kernel itself cuts a larger size to the machine's maximum without an error.
pub(super) const SETSOCKOPT_CLOSED: CallRule = CallRule::ByArgs(
    &[
        ArgTest {
            arg: 1,
            high: false,
            mask: ALL,
            value: 1, // SOL_SOCKET
            equal: false,
            then: Some(Action::Allow),
        },
        ignore_if(2, ALL, 7),
        ignore_if(2, ALL, 8),
        ignore_if(2, ALL, 32),
        ignore_if(2, ALL, 33),
    ],
    Action::Allow,
);
/// F_SETLEASE and F_SETDELEG: a process that opens or executes the file, the host included, would wait up to 45 s.
pub(super) const FCNTL: CallRule = CallRule::ByArgs(
    &[deny_if(1, ALL, 1024), deny_if(1, ALL, 1040)],
    Action::Allow,
);
/// To read it, the default, and ADDR_NO_RANDOMIZE: debuggers and ThreadSanitizer execute their program without address
/// space randomization.
pub(super) const PERSONALITY: CallRule = CallRule::ByArgs(
    &[
        allow_if(0, ALL, ALL),
        allow_if(0, ALL, 0),
        allow_if(0, ALL, 0x0004_0000),
    ],
    DENY,
);
/// Huge pages are the machine's, and no limit counts those that no process has mapped: as on a kernel without them.
pub(super) const MEMFD_CREATE: CallRule = CallRule::ByArgs(
    &[ArgTest {
        arg: 1,
        high: false,
        mask: 4, // MFD_HUGETLB
        value: 4,
        equal: true,
        then: Some(NO_SUCH_CALL),
    }],
    Action::Allow,
);
/// The same for SHM_HUGETLB, which the kernel refuses with EPERM to users without a right to it.
pub(super) const SHMGET: CallRule = CallRule::ByArgs(&[deny_if(2, 0o4000, 0o4000)], Action::Allow);
pub(super) const SETPRIORITY: CallRule = CallRule::ByArgs(
    &[
        deny_unless(1, ALL, 0),
        allow_if(0, ALL, 0),
        allow_if(0, ALL, 1),
    ],
    DENY,
);
/// A process or a group, and not a user: pid 1 has the same.
pub(super) const SETPRIORITY_IN_SESSION: CallRule = CallRule::ByArgs(
    &[deny_if(1, ALL, 1), allow_if(0, ALL, 0), allow_if(0, ALL, 1)],
    DENY,
);
pub(super) const IOPRIO_SET: CallRule = CallRule::ByArgs(
    &[
        deny_unless(1, ALL, 0),
        allow_if(0, ALL, 1),
        allow_if(0, ALL, 2),
    ],
    DENY,
);
pub(super) const IOPRIO_SET_IN_SESSION: CallRule = CallRule::ByArgs(
    &[deny_if(1, ALL, 1), allow_if(0, ALL, 1), allow_if(0, ALL, 2)],
    DENY,
);
const FORMAT: u32 = 0o170_000;

/// The tests of a mode in argument `$arg`, after the tests `$first`: whether or not it may have the set-group-ID bit.
macro_rules! mode {
    ($arg:literal $(, $first:expr)*) => {
        ModeRule {
            denied: CallRule::ByArgs(
                &[$($first,)* deny_unless($arg, SET_USER, 0), deny_if($arg, SET_GROUP, SET_GROUP)],
                Action::Allow,
            ),
            allowed: CallRule::ByArgs(&[$($first,)* deny_unless($arg, SET_USER, 0)], Action::Allow),
        }
    };
}

/// The rules of a call with a mode.
pub(super) struct ModeRule {
    pub(super) denied: CallRule,
    pub(super) allowed: CallRule,
}

pub(super) const MODE_1: ModeRule = mode!(1);
pub(super) const MODE_2: ModeRule = mode!(2);
pub(super) const OPEN: ModeRule = mode!(2, allow_if(1, CREATES, 0));
pub(super) const OPENAT: ModeRule = mode!(3, allow_if(2, CREATES, 0));
pub(super) const MKNOD: ModeRule = mode!(
    1,
    deny_if(1, FORMAT, 0o020_000),
    deny_if(1, FORMAT, 0o060_000)
);
pub(super) const MKNODAT: ModeRule = mode!(
    2,
    deny_if(2, FORMAT, 0o020_000),
    deny_if(2, FORMAT, 0o060_000)
);
/// A connected pair of UNIX stream sockets. A datagram socket of a pair could send to any UNIX socket of the host that has
/// a path (`sendto`, `sendmsg`), and TIPC creates pairs too.
pub(super) const SOCKETPAIR_CLOSED: CallRule = CallRule::ByArgs(
    &[
        deny_unless(0, ALL, 1),
        allow_if(1, 0xf, 1),
        allow_if(1, 0xf, 5),
    ],
    DENY,
);
pub(super) const SOCKETPAIR_OPEN: CallRule = CallRule::ByArgs(&[allow_if(0, ALL, 1)], DENY);
/// UNIX, IPv4, IPv6, and of netlink the routing family, by which libc reads the addresses of the host.
pub(super) const SOCKET_OPEN: CallRule = CallRule::ByArgs(
    &[
        allow_if(0, ALL, 1),
        allow_if(0, ALL, 2),
        allow_if(0, ALL, 10),
        deny_unless(0, ALL, 16),
        allow_if(2, ALL, 0),
    ],
    DENY,
);

/// The same without UNIX: a granted root may contain a UNIX socket of the host, and a network namespace does not separate
/// sockets that have a path.
pub(super) const SOCKET_INTERNET: CallRule = CallRule::ByArgs(
    &[
        allow_if(0, ALL, 2),
        allow_if(0, ALL, 10),
        deny_unless(0, ALL, 16),
        allow_if(2, ALL, 0),
    ],
    DENY,
);

/// Without a network, in a network namespace of the session: of netlink the routing family, by which libc lists the
/// interfaces, of which there is one that is not up. node's `networkInterfaces` throws without.
pub(super) const SOCKET_ROUTES: CallRule =
    CallRule::ByArgs(&[deny_unless(0, ALL, 16), allow_if(2, ALL, 0)], DENY);
/// The size of a `struct sockaddr_nl`: libc binds its netlink socket. An end of a pair can get a name by it, which nobody
/// can connect to, because it cannot listen.
pub(super) const BIND_ROUTES: CallRule = CallRule::ByArgs(&[allow_if(2, ALL, 12)], DENY);

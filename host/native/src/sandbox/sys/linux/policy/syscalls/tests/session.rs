//! The program of a session.

use super::interpreter::Returned::{Allow, Kill};
use super::interpreter::{AARCH64, ENOSYS, EPERM, I386, SUCCESS, X86_64, interpret, run};
use super::{FilterOptions, OPTIONS, SetGroupId, closed};
use crate::confinement::Network;
use crate::sandbox::sys::linux::policy::filter_pass::FilterPass;
use crate::sandbox::sys::linux::policy::syscalls::{program, session_program, system_v_denied};

const CLONE: u32 = 56;
const CLONE3: u32 = 435;
const SETSID: u32 = 112;
const OPENAT2: u32 = 437;
const SETNS: u32 = 308;
/// Allowed in a session, whose root shows no other directories, without the pass too.
const INOTIFY_INIT: u32 = 253;
const INOTIFY_INIT1: u32 = 294;
/// Calls on a process by its number: `sched_setparam`, `sched_setscheduler`, `sched_setaffinity`, `prlimit64`,
/// `sched_setattr`; then `setpriority` and `ioprio_set`.
const OF_PROCESSES: [u32; 5] = [142, 144, 203, 302, 314];
/// System V, POSIX message queues, `memfd_create`.
const IPC: &[u32] = &[
    29, 30, 31, 64, 65, 66, 67, 68, 69, 70, 71, 220, 240, 241, 242, 243, 244, 245, 319,
];
const SETPRIORITY: u32 = 141;
const IOPRIO_SET: u32 = 251;

fn draw() -> FilterPass {
    FilterPass::draw().expect("random bytes")
}

/// Returns `args`, followed by the two that carry a pass.
fn carrying(args: [u64; 4], pass: [u64; 2]) -> [u64; 6] {
    let ([a, b, c, d], [e, f]) = (args, pass);
    [a, b, c, d, e, f]
}

#[test]
fn without_the_pass_a_session_has_the_policy_of_a_child_outside_one_and_inotify() {
    let calls = [
        [0; 4],
        [1, 1, 0, 0],
        [2, 1, 0, 0],
        [16, 3, 9, 0],
        [0x1000_0000, 0o6777, 0, 0],
    ];
    for network in [Network::None, Network::Loopback, Network::Host] {
        let session = session_program(network, OPTIONS, draw());
        let alone = program(Network::None, OPTIONS);
        let open = program(Network::Host, OPTIONS);
        let is_alike = |number: &u32| {
            !OF_PROCESSES.contains(number)
                && !IPC.contains(number)
                && ![SETPRIORITY, IOPRIO_SET].contains(number)
        };
        for number in (0..2000).filter(is_alike) {
            for args in calls {
                for others in [[0; 2], [7, u64::MAX], draw().arguments()] {
                    let args = carrying(args, others);
                    let expected = match (network, number, args) {
                        (Network::None, ..) => &alone,
                        // With a loopback interface, only internet sockets are allowed in addition.
                        (Network::Loopback, 41, [1, ..]) | (Network::Loopback, 53, _) => &alone,
                        _ => &open,
                    };
                    let expected = match number {
                        INOTIFY_INIT | INOTIFY_INIT1 => Allow,
                        _ => interpret(expected, X86_64, number, args),
                    };
                    assert_eq!(
                        interpret(&session, X86_64, number, args),
                        expected,
                        "{network:?} {number} {args:?}"
                    );
                }
            }
        }
        for arch in [I386, AARCH64] {
            assert_eq!(interpret(&session, arch, SETSID, [0; 6]), Kill);
        }
    }
}

#[test]
fn a_number_names_every_process_of_the_session_but_pid_1() {
    const HIGH: u64 = 0xdead_beef_0000_0000;
    for network in [Network::None, Network::Loopback, Network::Host] {
        let program = session_program(network, OPTIONS, draw());
        let run = |number, [a, b]: [u64; 2]| {
            interpret(&program, X86_64, number, carrying([a, b, 0, 0], [0; 2]))
        };
        for high in [0, HIGH] {
            for number in OF_PROCESSES {
                for pid in [0, 2, 77] {
                    assert_eq!(run(number, [pid | high, 0]), Allow, "{number} {pid}");
                }
                assert_eq!(run(number, [1 | high, 0]), EPERM, "{number} of pid 1");
            }
            // A process, a group; then the user, whose processes include pid 1.
            for (number, [process, group, user]) in
                [(SETPRIORITY, [0, 1, 2]), (IOPRIO_SET, [1, 2, 3])]
            {
                for pid in [0, 2, 77] {
                    assert_eq!(run(number, [process | high, pid | high]), Allow);
                    assert_eq!(run(number, [group | high, pid | high]), Allow);
                    assert_eq!(run(number, [user | high, pid | high]), EPERM);
                }
                for kind in [process, group, user, 4] {
                    assert_eq!(run(number, [kind | high, 1 | high]), EPERM);
                }
            }
        }
    }
}

#[test]
fn a_session_denies_set_id_bits_as_a_child_outside_one_does() {
    for set_group_id in [SetGroupId::Denied, SetGroupId::Allowed] {
        let options = FilterOptions {
            set_group_id,
            ..OPTIONS
        };
        let session = session_program(Network::None, options, draw());
        let alone = program(Network::None, options);
        for mode in 0..0o10_000 {
            let args = [3, mode, 0, 0, 0, 0];
            let fchmod = |program| interpret(program, X86_64, 91, args);
            assert_eq!(fchmod(&session), fchmod(&alone), "{mode:o}");
        }
    }
}

#[test]
fn ipc_is_the_sessions_and_without_huge_pages() {
    const SHMGET: u32 = 29;
    const MEMFD_CREATE: u32 = 319;
    for network in [Network::None, Network::Loopback, Network::Host] {
        let program = session_program(network, OPTIONS, draw());
        let run = |number, args| interpret(&program, X86_64, number, carrying(args, [0; 2]));
        for number in IPC {
            assert_eq!(run(*number, [0; 4]), Allow, "{number}");
        }
        // MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL; then MFD_HUGETLB, and a size for it.
        assert_eq!(run(MEMFD_CREATE, [0, 0xb, 0, 0]), Allow);
        assert_eq!(run(MEMFD_CREATE, [0, 4, 0, 0]), ENOSYS);
        assert_eq!(run(MEMFD_CREATE, [0, 0x5400_0007, 0, 0]), ENOSYS);
        // IPC_CREAT | SHM_NORESERVE; then SHM_HUGETLB.
        assert_eq!(run(SHMGET, [0, 0, 0o11_600, 0]), Allow);
        assert_eq!(run(SHMGET, [0, 0, 0o5_600, 0]), EPERM);
    }
}

#[test]
fn where_system_v_cannot_be_limited_it_alone_is_denied() {
    let program = system_v_denied();
    for number in 0..2000 {
        let expected = match number {
            470.. => ENOSYS,
            240..=245 | 319 => Allow,
            _ if IPC.contains(&number) => EPERM,
            _ => Allow,
        };
        let returned = interpret(&program, X86_64, number, [0; 6]);
        assert_eq!(returned, expected, "number {number}");
    }
    for arch in [I386, AARCH64] {
        assert_eq!(interpret(&program, arch, SETSID, [0; 6]), Kill);
    }
}

#[test]
fn without_a_network_a_session_lists_its_own_interfaces_and_has_no_other_socket() {
    const SOCKET: u32 = 41;
    const BIND: u32 = 49;
    let program = session_program(Network::None, OPTIONS, draw());
    let run = |number, [a, b, c]: [u64; 3]| interpret(&program, X86_64, number, [a, b, c, 0, 0, 0]);
    assert_eq!(run(SOCKET, [16, 3, 0]), Allow);
    assert_eq!(run(BIND, [3, 0, 12]), Allow);
    // The size of an address is an int, whose upper half the kernel ignores.
    assert_eq!(run(BIND, [3, 0, (1 << 32) + 16]), EPERM);
    for (family, protocol) in [
        (16, 9),
        (16, 11),
        (16, 15),
        (1, 0),
        (2, 0),
        (10, 0),
        (40, 0),
    ] {
        assert_eq!(
            run(SOCKET, [family, 3, protocol]),
            EPERM,
            "{family} {protocol}"
        );
    }
    for length in [0, 2, 16, 28, 110] {
        assert_eq!(run(BIND, [3, 0, length]), EPERM, "{length}");
    }
    for (number, args) in [(SOCKET, [16, 3, 0]), (BIND, [3, 0, 12])] {
        assert_eq!(closed(number, &args), EPERM, "outside a session {number}");
    }
}

#[test]
fn a_loopback_interface_allows_no_unix_sockets() {
    let program = session_program(Network::Loopback, OPTIONS, draw());
    let run = |number, [a, b, c]: [u64; 3]| interpret(&program, X86_64, number, [a, b, c, 0, 0, 0]);
    for (family, protocol, expected) in [
        (1, 0, EPERM),
        (2, 0, Allow),
        (10, 6, Allow),
        (16, 0, Allow),
        (16, 9, EPERM),
        (17, 0, EPERM),
        (40, 0, EPERM),
    ] {
        let returned = run(41, [family, 1, protocol]);
        assert_eq!(returned, expected, "family {family}");
    }
    for (kind, expected) in [(1, Allow), (5, Allow), (2, EPERM)] {
        assert_eq!(run(53, [1, kind, 0]), expected, "kind {kind}");
    }
}

#[test]
fn the_pass_allows_the_calls_of_the_server_and_no_others() {
    let pass = draw();
    let program = session_program(Network::None, OPTIONS, pass);
    let args = carrying([0; 4], pass.arguments());
    for number in 0..2000 {
        let returned = interpret(&program, X86_64, number, args);
        let calls = [SETSID, OPENAT2, CLONE3, SETNS, INOTIFY_INIT, INOTIFY_INIT1];
        let of_session = [&OF_PROCESSES, IPC, &[SETPRIORITY]].concat();
        if calls.contains(&number) || of_session.contains(&number) {
            assert_eq!(returned, Allow, "number {number}");
        } else {
            assert_eq!(returned, closed(number, &[]), "number {number}");
        }
    }
    for arch in [I386, AARCH64] {
        assert_eq!(interpret(&program, arch, SETSID, args), Kill);
    }
    assert_eq!(
        interpret(&program, X86_64, SETSID | 0x4000_0000, args),
        ENOSYS
    );
}

#[test]
fn every_bit_of_the_pass_counts_and_the_time_reveals_none() {
    let pass = draw();
    let [low, high] = pass.arguments();
    let program = session_program(Network::None, OPTIONS, pass);
    for (number, refused) in [
        (CLONE, EPERM),
        (CLONE3, ENOSYS),
        (SETSID, SUCCESS),
        (OPENAT2, ENOSYS),
    ] {
        // For `clone` the flag CLONE_PARENT.
        let run = |pass| run(&program, X86_64, number, carrying([0x8000, 0, 0, 0], pass));
        let (returned, executed) = run([low, high]);
        assert_eq!(returned, Allow);
        for bit in 0..64 {
            let wrong = [low ^ 1 << bit, high];
            assert_eq!(run(wrong).0, refused, "number {number} bit {bit}");
            assert_eq!(run(wrong).1, executed);
            let wrong = [low, high ^ 1 << bit];
            assert_eq!(run(wrong).0, refused, "number {number} bit {}", bit + 64);
            assert_eq!(run(wrong).1, executed);
        }
        // Differences that cancel out in a sum.
        for wrong in [
            [high, low],
            [low.wrapping_add(1), high.wrapping_sub(1)],
            [!low, !high],
            [low.swap_bytes(), high],
        ] {
            assert_eq!(run(wrong).0, refused);
        }
        assert_eq!(run([0; 2]), (refused, executed));
    }
}

#[test]
fn each_pass_is_different_and_appears_in_no_log() {
    let (one, other) = (draw(), draw());
    assert!(one != other);
    assert!(one.words().iter().all(|word| !other.words().contains(word)));
    assert_eq!(format!("{one:?}"), "FilterPass");
}

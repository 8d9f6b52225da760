//! The program of a child outside a session.

use super::interpreter::Returned::{Allow, Kill};
use super::interpreter::{AARCH64, ENOSYS, EOPNOTSUPP, EPERM, I386, SUCCESS, X86_64, interpret};
use super::{OPTIONS, SetGroupId, closed, native};
use crate::confinement::Network;
use crate::sandbox::sys::linux::policy::syscalls::{FilterOptions, program};

/// The numbers that are denied whatever the arguments, copied from the system call table and not from `libc`.
const DENIED: &[u32] = &[
    29, 30, 31, 64, 65, 66, 67, 68, 69, 70, 71, // System V
    103, 134, 153, 154, 155, 161, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172, 173, 175, 176,
    179, 212, 220, 227, // syslog to clock_settime
    240, 241, 242, 243, 244, 245, 246, 248, 249, 250, 256, 272, 279, // mq_open to move_pages
    298, 300, 301, 304, 308, 310, 311, 312, 313, 319, 320, 321,
    323, // perf_event_open to userfaultfd
    425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 440, 442, 443, 447, 448, 457, 458, 467,
];
/// Denied without a network; `socketpair` is tested below.
const SOCKETS: &[u32] = &[41, 42, 43, 49, 50, 53, 288];
/// Denied with arguments of zero.
const ZERO_DENIED: &[u32] = &[251];

#[test]
fn every_number_gets_its_action() {
    for number in 0..2000 {
        let expected = match number {
            109 | 112 => SUCCESS,
            435 | 437 | 470.. => ENOSYS,
            // Asynchronous I/O, inotify, Landlock.
            206..=210 | 333 | 253 | 294 | 444 | 445 => ENOSYS,
            // To set and to remove an extended attribute.
            188..=190 | 197..=199 | 463 | 466 => EOPNOTSUPP,
            _ if DENIED.contains(&number) || SOCKETS.contains(&number) => EPERM,
            _ if ZERO_DENIED.contains(&number) => EPERM,
            _ => Allow,
        };
        assert_eq!(closed(number, &[]), expected, "number {number}");
    }
}

#[test]
fn the_hosts_network_allows_sockets_and_nothing_else() {
    for number in 0..2000 {
        let open = native(Network::Host, number, &[2]);
        if SOCKETS.contains(&number) && number != 53 {
            assert_eq!(open, Allow, "number {number}");
        } else if number != 53 {
            assert_eq!(open, closed(number, &[2]), "number {number}");
        }
    }
    for (family, protocol, expected) in [
        (1, 0, Allow),
        (2, 0, Allow),
        (2, 262, Allow),
        (10, 6, Allow),
        (16, 0, Allow),
        (16, 9, EPERM),
        (17, 0, EPERM),
        (40, 0, EPERM),
        (38, 0, EPERM),
    ] {
        assert_eq!(
            native(Network::Host, 41, &[family, 1, protocol]),
            expected,
            "family {family}"
        );
    }
    assert_eq!(native(Network::Host, 53, &[1, 2]), Allow);
    assert_eq!(native(Network::Host, 53, &[30, 1]), EPERM);
}

#[test]
fn calls_of_other_architectures_kill_and_x32_calls_return_enosys() {
    for network in [Network::None, Network::Loopback, Network::Host] {
        let program = program(network, OPTIONS);
        for number in 0..1000 {
            assert_eq!(interpret(&program, I386, number, [0; 6]), Kill);
            assert_eq!(interpret(&program, AARCH64, number, [0; 6]), Kill);
            let x32 = number | 0x4000_0000;
            assert_eq!(interpret(&program, X86_64, x32, [0; 6]), ENOSYS);
        }
        for number in [u32::MAX, 0x8000_0000, 0x7fff_ffff] {
            assert_eq!(interpret(&program, X86_64, number, [0; 6]), ENOSYS);
        }
    }
}

#[test]
fn only_unix_stream_pairs_are_allowed() {
    const CLOEXEC_NONBLOCK: u64 = 0o2_004_000;
    for (family, kind, expected) in [
        (1, 1, Allow),
        (1, 5, Allow),
        (1, 1 | CLOEXEC_NONBLOCK, Allow),
        (1, 2, EPERM),
        (1, 3, EPERM),
        (1, 2 | CLOEXEC_NONBLOCK, EPERM),
        (30, 1, EPERM),
        (0, 1, EPERM),
    ] {
        assert_eq!(closed(53, &[family, kind]), expected, "{family} {kind:#o}");
    }
}

#[test]
fn without_a_network_a_socket_tells_of_no_interface_and_has_buffers_of_the_usual_size() {
    // SIOCGIFCONF, SIOCGIFADDR, SIOCETHTOOL, SIOCGIWNAME, and one with a size and a direction.
    for request in [0x8912, 0x8915, 0x8946, 0x8b01, 0x8010_8906] {
        assert_eq!(closed(16, &[3, request]), EPERM, "ioctl {request:#x}");
        assert_eq!(native(Network::Host, 16, &[3, request]), Allow);
    }
    // FIONREAD and TIOCOUTQ, by which programs read how much waits in a pair; FIONBIO, FIOASYNC, FIOCLEX.
    for request in [0x541b, 0x5411, 0x5421, 0x5452, 0x5451] {
        assert_eq!(closed(16, &[3, request]), Allow, "ioctl {request:#x}");
    }
    const SOL_SOCKET: u64 = 1;
    for option in 0..80 {
        // SO_SNDBUF, SO_RCVBUF, SO_SNDBUFFORCE, SO_RCVBUFFORCE.
        let expected = match option {
            7 | 8 | 32 | 33 => SUCCESS,
            _ => Allow,
        };
        let returned = closed(54, &[3, SOL_SOCKET, option]);
        assert_eq!(returned, expected, "option {option}");
        assert_eq!(native(Network::Host, 54, &[3, SOL_SOCKET, option]), Allow);
        assert_eq!(closed(54, &[3, 6, option]), Allow, "another level");
    }
}

#[test]
fn the_high_half_of_an_argument_is_ignored() {
    const HIGH: u64 = 0xdead_beef_0000_0000;
    for high in [0, HIGH] {
        for (cmd, expected) in [
            (0x5412, EPERM),
            (0x541c, EPERM),
            (0x541d, EPERM),
            (0x5423, EPERM),
            (0x5401, Allow),
            (0x540e, Allow), // TIOCSCTTY
            (0x5441, Allow), // TIOCGPTPEER, without the direction and size
        ] {
            assert_eq!(closed(16, &[0, cmd | high]), expected, "ioctl {cmd:#x}");
        }
        assert_eq!(closed(302, &[high]), Allow);
        assert_eq!(closed(302, &[1 | high]), EPERM);
    }
}

#[test]
fn a_process_can_change_the_limits_and_priority_of_itself_only() {
    for number in [302, 142, 144, 203, 314] {
        assert_eq!(closed(number, &[0]), Allow);
        assert_eq!(closed(number, &[77]), EPERM);
    }
    for (args, expected) in [
        ([0, 0], Allow),
        ([1, 0], Allow),
        ([2, 0], EPERM),
        ([0, 5], EPERM),
        ([1, 5], EPERM),
    ] {
        assert_eq!(closed(141, &args), expected, "setpriority {args:?}");
    }
    for (args, expected) in [
        ([1, 0], Allow),
        ([2, 0], Allow),
        ([3, 0], EPERM),
        ([1, 5], EPERM),
        ([0, 0], EPERM),
    ] {
        assert_eq!(closed(251, &args), expected, "ioprio_set {args:?}");
    }
}

#[test]
fn a_personality_can_be_read_reset_and_without_randomization() {
    for (persona, expected) in [
        (0xffff_ffff, Allow),
        (0, Allow),
        (0x0004_0000, Allow),
        // READ_IMPLIES_EXEC, MMAP_PAGE_ZERO, and a part of a pair.
        (0x0040_0000, EPERM),
        (0x0010_0000, EPERM),
        (0x0044_0000, EPERM),
    ] {
        assert_eq!(closed(135, &[persona]), expected, "{persona:#x}");
    }
}

#[test]
fn tracing_needs_a_landlock_domain() {
    for network in [Network::None, Network::Host] {
        for (has_domain, expected) in [(true, Allow), (false, EPERM)] {
            let options = FilterOptions {
                has_domain,
                ..OPTIONS
            };
            let program = program(network, options);
            for number in 0..2000 {
                let returned = interpret(&program, X86_64, number, [0; 6]);
                match number {
                    101 => assert_eq!(returned, expected),
                    _ => assert_eq!(returned, native(network, number, &[]), "{number}"),
                }
            }
        }
    }
}

#[test]
fn leases_that_block_other_processes_are_denied() {
    // F_SETLEASE, F_SETDELEG; then F_GETFL, F_SETLK, F_GETLEASE, F_DUPFD_CLOEXEC, F_GETDELEG.
    for command in [1024, 1040] {
        assert_eq!(closed(72, &[3, command]), EPERM, "fcntl {command}");
    }
    for command in [3, 6, 1025, 1030, 1039] {
        assert_eq!(closed(72, &[3, command]), Allow, "fcntl {command}");
    }
}

#[test]
fn threads_and_forks_are_allowed_and_namespaces_are_denied() {
    const THREAD: u64 = 0x003d_0f00;
    for flags in [17, 0x0120_0011, THREAD, 0x4111] {
        assert_eq!(closed(56, &[flags]), Allow, "clone {flags:#x}");
    }
    for bit in [17, 25, 26, 27, 28, 29, 30, 15] {
        assert_eq!(closed(56, &[17 | 1 << bit]), EPERM, "clone bit {bit}");
    }
}

/// Every call with a mode, with the mode `bits`.
fn with_mode(bits: u64) -> Vec<(u32, Vec<u64>)> {
    vec![
        (90, vec![0, bits]),
        (91, vec![0, bits]),
        (268, vec![0, 0, bits]),
        (452, vec![0, 0, bits]),
        (85, vec![0, bits]),
        (2, vec![0, 0o101, bits]),
        (257, vec![0, 0, 0o101, bits]),
        (257, vec![0, 0, 0o20_200_002, bits]),
        (133, vec![0, bits | 0o100_000]),
        (259, vec![0, 0, bits | 0o100_000]),
    ]
}

#[test]
fn set_id_bits_that_give_other_users_rights_are_denied_in_every_call_with_a_mode() {
    let program_for = |set_group_id| {
        let options = FilterOptions {
            set_group_id,
            ..OPTIONS
        };
        program(Network::None, options)
    };
    let (strict, open) = (
        program_for(SetGroupId::Denied),
        program_for(SetGroupId::Allowed),
    );
    for (mode, strictly, openly) in [
        (0o4755, EPERM, EPERM),
        (0o4000, EPERM, EPERM),
        (0o6755, EPERM, EPERM),
        (0o6744, EPERM, EPERM),
        (0o2755, EPERM, Allow),
        (0o2010, EPERM, Allow),
        // Without the group's right to execute, the kernel ignores the bit.
        (0o2765, Allow, Allow),
        (0o2000, Allow, Allow),
        (0o3767, Allow, Allow),
        (0o1777, Allow, Allow),
        (0o755, Allow, Allow),
    ] {
        for (number, args) in with_mode(mode) {
            let mut all = [0; 6];
            all[..args.len()].copy_from_slice(&args);
            let strict = interpret(&strict, X86_64, number, all);
            assert_eq!(strict, strictly, "{number} {args:?}");
            let open = interpret(&open, X86_64, number, all);
            assert_eq!(open, openly, "{number} {args:?}");
        }
        // Without a file to create, the register holds no mode.
        assert_eq!(closed(257, &[0, 0, 0o200_000, mode]), Allow);
        // The kernel takes no set-id bit from mkdir and mkdirat.
        assert_eq!(closed(83, &[0, mode]), Allow);
        assert_eq!(closed(258, &[0, 0, mode]), Allow);
    }
}

#[test]
fn devices_are_denied_in_every_call_that_creates_one() {
    for (format, expected) in [
        (0o020_000, EPERM),
        (0o060_000, EPERM),
        (0o010_000, Allow),
        (0o140_000, Allow),
        (0, Allow),
    ] {
        assert_eq!(closed(133, &[0, format | 0o666]), expected);
        assert_eq!(closed(259, &[0, 0, format | 0o666]), expected);
    }
}

#[test]
fn the_program_is_small_and_its_jumps_stay_inside() {
    for network in [Network::None, Network::Host] {
        let program = program(network, OPTIONS);
        assert!(program.len() < 300, "{} instructions", program.len());
        for (at, instruction) in program.iter().enumerate() {
            let furthest = match instruction.code {
                0x05 => instruction.k as usize,
                0x15 | 0x35 => usize::from(instruction.jt.max(instruction.jf)),
                0x06 => continue,
                _ => 0,
            };
            assert!(at + 1 + furthest < program.len(), "at {at}");
        }
    }
}

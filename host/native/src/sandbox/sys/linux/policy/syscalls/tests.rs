//! The program, interpreted: every number meets the answer it should.

use capspawn_raw::filter::Instruction;

use super::{program, session};
use crate::confinement::Network;
use crate::sandbox::sys::linux::policy::pass_key::Key;

const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
const AARCH64: u32 = 0xc000_00b7;

#[derive(Debug, PartialEq, Eq)]
enum Returned {
    Allow,
    Errno(u32),
    Kill,
}

const QUIET: Returned = Returned::Errno(0);
const EPERM: Returned = Returned::Errno(1);
const ENOSYS: Returned = Returned::Errno(38);
use Returned::{Allow, Kill};

/// Runs `program` on one call, as the kernel would.
fn interpret(program: &[Instruction], arch: u32, number: u32, args: [u64; 6]) -> Returned {
    run(program, arch, number, args).0
}

/// The same, with the number of instructions that it took.
fn run(program: &[Instruction], arch: u32, number: u32, args: [u64; 6]) -> (Returned, usize) {
    let load = |offset: u32| -> u32 {
        match offset {
            0 => number,
            4 => arch,
            16.. if offset.is_multiple_of(4) => {
                let arg = args[(offset as usize - 16) / 8].to_le_bytes();
                let at = offset as usize % 8;
                u32::from_le_bytes(arg[at..at + 4].try_into().expect("four bytes"))
            }
            _ => panic!("a load at {offset}"),
        }
    };
    let (mut at, mut accumulator, mut x) = (0, 0, 0);
    let mut taken = 0;
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        taken += 1;
        let branch = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            0x20 => accumulator = load(k),
            0x54 => accumulator &= k,
            0x14 => accumulator = accumulator.wrapping_sub(k),
            0x4c => accumulator |= x,
            0x07 => x = accumulator,
            0x05 => at += k as usize,
            0x15 => at += branch(accumulator == k),
            0x35 => at += branch(accumulator >= k),
            0x06 if k == 0x7fff_0000 => return (Allow, taken),
            0x06 if k == 0x8000_0000 => return (Kill, taken),
            0x06 if k & 0xffff_0000 == 0x0005_0000 => {
                return (Returned::Errno(k & 0xffff), taken);
            }
            _ => panic!("instruction {code:#x} {k:#x}"),
        }
    }
}

fn native(network: Network, number: u32, args: &[u64]) -> Returned {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    interpret(&program(network), X86_64, number, all)
}

fn closed(number: u32, args: &[u64]) -> Returned {
    native(Network::None, number, args)
}

/// The numbers that are denied whatever the arguments, from the system call table and not from `libc`.
const DENIED: &[u32] = &[
    29, 30, 31, 64, 65, 66, 67, 68, 69, 70, 71, // System V
    101, 103, 134, 153, 154, 155, 161, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172, 173, 175,
    176, 179, 212, 220, 227, // ptrace to clock_settime
    240, 241, 242, 243, 244, 245, 246, 248, 249, 250, 256, 272, 279, // mq_open to move_pages
    298, 300, 301, 304, 308, 310, 311, 312, 313, 319, 320, 321,
    323, // perf_event_open to userfaultfd
    425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 440, 442, 443, 447, 448, 457, 458, 467,
];
/// With arguments of zero these are allowed, or are tested below.
const SOCKETS: &[u32] = &[41, 42, 43, 49, 50, 53, 288];
const ZERO_DENIED: &[u32] = &[135, 251];

#[test]
fn every_number_meets_its_answer() {
    for number in 0..2000 {
        let expected = match number {
            109 | 112 => QUIET,
            435 | 437 | 470.. => ENOSYS,
            _ if DENIED.contains(&number) || SOCKETS.contains(&number) => EPERM,
            _ if ZERO_DENIED.contains(&number) => EPERM,
            _ => Allow,
        };
        assert_eq!(closed(number, &[]), expected, "number {number}");
    }
}

#[test]
fn an_open_network_opens_sockets_and_nothing_else() {
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
fn other_architectures_end_and_x32_does_not_exist() {
    for network in [Network::None, Network::Loopback, Network::Host] {
        let program = program(network);
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
fn only_stream_pairs_of_the_unix_family_are_made() {
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
fn the_high_half_of_an_argument_does_not_decide() {
    const HIGH: u64 = 0xdead_beef_0000_0000;
    for high in [0, HIGH] {
        for (cmd, expected) in [(0x5412, EPERM), (0x541c, EPERM), (0x5401, Allow)] {
            assert_eq!(closed(16, &[0, cmd | high]), expected, "ioctl {cmd:#x}");
        }
        assert_eq!(closed(302, &[high]), Allow);
        assert_eq!(closed(302, &[1 | high]), EPERM);
    }
}

#[test]
fn only_the_caller_itself_is_tuned() {
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
    assert_eq!(closed(135, &[0xffff_ffff]), Allow);
    assert_eq!(closed(135, &[0x0004_0000]), EPERM);
}

#[test]
fn no_lease_makes_who_opens_a_file_wait() {
    // F_SETLEASE, F_SETDELEG; then F_GETFL, F_SETLK, F_GETLEASE, F_DUPFD_CLOEXEC, F_GETDELEG.
    for command in [1024, 1040] {
        assert_eq!(closed(72, &[3, command]), EPERM, "fcntl {command}");
    }
    for command in [3, 6, 1025, 1030, 1039] {
        assert_eq!(closed(72, &[3, command]), Allow, "fcntl {command}");
    }
}

#[test]
fn threads_and_forks_are_made_and_namespaces_are_not() {
    const THREAD: u64 = 0x003d_0f00;
    for flags in [17, 0x0120_0011, THREAD, 0x4111] {
        assert_eq!(closed(56, &[flags]), Allow, "clone {flags:#x}");
    }
    for bit in [17, 25, 26, 27, 28, 29, 30, 15] {
        assert_eq!(closed(56, &[17 | 1 << bit]), EPERM, "clone bit {bit}");
    }
}

#[test]
fn set_id_bits_and_devices_are_denied_wherever_a_mode_is_given() {
    for bits in [0o4000, 0o2000, 0o6000] {
        for (number, args) in [
            (90, vec![0, bits]),
            (91, vec![0, bits | 0o755]),
            (268, vec![0, 0, bits]),
            (452, vec![0, 0, bits]),
            (85, vec![0, bits]),
            (2, vec![0, 0o101, bits]),
            (257, vec![0, 0, 0o101, bits]),
            (257, vec![0, 0, 0o20_200_002, bits]),
            (133, vec![0, bits | 0o100_644]),
            (259, vec![0, 0, bits | 0o100_644]),
        ] {
            assert_eq!(closed(number, &args), EPERM, "{number} {args:?}");
            let plain: Vec<_> = args.iter().map(|arg| arg & !0o6000).collect();
            assert_eq!(closed(number, &plain), Allow, "{number} {plain:?}");
        }
        // Without a file to create, whatever lies in the register is no mode.
        assert_eq!(closed(257, &[0, 0, 0o200_000, bits]), Allow);
    }
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
fn the_program_is_small_and_jumps_stay_inside() {
    for network in [Network::None, Network::Host] {
        let program = program(network);
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

const CLONE: u32 = 56;
const SETSID: u32 = 112;
const OPENAT2: u32 = 437;

fn key() -> Key {
    Key::draw().expect("random bytes")
}

/// `args`, and the two that carry a key.
fn carrying(args: [u64; 4], key: [u64; 2]) -> [u64; 6] {
    let ([a, b, c, d], [e, f]) = (args, key);
    [a, b, c, d, e, f]
}

#[test]
fn without_the_key_a_session_has_the_policy_of_a_child_that_is_alone() {
    let calls = [
        [0; 4],
        [1, 1, 0, 0],
        [2, 1, 0, 0],
        [16, 3, 9, 0],
        [0x1000_0000, 0o6777, 0, 0],
    ];
    for network in [Network::None, Network::Loopback, Network::Host] {
        let session = session(network, key());
        let alone = program(Network::None);
        let open = program(Network::Host);
        for number in 0..2000 {
            for args in calls {
                for others in [[0; 2], [7, u64::MAX], key().arguments()] {
                    let args = carrying(args, others);
                    let expected = match (network, number, args) {
                        (Network::None, ..) => &alone,
                        // What a loopback interface opens is what the internet's families need.
                        (Network::Loopback, 41, [1, ..]) | (Network::Loopback, 53, _) => &alone,
                        _ => &open,
                    };
                    assert_eq!(
                        interpret(&session, X86_64, number, args),
                        interpret(expected, X86_64, number, args),
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
fn a_loopback_interface_brings_no_sockets_that_have_paths() {
    let program = session(Network::Loopback, key());
    let answer =
        |number, [a, b, c]: [u64; 3]| interpret(&program, X86_64, number, [a, b, c, 0, 0, 0]);
    for (family, protocol, expected) in [
        (1, 0, EPERM),
        (2, 0, Allow),
        (10, 6, Allow),
        (16, 0, Allow),
        (16, 9, EPERM),
        (17, 0, EPERM),
        (40, 0, EPERM),
    ] {
        let answer = answer(41, [family, 1, protocol]);
        assert_eq!(answer, expected, "family {family}");
    }
    for (kind, expected) in [(1, Allow), (5, Allow), (2, EPERM)] {
        assert_eq!(answer(53, [1, kind, 0]), expected, "kind {kind}");
    }
}

#[test]
fn the_key_opens_what_serving_takes_and_no_more() {
    let key = key();
    let program = session(Network::None, key);
    let args = carrying([0; 4], key.arguments());
    for number in 0..2000 {
        let answer = interpret(&program, X86_64, number, args);
        if [SETSID, OPENAT2].contains(&number) {
            assert_eq!(answer, Allow, "number {number}");
        } else {
            assert_eq!(answer, closed(number, &[]), "number {number}");
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
fn every_bit_of_the_key_counts_and_none_shows_in_the_time() {
    let key = key();
    let [low, high] = key.arguments();
    let program = session(Network::None, key);
    for (number, refused) in [(CLONE, EPERM), (SETSID, QUIET), (OPENAT2, ENOSYS)] {
        // What a clone asks for: to be a child of the caller's parent.
        let run = |key| run(&program, X86_64, number, carrying([0x8000, 0, 0, 0], key));
        let (answer, taken) = run([low, high]);
        assert_eq!(answer, Allow);
        for bit in 0..64 {
            let wrong = [low ^ 1 << bit, high];
            assert_eq!(run(wrong).0, refused, "number {number} bit {bit}");
            assert_eq!(run(wrong).1, taken);
            let wrong = [low, high ^ 1 << bit];
            assert_eq!(run(wrong).0, refused, "number {number} bit {}", bit + 64);
            assert_eq!(run(wrong).1, taken);
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
        assert_eq!(run([0; 2]), (refused, taken));
    }
}

#[test]
fn each_session_has_a_key_of_its_own_that_no_log_shows() {
    let (one, other) = (key(), key());
    assert!(one != other);
    assert!(one.words().iter().all(|word| !other.words().contains(word)));
    assert_eq!(format!("{one:?}"), "Key");
}

//! An interpreter of seccomp programs, as the kernel defines them.

use capspawn_raw::filter::Instruction;

pub(super) const X86_64: u32 = 0xc000_003e;
pub(super) const I386: u32 = 0x4000_0003;
pub(super) const AARCH64: u32 = 0xc000_00b7;

/// What the filter returns for a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Returned {
    Allow,
    Errno(u32),
    Kill,
}

pub(super) const SUCCESS: Returned = Returned::Errno(0);
pub(super) const EPERM: Returned = Returned::Errno(1);
pub(super) const ENOSYS: Returned = Returned::Errno(38);
pub(super) const EOPNOTSUPP: Returned = Returned::Errno(95);

/// Runs `program` on one call, as the kernel does.
pub(super) fn interpret(
    program: &[Instruction],
    arch: u32,
    number: u32,
    args: [u64; 6],
) -> Returned {
    run(program, arch, number, args).0
}

/// The same, and returns the number of instructions executed.
pub(super) fn run(
    program: &[Instruction],
    arch: u32,
    number: u32,
    args: [u64; 6],
) -> (Returned, usize) {
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
    let mut executed = 0;
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        executed += 1;
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
            0x06 if k == 0x7fff_0000 => return (Returned::Allow, executed),
            0x06 if k == 0x8000_0000 => return (Returned::Kill, executed),
            0x06 if k & 0xffff_0000 == 0x0005_0000 => {
                return (Returned::Errno(k & 0xffff), executed);
            }
            _ => panic!("instruction {code:#x} {k:#x}"),
        }
    }
}

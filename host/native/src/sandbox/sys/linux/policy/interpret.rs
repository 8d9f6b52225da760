//! An interpreter of seccomp programs, as the kernel defines them.

use capspawn_raw::filter::Instruction;

/// What a filter returns for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returned {
    /// The call is executed.
    Allow,
    /// It fails with this error number, or succeeds without effect where that is 0.
    Errno(u16),
    /// The process is killed.
    Kill,
    /// Anything else, a program with an error included.
    Other,
}

/// Runs `program` on one call.
pub(crate) fn interpret(
    program: &[Instruction],
    arch: u32,
    number: u32,
    args: [u64; 6],
) -> Returned {
    run(program, arch, number, args).unwrap_or(Returned::Other)
}

fn run(program: &[Instruction], arch: u32, number: u32, args: [u64; 6]) -> Option<Returned> {
    let load = |offset: u32| -> Option<u32> {
        match offset {
            0 => Some(number),
            4 => Some(arch),
            16.. if offset.is_multiple_of(4) => {
                let at = usize::try_from(offset - 16).ok()?;
                let word = args.get(at / 8)?;
                let bytes = word.to_le_bytes();
                let half = bytes.get(at % 8..at % 8 + 4)?;
                Some(u32::from_le_bytes(half.try_into().ok()?))
            }
            _ => None,
        }
    };
    let (mut at, mut accumulator, mut x) = (0usize, 0u32, 0u32);
    // Jumps lead forward only, so that this ends.
    loop {
        let Instruction { code, jt, jf, k } = *program.get(at)?;
        at += 1;
        let branch = |holds: bool| usize::from(if holds { jt } else { jf });
        match code {
            0x20 => accumulator = load(k)?,
            0x54 => accumulator &= k,
            0x14 => accumulator = accumulator.wrapping_sub(k),
            0x4c => accumulator |= x,
            0x07 => x = accumulator,
            0x05 => at += usize::try_from(k).ok()?,
            0x15 => at += branch(accumulator == k),
            0x35 => at += branch(accumulator >= k),
            0x06 => {
                return Some(match k & 0xffff_0000 {
                    0x7fff_0000 => Returned::Allow,
                    0x8000_0000 => Returned::Kill,
                    0x0005_0000 => Returned::Errno(u16::try_from(k & 0xffff).ok()?),
                    _ => Returned::Other,
                });
            }
            _ => return None,
        }
    }
}

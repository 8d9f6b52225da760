//! A seccomp filter, in the kernel's own layout.

use core::fmt;
use core::marker::PhantomData;

/// The bytes of an [`Instruction`].
pub const INSTRUCTION_BYTES: usize = size_of::<Instruction>();

/// A classic BPF instruction, as `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// The operation.
    pub code: u16,
    /// How many instructions a jump skips if its condition holds.
    pub jt: u8,
    /// How many it skips if the condition does not hold.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

impl Instruction {
    /// Returns the instruction as it lies in memory: a filter travels in a file.
    pub fn to_bytes(self) -> [u8; INSTRUCTION_BYTES] {
        let [a, b] = self.code.to_ne_bytes();
        let [c, d, e, f] = self.k.to_ne_bytes();
        [a, b, self.jt, self.jf, c, d, e, f]
    }
}

/// A program of instructions, as `struct sock_fprog`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct FilterProgram<'a> {
    /// The number of instructions. A program of none installs nothing.
    len: u16,
    code: *const u8,
    instructions: PhantomData<&'a [u8]>,
}

impl<'a> FilterProgram<'a> {
    /// No program.
    pub const NONE: Self = Self {
        len: 0,
        code: core::ptr::null(),
        instructions: PhantomData,
    };

    /// Returns the program of these instructions. The kernel refuses more than 4096.
    pub fn new(instructions: &'a [Instruction]) -> Self {
        Self {
            len: u16::try_from(instructions.len()).unwrap_or(u16::MAX),
            code: instructions.as_ptr().cast(),
            instructions: PhantomData,
        }
    }

    /// Returns the program of instructions that were read from a file, at any alignment:
    /// the kernel copies them.
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        let (instructions, _) = bytes.as_chunks::<INSTRUCTION_BYTES>();
        Self {
            len: u16::try_from(instructions.len()).unwrap_or(u16::MAX),
            code: bytes.as_ptr(),
            instructions: PhantomData,
        }
    }

    /// Whether it has no instruction.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl fmt::Debug for FilterProgram<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilterProgram")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

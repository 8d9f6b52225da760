//! A compact generator of seccomp programs (classic BPF).
//!
//! The kernel runs a new filter once for every system call number of every ABI
//! when it is installed, so that the price of a spawn is the sum of its path
//! lengths. A linear chain of 285 instructions costs 430 us to install; here a
//! foreign architecture ends in three instructions, and the others go through a
//! binary search over ranges of equal answers, whose leaves are shared: a tenth.
//!
//! Jumps go forward only and by at most 255, so that the program is built from
//! its end: a leaf exists before whatever jumps to it.

use capspawn_raw::filter::Instruction;

use super::pass_key::Key;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const SUBTRACT: u16 = 0x14; // BPF_ALU | BPF_SUB | BPF_K
const OR_X: u16 = 0x4c; // BPF_ALU | BPF_OR | BPF_X
const TO_X: u16 = 0x07; // BPF_MISC | BPF_TAX
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const IF_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

const NUMBER_OFFSET: u32 = 0;
const ARCH_OFFSET: u32 = 4;
const ARGS_OFFSET: u32 = 16;
/// The last two of the six arguments.
const KEY_OFFSET: u32 = ARGS_OFFSET + 8 * 4;

const RETURN_KILL_PROCESS: u32 = 0x8000_0000;
const RETURN_ERRNO: u32 = 0x0005_0000;
const RETURN_ALLOW: u32 = 0x7fff_0000;

/// The architecture of native calls, as `AUDIT_ARCH_X86_64`.
const NATIVE: u32 = 0xc000_003e;

/// What a call meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is made.
    Allow,
    /// It is not made and fails with this error number; 0 is a success.
    Errno(u16),
}

impl Verdict {
    fn code(self) -> u32 {
        match self {
            Self::Allow => RETURN_ALLOW,
            Self::Errno(errno) => RETURN_ERRNO | u32::from(errno),
        }
    }
}

/// One test of an argument's low 32 bits; the kernel ignores the high ones of
/// every argument that is tested here, so that they may not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Test {
    /// The argument, from 0.
    pub(crate) arg: u8,
    /// The bits that are looked at.
    pub(crate) mask: u32,
    /// What they are compared with.
    pub(crate) value: u32,
    /// Whether equality or difference decides.
    pub(crate) equal: bool,
    /// What is decided.
    pub(crate) then: Verdict,
}

/// The answer to one system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Whatever the arguments.
    Always(Verdict),
    /// The first test that decides; else the verdict.
    Depends(&'static [Test], Verdict),
    /// The first test that decides; then it is made if its last two arguments, which it must not use, are the key; else
    /// the verdict.
    Keyed(&'static [Test], Key, Verdict),
}

/// Compiles a policy: `answers` names the calls that are not simply allowed,
/// every number from `limit` on (x32 included) gets `beyond`.
pub(crate) fn compile(answers: &[(u32, Answer)], limit: u32, beyond: Verdict) -> Vec<Instruction> {
    let mut program = Program::default();
    let segments = segments(answers, limit, beyond);
    let tree = program.tree(&segments);
    program.jump_to(tree);
    program.push(LOAD, NUMBER_OFFSET);
    let kill = Instruction {
        code: RETURN,
        jt: 0,
        jf: 0,
        k: RETURN_KILL_PROCESS,
    };
    program.reversed.push(kill);
    program.reversed.push(Instruction {
        code: IF_EQUAL,
        jt: 1,
        jf: 0,
        k: NATIVE,
    });
    program.push(LOAD, ARCH_OFFSET);
    program.reversed.reverse();
    program.reversed
}

/// Where ranges of equal answers start, in order; the first starts at 0.
fn segments(answers: &[(u32, Answer)], limit: u32, beyond: Verdict) -> Vec<(u32, Answer)> {
    let allow = Answer::Always(Verdict::Allow);
    let mut sorted = answers.to_vec();
    sorted.sort_by_key(|(number, _)| *number);
    sorted.retain(|(number, _)| *number < limit);
    let mut segments = vec![(0, allow)];
    let mut next = 0;
    for (number, answer) in sorted {
        if number > next {
            segments.push((next, allow));
        }
        segments.push((number, answer));
        next = number + 1;
    }
    if next < limit {
        segments.push((next, allow));
    }
    segments.push((limit, Answer::Always(beyond)));
    // Of two that start at one number the later holds; then equal neighbours are one.
    segments.reverse();
    segments.dedup_by_key(|(start, _)| *start);
    segments.reverse();
    segments.dedup_by_key(|(_, answer)| *answer);
    segments
}

/// A program from its end: the index of an instruction counts from the end.
#[derive(Default)]
struct Program {
    reversed: Vec<Instruction>,
    returns: Vec<(u32, usize)>,
    checks: Vec<(Answer, usize)>,
}

impl Program {
    fn last(&self) -> usize {
        self.reversed.len() - 1
    }

    fn push(&mut self, code: u16, k: u32) -> usize {
        self.reversed.push(Instruction {
            code,
            jt: 0,
            jf: 0,
            k,
        });
        self.last()
    }

    /// The offset to `target` from the instruction that is pushed next.
    fn offset(&self, target: usize) -> usize {
        self.reversed.len() - target - 1
    }

    /// Makes `target` the next instruction, by a jump where it is not.
    fn jump_to(&mut self, target: usize) -> usize {
        if self.last() == target {
            return target;
        }
        let offset = u32::try_from(self.offset(target)).unwrap_or(u32::MAX);
        self.push(JUMP, offset)
    }

    /// Returns `target`, or a jump to it where a conditional one pushed after one
    /// more instruction would not reach it.
    fn within_reach(&mut self, target: usize) -> usize {
        match u8::try_from(self.offset(target) + 1) {
            Ok(_) => target,
            Err(_) => self.jump_to(target),
        }
    }

    /// Pushes a conditional jump.
    fn branch(&mut self, code: u16, k: u32, then: usize, otherwise: usize) -> usize {
        let then = self.within_reach(then);
        let otherwise = self.within_reach(otherwise);
        let offset = |target| u8::try_from(self.offset(target)).unwrap_or(u8::MAX);
        let (jt, jf) = (offset(then), offset(otherwise));
        self.reversed.push(Instruction { code, jt, jf, k });
        self.last()
    }

    fn ret(&mut self, verdict: Verdict) -> usize {
        let code = verdict.code();
        if let Some((_, at)) = self.returns.iter().find(|(known, _)| *known == code) {
            return *at;
        }
        let at = self.push(RETURN, code);
        self.returns.push((code, at));
        at
    }

    fn answer(&mut self, answer: Answer) -> usize {
        let (tests, mut next) = match answer {
            Answer::Always(verdict) => return self.ret(verdict),
            Answer::Depends(tests, otherwise) => (tests, self.ret(otherwise)),
            Answer::Keyed(tests, key, otherwise) => (tests, self.keyed(key, otherwise)),
        };
        if let Some((_, at)) = self.checks.iter().find(|(known, _)| *known == answer) {
            return *at;
        }
        for test in tests.iter().rev() {
            let then = self.ret(test.then);
            let (yes, no) = if test.equal {
                (then, next)
            } else {
                (next, then)
            };
            self.branch(IF_EQUAL, test.value, yes, no);
            if test.mask != u32::MAX {
                self.push(AND, test.mask);
            }
            next = self.push(LOAD, ARGS_OFFSET + 8 * u32::from(test.arg));
        }
        self.checks.push((answer, next));
        next
    }

    /// Compares with a key. All four words are looked at before the one jump: how
    /// long it takes does not tell how many of them were right.
    fn keyed(&mut self, key: Key, otherwise: Verdict) -> usize {
        let (allow, otherwise) = (self.ret(Verdict::Allow), self.ret(otherwise));
        self.branch(IF_EQUAL, 0, allow, otherwise);
        let mut first = self.last();
        for (place, word) in [0, 1, 2, 3].into_iter().zip(key.words()).rev() {
            // The differences gather in X, which starts as 0.
            if place < 3 {
                self.push(TO_X, 0);
            }
            self.push(OR_X, 0);
            self.push(SUBTRACT, word);
            first = self.push(LOAD, KEY_OFFSET + 4 * place);
        }
        first
    }

    /// Emits the leaves of `segments` and a binary search over them.
    fn tree(&mut self, segments: &[(u32, Answer)]) -> usize {
        let mut nodes: Vec<_> = Vec::with_capacity(segments.len());
        for (start, answer) in segments {
            let leaf = self.answer(*answer);
            nodes.push((*start, leaf));
        }
        self.search(&nodes)
    }

    fn search(&mut self, nodes: &[(u32, usize)]) -> usize {
        let [(_, first), ..] = nodes else { return 0 };
        let (low, high) = nodes.split_at(nodes.len() / 2);
        let [(start, _), ..] = high else {
            return *first;
        };
        if low.is_empty() {
            return *first;
        }
        let high = self.search(high);
        let low = self.search(low);
        self.branch(IF_AT_LEAST, *start, high, low)
    }
}

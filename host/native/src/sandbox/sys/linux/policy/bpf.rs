//! A compact generator of seccomp programs (classic BPF).
//!
//! The problem: when a filter is installed, the kernel runs it once for every system call
//! number of every ABI, so the cost of a spawn grows with the sum of the path lengths. A
//! linear chain of 285 instructions takes 430 µs to install.
//!
//! The way chosen: a call of another architecture is decided within three instructions,
//! and all other calls go through a binary search over ranges of equal rules, whose leaves are shared.
//! That takes a tenth of the time. Rejected: the seccompiler crate, which generates the
//! linear chain, and libseccomp, which is a C library.
//!
//! Jumps go forward only and by at most 255 instructions, so the program is built from
//! its end: a leaf exists before the jumps that lead to it.

use capspawn_raw::filter::Instruction;

use super::filter_pass::FilterPass;

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
const PASS_OFFSET: u32 = ARGS_OFFSET + 8 * 4;

const RETURN_KILL_PROCESS: u32 = 0x8000_0000;
const RETURN_ERRNO: u32 = 0x0005_0000;
const RETURN_ALLOW: u32 = 0x7fff_0000;
const RETURN_NOTIFY: u32 = 0x7fc0_0000;
const RETURN_TRACE: u32 = 0x7ff0_0000;

/// The architecture of native calls: `AUDIT_ARCH_X86_64`.
const NATIVE: u32 = 0xc000_003e;

/// What the kernel does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Executes it.
    Allow,
    /// Leaves the answer to the observer; without one it fails with `ENOSYS`.
    Notify,
    /// Does not execute it and returns this error number; with 0 the caller sees a success.
    Errno(u16),
}

impl Action {
    fn code(self) -> u32 {
        match self {
            Self::Allow => RETURN_ALLOW,
            Self::Notify => RETURN_NOTIFY,
            Self::Errno(errno) => RETURN_ERRNO | u32::from(errno),
        }
    }
}

/// A test of 32 bits of one argument: of the low ones, where the kernel ignores the high ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ArgTest {
    /// The index of the argument, from 0.
    pub(crate) arg: u8,
    /// Whether the high 32 bits are tested.
    pub(crate) high: bool,
    /// The bits that are compared.
    pub(crate) mask: u32,
    /// The value that they are compared with.
    pub(crate) value: u32,
    /// Whether the test matches equal values or different ones.
    pub(crate) equal: bool,
    /// The action where the test matches; none for the one that the rule ends with.
    pub(crate) then: Option<Action>,
}

/// The rule for one system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallRule {
    /// The action, whatever the arguments.
    Always(Action),
    /// The action of the first test that matches; if none does, the action given here.
    ByArgs(&'static [ArgTest], Action),
    /// The action of the first test that matches; if none does, the call is allowed where its
    /// last two arguments, which it must not use, are the pass; else the action given here.
    WithPass(&'static [ArgTest], FilterPass, Action),
}

/// What takes the place of an error of a filter whose refusals are observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instead {
    /// The observer, who answers with the error.
    Notify,
    /// `ENOSYS`, to which a filter in front with [`Instead::Notify`] has precedence. (The kernel's action for a tracer,
    /// and nobody traces with it: every process that can be traced has the filter in front.)
    Unavailable,
}

/// Replaces the error `errno` in `program`.
pub(crate) fn replace_error(program: &mut [Instruction], errno: u16, instead: Instead) {
    let code = match instead {
        Instead::Notify => RETURN_NOTIFY,
        Instead::Unavailable => RETURN_TRACE,
    };
    let is_error = |it: &&mut Instruction| it.code == RETURN && it.k == Action::Errno(errno).code();
    for instruction in program.iter_mut().filter(is_error) {
        instruction.k = code;
    }
}

/// Compiles a policy: `rules` holds the calls that are not simply allowed, and every number
/// from `limit` on (x32 included) gets the action `beyond`.
pub(crate) fn compile(rules: &[(u32, CallRule)], limit: u32, beyond: Action) -> Vec<Instruction> {
    let mut program = Program::default();
    let segments = segments(rules, limit, beyond);
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

/// Returns the starts of the ranges of equal rules, in order; the first starts at 0.
fn segments(rules: &[(u32, CallRule)], limit: u32, beyond: Action) -> Vec<(u32, CallRule)> {
    let allow = CallRule::Always(Action::Allow);
    let mut sorted = rules.to_vec();
    sorted.sort_by_key(|(number, _)| *number);
    sorted.retain(|(number, _)| *number < limit);
    let mut segments = vec![(0, allow)];
    let mut next = 0;
    for (number, rule) in sorted {
        if number > next {
            segments.push((next, allow));
        }
        segments.push((number, rule));
        next = number + 1;
    }
    if next < limit {
        segments.push((next, allow));
    }
    segments.push((limit, CallRule::Always(beyond)));
    // Of two segments with one start the later applies; equal neighbours then become one segment.
    segments.reverse();
    segments.dedup_by_key(|(start, _)| *start);
    segments.reverse();
    segments.dedup_by_key(|(_, rule)| *rule);
    segments
}

/// A program that is built from its end: indices of instructions count from the end.
#[derive(Default)]
struct Program {
    reversed: Vec<Instruction>,
    returns: Vec<(u32, usize)>,
    checks: Vec<(CallRule, usize)>,
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

    /// Returns the offset to `target` from the instruction that is pushed next.
    fn offset(&self, target: usize) -> usize {
        self.reversed.len() - target - 1
    }

    /// Makes `target` the next instruction, by a jump if it is not.
    fn jump_to(&mut self, target: usize) -> usize {
        if self.last() == target {
            return target;
        }
        let offset = u32::try_from(self.offset(target)).unwrap_or(u32::MAX);
        self.push(JUMP, offset)
    }

    /// Returns `target`, or a jump to it where a conditional jump that is pushed after one
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

    /// Returns the instruction that ends with `action`.
    fn leaf(&mut self, action: Action) -> usize {
        let code = action.code();
        if let Some((_, at)) = self.returns.iter().find(|(known, _)| *known == code) {
            return *at;
        }
        let at = self.push(RETURN, code);
        self.returns.push((code, at));
        at
    }

    /// Returns the first instruction of `rule`.
    fn rule(&mut self, rule: CallRule) -> usize {
        let (tests, end) = match rule {
            CallRule::Always(action) => return self.leaf(action),
            CallRule::ByArgs(tests, otherwise) => (tests, self.leaf(otherwise)),
            CallRule::WithPass(tests, pass, otherwise) => (tests, self.pass(pass, otherwise)),
        };
        let mut next = end;
        if let Some((_, at)) = self.checks.iter().find(|(known, _)| *known == rule) {
            return *at;
        }
        for test in tests.iter().rev() {
            let then = test.then.map_or(end, |action| self.leaf(action));
            let (yes, no) = if test.equal {
                (then, next)
            } else {
                (next, then)
            };
            self.branch(IF_EQUAL, test.value, yes, no);
            if test.mask != u32::MAX {
                self.push(AND, test.mask);
            }
            next = self.push(
                LOAD,
                ARGS_OFFSET + 8 * u32::from(test.arg) + 4 * u32::from(test.high),
            );
        }
        self.checks.push((rule, next));
        next
    }

    /// Compares the last two arguments with `pass`. All four words are compared before the one
    /// jump, so the time taken does not depend on how many of them were right.
    fn pass(&mut self, pass: FilterPass, otherwise: Action) -> usize {
        let (allow, otherwise) = (self.leaf(Action::Allow), self.leaf(otherwise));
        self.branch(IF_EQUAL, 0, allow, otherwise);
        let mut first = self.last();
        for (place, word) in [0, 1, 2, 3].into_iter().zip(pass.words()).rev() {
            // X collects the differences; it starts as 0.
            if place < 3 {
                self.push(TO_X, 0);
            }
            self.push(OR_X, 0);
            self.push(SUBTRACT, word);
            first = self.push(LOAD, PASS_OFFSET + 4 * place);
        }
        first
    }

    /// Emits the leaves of `segments` and a binary search over them.
    fn tree(&mut self, segments: &[(u32, CallRule)]) -> usize {
        let mut nodes: Vec<_> = Vec::with_capacity(segments.len());
        for (start, rule) in segments {
            let leaf = self.rule(*rule);
            nodes.push((*start, leaf));
        }
        self.search(&nodes)
    }

    /// Emits a binary search over starts and their leaves.
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

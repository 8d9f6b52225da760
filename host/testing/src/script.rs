//! What a scripted child does, as a test writes it.
//!
//! A script is a list of steps and an end. It is no program: a test that needs a loop or a condition
//! writes several scripts, or uses a real program.

mod failure;
mod step;

use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use capspawn_native::Signal;
use capspawn_native::launch::{Exit, Plan};
use parking_lot::Mutex;

use crate::pattern::{ArgPattern, ArgPatterns};

pub use self::failure::Failure;
pub(crate) use self::step::{End, Grandchild, Output, Step};

/// A condition on what the grant decided.
type Condition = Box<dyn Fn(&Plan) -> bool + Send + Sync>;

/// How a child behaves that matches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behaviour {
    pub(crate) failure: Option<Failure>,
    pub(crate) steps: Vec<Step>,
    /// How long after its last step the child ends.
    pub(crate) after: Duration,
    pub(crate) end: End,
    pub(crate) grandchild: Option<Grandchild>,
    /// What the child makes of a signal that would end it; none if it ignores the signal.
    pub(crate) dispositions: Vec<(Signal, Option<Exit>)>,
}

/// Which children a script is for, and how they behave.
#[derive(Default)]
pub(crate) struct Entry {
    pub(crate) command: String,
    pub(crate) args: ArgPatterns,
    condition: Option<Condition>,
    /// How many children it is for; any number if none.
    times: Option<usize>,
    used: usize,
    pub(crate) behaviour: Behaviour,
}

impl Entry {
    /// Takes one use of the script if it is for a child with these arguments, `argv[0]` left out.
    pub(crate) fn take(&mut self, plan: &Plan, args: &[OsString]) -> Option<Behaviour> {
        let matches =
            !self.is_used_up() && self.is_for(plan) && self.args.matches(args) && self.holds(plan);
        matches.then(|| {
            self.used += 1;
            self.behaviour.clone()
        })
    }

    /// Whether the script is for this command.
    pub(crate) fn is_for(&self, plan: &Plan) -> bool {
        self.command == plan.request.program || self.command == plan.name
    }

    pub(crate) fn holds(&self, plan: &Plan) -> bool {
        self.condition.as_ref().is_none_or(|holds| holds(plan))
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.times.is_some_and(|times| self.used >= times)
    }

    /// Returns how many uses are missing of those that the test demands.
    pub(crate) fn missing(&self) -> usize {
        self.times.unwrap_or(0).saturating_sub(self.used)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The script's head, as a report shows it.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.command, self.args)?;
        if let Some(times) = self.times {
            write!(f, " (used {} of {times} times)", self.used)?;
        }
        Ok(())
    }
}

/// All scripts of a launcher, in the order in which they are tried.
pub(crate) type Entries = Arc<Mutex<Vec<Entry>>>;

/// One script of a [`ScriptedLauncher`](crate::ScriptedLauncher). Each method adds to it at once; there is nothing to
/// finish.
///
/// The steps are done in the order in which they are written, and then the child ends: by default it exits with 0. What it
/// writes to a stream that the guest does not read stays in the pipe, and a full pipe blocks the child, as it blocks a
/// process. Output to a pipe whose reader is gone ends the child by `SIGPIPE`.
///
/// ```
/// use std::time::Duration;
///
/// use capspawn_testing::{ScriptedLauncher, any};
///
/// let scripts = ScriptedLauncher::new();
/// scripts.on("git").args(["status", any()]).stdout("clean\n");
/// scripts.on("git").args(["fetch"]).stderr("fatal: no route to host\n").exit(128).after(Duration::from_secs(30));
/// ```
#[derive(Debug)]
pub struct Script {
    entries: Entries,
    index: usize,
}

impl Script {
    pub(crate) fn new(entries: &Entries, command: String) -> Self {
        let mut list = entries.lock();
        list.push(Entry {
            command,
            ..Entry::default()
        });
        Self {
            entries: Arc::clone(entries),
            index: list.len() - 1,
        }
    }

    fn change(self, change: impl FnOnce(&mut Entry)) -> Self {
        change(&mut self.entries.lock()[self.index]);
        self
    }

    fn step(self, step: Step) -> Self {
        self.change(|entry| entry.behaviour.steps.push(step))
    }

    /// Demands these arguments, `argv[0]` left out, the grant's fixed arguments included. [`any`](crate::any) stands for one
    /// argument, [`rest`](crate::rest) for all that follow. Without this the script is for any arguments.
    pub fn args(self, args: impl IntoIterator<Item = impl Into<ArgPattern>>) -> Self {
        let args = ArgPatterns::new(args);
        self.change(|entry| entry.args = args)
    }

    /// Demands that `condition` holds of what the grant has decided: the directory, the variables, the limits.
    pub fn when(self, condition: impl Fn(&Plan) -> bool + Send + Sync + 'static) -> Self {
        self.change(|entry| entry.condition = Some(Box::new(condition)))
    }

    /// Is for this many children. [`ScriptedLauncher::verify`](crate::ScriptedLauncher::verify) demands all of them; a later
    /// script is for those that follow.
    pub fn times(self, times: usize) -> Self {
        self.change(|entry| entry.times = Some(times))
    }

    /// Is for one child.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Fails to launch.
    pub fn fail(self, failure: Failure) -> Self {
        self.change(|entry| entry.behaviour.failure = Some(failure))
    }

    /// Writes to standard output.
    pub fn stdout(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Write(Output::Stdout, bytes.into()))
    }

    /// Writes to standard error.
    pub fn stderr(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Write(Output::Stderr, bytes.into()))
    }

    /// Does nothing for `duration`.
    pub fn pause(self, duration: Duration) -> Self {
        self.step(Step::Pause(duration))
    }

    /// Reads standard input until it contains `text`. What is read up to there counts for no later step. If the input ends
    /// before, that is a fault of the test's, and the child exits with 1.
    pub fn expect(self, text: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Expect(text.into()))
    }

    /// Writes to standard output: what the child answers to [`Script::expect`].
    pub fn reply(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdout(bytes)
    }

    /// Reads standard input to its end.
    pub fn read_stdin(self) -> Self {
        self.step(Step::Read(None))
    }

    /// Reads standard input to its end, which must be exactly `bytes`. Anything else is a fault of the test's, and the child
    /// exits with 1.
    pub fn expect_stdin(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Read(Some(bytes.into())))
    }

    /// Copies standard input to standard output until its end, as `cat` does.
    pub fn echo(self) -> Self {
        self.step(Step::Echo)
    }

    /// Writes `bytes` to standard output again and again, without an end: 64 KiB a millisecond at most.
    pub fn flood(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Flood(bytes.into()))
    }

    /// Closes standard input: what the guest writes from then on fails.
    pub fn close_stdin(self) -> Self {
        self.step(Step::CloseStdin)
    }

    /// Closes standard output, long before the child ends.
    pub fn close_stdout(self) -> Self {
        self.step(Step::Close(Output::Stdout))
    }

    /// Closes standard error, long before the child ends.
    pub fn close_stderr(self) -> Self {
        self.step(Step::Close(Output::Stderr))
    }

    /// Exits with `code`.
    pub fn exit(self, code: i32) -> Self {
        self.change(|entry| entry.behaviour.end = End::Exit(Exit::Code(code)))
    }

    /// Ends by a signal that nobody of the host's has sent: 11 is a crash (`SIGSEGV`), 6 an abort.
    pub fn signal(self, number: u8) -> Self {
        self.change(|entry| entry.behaviour.end = End::Exit(Exit::Signal(number)))
    }

    /// Is killed by the kernel, because its tree was at its memory limit.
    pub fn out_of_memory(self) -> Self {
        self.change(|entry| entry.behaviour.end = End::OutOfMemory)
    }

    /// Does not end by itself.
    pub fn hang(self) -> Self {
        self.change(|entry| entry.behaviour.end = End::Never)
    }

    /// Ends this long after its last step. By default it ends at once.
    pub fn after(self, duration: Duration) -> Self {
        self.change(|entry| entry.behaviour.after = duration)
    }

    /// Ignores `signal`; `SIGKILL` and `SIGSTOP` cannot be ignored.
    pub fn ignore(self, signal: Signal) -> Self {
        self.change(|entry| entry.behaviour.dispositions.push((signal, None)))
    }

    /// Exits with `code` when it receives `signal`, as a program that cleans up.
    pub fn exit_on(self, signal: Signal, code: i32) -> Self {
        let exit = Some(Exit::Code(code));
        self.change(|entry| entry.behaviour.dispositions.push((signal, exit)))
    }

    /// Leaves a grandchild behind, which keeps standard output and standard error open for `duration` after the child has
    /// ended, or until the tree is killed.
    pub fn grandchild(self, duration: Duration) -> Self {
        let grandchild = Grandchild {
            duration,
            writes: Vec::new(),
        };
        self.change(|entry| entry.behaviour.grandchild = Some(grandchild))
    }

    /// Leaves a grandchild behind, which writes `bytes` to standard output `duration` after the child has ended, and ends.
    pub fn grandchild_writes(self, duration: Duration, bytes: impl Into<Vec<u8>>) -> Self {
        let grandchild = Grandchild {
            duration,
            writes: bytes.into(),
        };
        self.change(|entry| entry.behaviour.grandchild = Some(grandchild))
    }
}

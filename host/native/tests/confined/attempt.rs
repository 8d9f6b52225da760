//! What a confined child tries, and how it reports the result.
//!
//! The child is this test program again: it runs the one test
//! `catalogue::entry`, which finds the attempt by its name, makes it, and exits
//! with [`SUCCEEDED`] or with [`FAILED`] and the error number on its standard
//! output.

use std::env;
use std::fmt::{self, Display};
use std::io;
use std::process::exit;

use capspawn_native::launch::Exit;

use crate::spec::{Run, Spec};

/// The exit code of an attempt that succeeded.
pub(crate) const SUCCEEDED: i32 = 70;
/// The exit code of an attempt that failed.
pub(crate) const FAILED: i32 = 71;

/// The name of the attempt, in the child's environment.
pub(crate) const NAME: &str = "CAPSPAWN_ATTEMPT";
const TEXT: &str = "CAPSPAWN_ATTEMPT_AT";
const PID: &str = "CAPSPAWN_ATTEMPT_AT_PROCESS";

/// Something that a child tries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    /// The child finds the attempt by it, so no two have the same.
    pub(crate) name: &'static str,
    run: fn(&Target) -> io::Result<()>,
}

/// What an attempt is aimed at.
pub(crate) struct Target {
    /// A path, an address or a number; empty unless the test sets it.
    pub(crate) text: String,
    /// A process; the test itself, which is the host, unless the test sets it.
    pub(crate) pid: usize,
}

impl Attempt {
    pub(crate) const fn new(name: &'static str, run: fn(&Target) -> io::Result<()>) -> Self {
        Self { name, run }
    }

    /// A child that makes the attempt on the host process.
    pub(crate) fn spec(&self) -> Spec {
        let program = env::current_exe().expect("a running program has a path");
        Spec::new(program)
            .args(["--exact", "catalogue::entry"])
            .args(["--nocapture", "--test-threads=1"])
            .env(NAME, self.name)
            .at_process(std::process::id())
    }

    /// Makes the attempt, in the child, and ends the child.
    pub(crate) fn make(&self) -> ! {
        let target = Target {
            text: env::var(TEXT).unwrap_or_default(),
            pid: env::var(PID).map_or(0, |pid| pid.parse().expect("a process id")),
        };
        match (self.run)(&target) {
            Ok(()) => exit(SUCCEEDED),
            Err(error) => {
                println!("errno={}", error.raw_os_error().unwrap_or(0));
                exit(FAILED)
            }
        }
    }
}

impl Target {
    /// The number that the text is.
    pub(crate) fn number(&self) -> usize {
        self.text.parse().expect("the test sets a number")
    }
}

impl Spec {
    /// Aims the attempt at a path, an address or a number.
    pub(crate) fn at(self, target: impl Display) -> Self {
        self.env(TEXT, target)
    }

    /// Aims the attempt at a process of the host.
    pub(crate) fn at_process(self, pid: u32) -> Self {
        self.env(PID, pid)
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Succeeds,
    /// It fails with this error number.
    Fails(i32),
}

impl Run {
    /// The outcome of the attempt; none where the child did not report one.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        match self.exit {
            Exit::Code(SUCCEEDED) => Some(Outcome::Succeeds),
            Exit::Code(FAILED) => {
                let (_, rest) = self.output.rsplit_once("errno=")?;
                Some(Outcome::Fails(rest.lines().next()?.parse().ok()?))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Run {
    /// Writes the outcome of the attempt, or all that is known of the child.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome() {
            Some(outcome) => write!(f, "{outcome:?}"),
            None => write!(f, "{self:?}"),
        }
    }
}

/// Runs the child, and asserts that its attempt fails with `errno`.
#[track_caller]
pub(crate) fn assert_fails(spec: &Spec, errno: i32) {
    assert_outcome(spec, Outcome::Fails(errno));
}

/// Runs the child, and asserts that its attempt succeeds.
#[track_caller]
pub(crate) fn assert_succeeds(spec: &Spec) {
    assert_outcome(spec, Outcome::Succeeds);
}

#[track_caller]
fn assert_outcome(spec: &Spec, expected: Outcome) {
    let run = spec.run();
    let name = &spec.env[NAME];
    assert!(
        run.outcome() == Some(expected),
        "{name}: expected {expected:?}, got {run}"
    );
}

//! The escape table: one row for each attack, with the attempt itself, what it
//! is aimed at, and its outcome in each tier.
//!
//! Each row is run twice: confined, where it has the outcome of its tier, and
//! unconfined, where it succeeds; so a refusal comes from the sandbox and not
//! from a mistake in the attempt. A row that starts to succeed fails the test,
//! and so does one that starts to fail. The rows made by [`permitted`] show that
//! the sandbox does not refuse more than it has to.

use std::io;

use capspawn_native::sandbox::{Sandbox, Tier};

use crate::attempt::{Attempt, Outcome, Target};
use crate::fixture::Fixture;
use crate::launcher::tier;
use crate::proc_mount;
use crate::scopes::has_scopes;
use crate::spec::Spec;

/// One attack, or one permitted attempt.
pub(crate) struct Row {
    pub(crate) attempt: Attempt,
    aim: Aim,
    a: Expected,
    b: Expected,
    without_scopes: Option<Expected>,
    unconfined: Unconfined,
}

/// Aims the child at something of the fixture, and sets what its grant allows.
type Aim = fn(&Fixture, Spec) -> Spec;

/// The outcome of an attempt in one tier.
#[derive(Clone, Copy)]
pub(crate) enum Expected {
    /// It succeeds. For an attack this is a gap, which the enforcement report names.
    Succeeds,
    /// It fails with this error number.
    Fails(i32),
    /// It fails as all do that open files of another process in the host's
    /// `/proc`: how depends on the machine's mount option `hidepid`.
    FailsInProc,
}

/// The outcome of an attack without a sandbox.
#[derive(Clone, Copy)]
pub(crate) enum Unconfined {
    /// It succeeds.
    Succeeds,
    /// It succeeds, or fails with one of these errors: the machine lacks what the
    /// attack uses.
    SucceedsOr(fn() -> &'static [i32]),
    /// It succeeds where this is true. Elsewhere it is not run.
    SucceedsIf(fn() -> bool),
    /// It is not run: the kernel refuses it to the children's user as well. The
    /// error number shows that the sandbox refuses it first.
    NotRun,
}

/// The row of an attack: `run` is what the child tries, and `a` and `b` are its
/// outcomes in the tiers of these names. Unconfined it succeeds.
pub(crate) const fn row(
    name: &'static str,
    run: fn(&Target) -> io::Result<()>,
    aim: Aim,
    a: Expected,
    b: Expected,
) -> Row {
    Row {
        attempt: Attempt::new(name, run),
        aim,
        a,
        b,
        without_scopes: None,
        unconfined: Unconfined::Succeeds,
    }
}

/// The row of an attempt that a grant permits, and that succeeds in every tier.
pub(crate) const fn permitted(
    name: &'static str,
    run: fn(&Target) -> io::Result<()>,
    aim: Aim,
) -> Row {
    let succeeds = Expected::Succeeds;
    row(name, run, aim, succeeds, succeeds).unconfined(Unconfined::NotRun)
}

/// The aim of an attempt that needs no target, or has the host process as one.
pub(crate) fn unaimed(_: &Fixture, child: Spec) -> Spec {
    child
}

impl Row {
    /// The same row with another outcome without a sandbox.
    pub(crate) const fn unconfined(mut self, outcome: Unconfined) -> Self {
        self.unconfined = outcome;
        self
    }

    /// The same row with another outcome in tier A where the kernel's Landlock has no scopes.
    pub(crate) const fn without_scopes(mut self, outcome: Expected) -> Self {
        self.without_scopes = Some(outcome);
        self
    }

    /// Describes how the row differs from what happens; none where it does not.
    fn difference(&self) -> Option<String> {
        self.confined_difference()
            .or_else(|| self.unconfined_difference())
    }

    fn confined_difference(&self) -> Option<String> {
        let expected = match (self.without_scopes, tier()) {
            (Some(expected), Tier::A) if !has_scopes() => expected,
            (_, Tier::A) => self.a,
            (_, Tier::B) => self.b,
            (_, Tier::C) => panic!("the table has no column for tier C"),
        };
        let expected = match expected {
            Expected::Succeeds => Outcome::Succeeds,
            Expected::Fails(errno) => Outcome::Fails(errno),
            Expected::FailsInProc => Outcome::Fails(proc_mount::errno_of_foreign_files()),
        };
        let (name, tier) = (self.attempt.name, tier());
        self.with_child(|child| {
            let run = child.run();
            (run.outcome() != Some(expected))
                .then(|| format!("{name}: expected {expected:?} in tier {tier}, got {run}"))
        })
    }

    fn unconfined_difference(&self) -> Option<String> {
        let tolerated = match self.unconfined {
            Unconfined::Succeeds => &[],
            Unconfined::SucceedsOr(errors) => errors(),
            Unconfined::SucceedsIf(is_possible) if is_possible() => &[],
            Unconfined::SucceedsIf(_) | Unconfined::NotRun => return None,
        };
        let name = self.attempt.name;
        self.with_child(|child| {
            let run = child.sandbox(Sandbox::None).run();
            match run.outcome() {
                Some(Outcome::Succeeds) => None,
                Some(Outcome::Fails(errno)) if tolerated.contains(&errno) => {
                    println!("{name}: not shown, this machine lacks what the attack uses");
                    None
                }
                _ => Some(format!(
                    "{name}: shows nothing, without a sandbox it is {run}"
                )),
            }
        })
    }

    /// Calls `run` with the child of the row, in a fixture of its own.
    fn with_child<R>(&self, run: impl FnOnce(Spec) -> R) -> R {
        let fixture = Fixture::new();
        let child = self.attempt.spec().home(fixture.inside.path());
        run((self.aim)(&fixture, child))
    }
}

/// Runs every row of a table, and asserts that none differs.
#[track_caller]
pub(crate) fn assert_table(rows: &[Row]) {
    let differences: Vec<_> = rows.iter().filter_map(Row::difference).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

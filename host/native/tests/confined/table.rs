//! The escape table: one row for each attack, with what it meets in each tier.
//!
//! A row is shown twice: confined, where it meets what is expected, and bare,
//! where it succeeds, so that the refusal is the sandbox' work. One that
//! suddenly gets through and one that suddenly fails both break the build.

use capspawn_native::launch::Exit;
use capspawn_native::sandbox::{Sandbox, Tier};

use crate::probe::{DENIED, OPEN};
use crate::support::{Run, Spec, tier};
use crate::world::World;

/// What an attack meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It succeeds: a gap, which the report names.
    Open,
    /// It ends with this error number.
    Refused(i32),
}

/// What becomes of the attack without a sandbox.
#[derive(Clone, Copy)]
pub(crate) enum Bare {
    /// It succeeds.
    Works,
    /// It succeeds, or fails like this where the machine does not offer it.
    WorksUnless(&'static [i32]),
    /// It succeeds where the machine lets a process trace one of its user.
    Traces,
    /// The children's user may not do it anyway; the sandbox says so first.
    Forbidden,
}

/// An attack.
pub(crate) struct Attack {
    name: &'static str,
    spec: fn(&World) -> Spec,
    a: Answer,
    b: Answer,
    bare: Bare,
}

/// The row of an attack that meets `a` and `b` in the tiers of these names.
pub(crate) const fn row(
    name: &'static str,
    spec: fn(&World) -> Spec,
    a: Answer,
    b: Answer,
) -> Attack {
    Attack {
        name,
        spec,
        a,
        b,
        bare: Bare::Works,
    }
}

impl Attack {
    pub(crate) const fn bare(mut self, bare: Bare) -> Self {
        self.bare = bare;
        self
    }

    fn expected(&self, tier: Tier) -> Answer {
        match tier {
            Tier::A => self.a,
            Tier::B => self.b,
            Tier::C => panic!("the table has no column of tier C"),
        }
    }

    /// Says how the attack differs from its row; none where it does not.
    fn differs(&self) -> Option<String> {
        let confined = self.confined();
        let expected = self.expected(tier());
        if confined.0 != Some(expected) {
            return Some(format!(
                "{}: expected {expected:?} in tier {}, met {confined:?}",
                self.name,
                tier()
            ));
        }
        self.differs_bare()
    }

    fn confined(&self) -> (Option<Answer>, Exit, String) {
        let world = World::new();
        let run = (self.spec)(&world).run();
        (answer(&run), run.exit, run.output)
    }

    fn differs_bare(&self) -> Option<String> {
        let absent = match self.bare {
            Bare::Works => &[],
            Bare::WorksUnless(absent) => absent,
            Bare::Traces if may_trace() => &[],
            Bare::Traces | Bare::Forbidden => return None,
        };
        let world = World::new();
        let run = (self.spec)(&world).sandbox(Sandbox::None).run();
        match answer(&run) {
            Some(Answer::Open) => None,
            Some(Answer::Refused(errno)) if absent.contains(&errno) => {
                println!("{}: this machine does not offer it", self.name);
                None
            }
            _ => Some(format!(
                "{}: shows nothing, bare it meets {run:?}",
                self.name
            )),
        }
    }
}

/// What the probe told; none where it did not end by itself.
fn answer(run: &Run) -> Option<Answer> {
    match run.exit {
        Exit::Code(OPEN) => Some(Answer::Open),
        Exit::Code(DENIED) => {
            let (_, rest) = run.output.rsplit_once("errno=")?;
            Some(Answer::Refused(rest.lines().next()?.parse().ok()?))
        }
        _ => None,
    }
}

/// Whether Yama lets a process trace another that is not its descendant.
fn may_trace() -> bool {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    scope.map_or(true, |scope| scope.trim() == "0")
}

/// Shows every row, and that what stands beside them is done.
#[track_caller]
pub(crate) fn holds(table: &[Attack], admitted: &[fn(&World) -> Spec]) {
    let mut differ: Vec<String> = table.iter().filter_map(Attack::differs).collect();
    for spec in admitted {
        let world = World::new();
        let spec = spec(&world);
        let run = spec.run();
        if answer(&run) != Some(Answer::Open) {
            differ.push(format!(
                "{} must be done: {run:?}",
                spec.env["CAPSPAWN_PROBE"]
            ));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

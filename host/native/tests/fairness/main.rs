//! Whatever one guest does, another guest gets the answers that it gets alone, or `host-capacity`.
//!
//! Random operations of two owners run interleaved; then those of the first run again alone, in a new
//! registry, without the ones that were refused for the host's capacity. The answers have to be the same. The
//! children are scripted: they write, read and end when an operation makes them, and each operation
//! waits until the registry has noticed. `CAPSPAWN_FAIRNESS_CASES` is the number of random cases (48 by default).

mod actor;
mod operation;
mod party;

use std::path::Path;
use std::sync::Arc;

use capspawn_native::grant::{Grant, Grants};
use capspawn_native::{Holdings, Registry};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use actor::Troupe;
use operation::{Operation, operation};
use party::{Answer, Party};

/// Whose an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    First,
    Second,
}

/// The bounds of a host: entries, bytes and descriptors.
type Bounds = (usize, usize, usize);

/// Every bound is low enough that an owner reaches it. `capture` is more than the share for three
/// children, so they share it.
const GRANT: &str = r#"
version = 1
[defaults]
sandbox = "none"
limits = { wall = "1h" }
capture = { stdout = "48KiB", stderr = "1KiB" }
[component.test]
max-live = 4
max-total = 60
max-held-children = 6
max-held-memory = "100KiB"
max-held-descriptors = 16
detach = { allow = true, max-life = "1h" }
[[component.test.command]]
name = "actor"
program = "/bin/true"
args = [{ rest = true }]
"#;

fn grant() -> Arc<Grant> {
    let grants = Grants::from_toml_str(GRANT, Path::new("/"));
    grants.expect("the grant loads").component("test")
}

/// A host and its two parties.
struct World {
    registry: Registry,
    first: Party,
    second: Party,
}

impl World {
    fn new((entries, bytes, descriptors): Bounds) -> Self {
        let troupe = Arc::new(Troupe::default());
        let registry = Registry::builder()
            .launcher(troupe.clone())
            .max_entries(entries)
            .max_held_bytes(bytes)
            .max_held_descriptors(descriptors)
            .build()
            .expect("the registry starts");
        let party = |tenant| Party::new(&registry, grant(), tenant, &troupe);
        Self {
            first: party("first"),
            second: party("second"),
            registry,
        }
    }

    fn party(&mut self, who: Who) -> &mut Party {
        match who {
            Who::First => &mut self.first,
            Who::Second => &mut self.second,
        }
    }

    /// Ends all. Nothing is held afterwards.
    fn wind_up(self) {
        let Self {
            registry,
            first,
            second,
        } = self;
        drop((first, second));
        test_kit::eventually("a host that holds nothing", || {
            registry.host_holdings().held == Holdings::default()
        });
    }
}

/// Returns the answers to the first party, one for each of its operations.
fn answers(bounds: Bounds, script: &[(Who, Operation)]) -> Vec<Answer> {
    let mut world = World::new(bounds);
    let mut answers = Vec::new();
    for (who, operation) in script {
        // The second one tries the keys of the first.
        let foreign = match who {
            Who::First => Vec::new(),
            Who::Second => world.first.keys(),
        };
        let answer = world.party(*who).perform(*operation, &foreign);
        if *who == Who::First {
            answers.push(answer);
        }
    }
    world.wind_up();
    answers
}

/// Checks one script; returns how many answers were `host-capacity`.
fn check(bounds: Bounds, script: &[(Who, Operation)]) -> Result<usize, TestCaseError> {
    let beside = answers(bounds, script);
    let own = script.iter().filter(|(who, _)| *who == Who::First);
    let (expected, alone): (Vec<_>, Vec<_>) = beside
        .iter()
        .zip(own.copied())
        .filter(|(answer, _)| **answer != Answer::HostCapacity)
        .unzip();
    let alone = answers(bounds, &alone);
    for (at, (expected, alone)) in expected.iter().zip(&alone).enumerate() {
        prop_assert_eq!(*expected, alone, "answer {}", at);
    }
    Ok(beside.len() - expected.len())
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (6usize..14, 90usize..240, 12usize..40)
        .prop_map(|(entries, kib, fds)| (entries, kib << 10, fds))
}

fn script() -> impl Strategy<Value = Vec<(Who, Operation)>> {
    let who = prop_oneof![2 => Just(Who::First), 3 => Just(Who::Second)];
    prop::collection::vec((who, operation()), 1..120)
}

#[test]
fn no_operation_of_one_guest_changes_an_answer_to_another_but_host_capacity() {
    let cases = std::env::var("CAPSPAWN_FAIRNESS_CASES");
    let cases = cases.map_or(48, |text| text.parse().expect("the variable is a number"));
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..ProptestConfig::default()
    });
    let refused = std::cell::Cell::new(0);
    let result = runner.run(&(bounds(), script()), |(bounds, script)| {
        refused.set(refused.get() + check(bounds, &script)?);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert!(refused.get() > 0, "the host was never full");
}

/// The operations that were found to reach another guest, each as often as it needs.
mod attacks {
    use super::operation::{In, Out};
    use super::*;

    const ROOMY: Bounds = (12, 220 << 10, 40);

    /// The first has one child that has written, and one that writes later.
    fn beside(attack: &[Operation]) {
        let spawn = Operation::Spawn {
            stdin: In::Null,
            stdout: Out::Captured,
            args: 3,
        };
        let first = |operation| (Who::First, operation);
        let say = |child| Operation::Say {
            child,
            bytes: 15_000,
        };
        let mut script = vec![first(spawn), first(spawn), first(say(0))];
        script.push(first(Operation::End { child: 0 }));
        script.extend(attack.iter().map(|operation| (Who::Second, *operation)));
        script.push(first(Operation::Read { child: 0 }));
        script.push(first(say(1)));
        script.push(first(Operation::End { child: 1 }));
        script.push(first(Operation::Read { child: 1 }));
        script.push(first(spawn));
        let refused = check(ROOMY, &script).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(refused, 0, "the host has room beside a share");
    }

    /// `count` children, each of which does `then`; they stay with their handles.
    fn many(
        count: usize,
        stdin: In,
        stdout: Out,
        args: usize,
        then: &[Operation],
    ) -> Vec<Operation> {
        let spawn = Operation::Spawn {
            stdin,
            stdout,
            args,
        };
        let one = || std::iter::once(spawn).chain(then.iter().copied());
        (0..count).flat_map(|_| one()).collect()
    }

    const LAST: usize = usize::MAX;
    const SAY: Operation = Operation::Say {
        child: LAST,
        bytes: 15_000,
    };
    const END: Operation = Operation::End { child: LAST };

    #[test]
    fn running_children_that_write_take_no_others_output() {
        beside(&many(20, In::Null, Out::Captured, 0, &[SAY]));
    }

    #[test]
    fn ended_children_that_nobody_looks_at_take_no_others_output() {
        beside(&many(50, In::Null, Out::Captured, 0, &[SAY, END]));
    }

    #[test]
    fn streams_that_nobody_takes_take_no_others_descriptors() {
        beside(&many(50, In::Piped, Out::Piped, 0, &[END]));
    }

    #[test]
    fn streams_that_outlive_their_child_take_no_others_descriptors() {
        let take = Operation::TakeStdout { child: LAST };
        beside(&many(50, In::Null, Out::Piped, 0, &[take, END]));
    }

    #[test]
    fn standard_input_that_no_child_reads_takes_no_others_memory() {
        beside(&many(20, In::Bytes, Out::Null, 0, &[]));
    }

    #[test]
    fn arguments_take_no_others_memory() {
        beside(&many(50, In::Null, Out::Null, 4000, &[END]));
    }

    #[test]
    fn detached_children_take_no_others_places() {
        let detach = Operation::Detach { child: LAST };
        let drop = Operation::Drop { child: LAST };
        beside(&many(
            50,
            In::Null,
            Out::Captured,
            0,
            &[SAY, detach, END, drop],
        ));
    }
}

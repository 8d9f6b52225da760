//! The property: for any grant and any request, the explanation and the spawn
//! say the same, and the child is what the explanation announced.

use std::cell::Cell;
use std::time::Instant;

use capspawn_native::{Decision, DeniedItem, SpawnError};
use proptest::test_runner::{Config, TestRunner};

use crate::generate::{Case, case};
use crate::guests::{Counting, report};
use crate::probe::folder;

/// Each starts a process or proves that none starts; 20 s are the bound.
const CASES: u32 = 150;

#[test]
fn what_explain_allows_is_exactly_what_spawn_runs() {
    folder();
    let (launcher, registry) = Counting::registry().expect("a thread can be had");
    let (allowed, denied) = (Cell::new(0u32), Cell::new(0u32));
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let begin = Instant::now();
    let result = runner.run(&case(), |case| {
        let passed = check(&case, &launcher, &registry);
        let count = if passed { &allowed } else { &denied };
        count.set(count.get() + 1);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let (allowed, denied) = (allowed.get(), denied.get());
    println!(
        "{allowed} allowed, {denied} denied in {:?}",
        begin.elapsed()
    );
    assert!(allowed > CASES / 3, "only {allowed} requests were allowed");
    assert!(denied > CASES / 10, "only {denied} requests were denied");
}

/// Checks one case, and says whether a child was started.
fn check(case: &Case, launcher: &Counting, registry: &capspawn_native::Registry) -> bool {
    let grant = case.grant();
    let explained = grant.explain(&case.request);
    let shown = explained.to_string();
    let before = launcher.launches();
    let guest = registry.guest(grant, "");
    let spawned = guest.spawn(&case.request);
    match explained.outcome {
        Ok(Decision::Allow(plan)) => {
            let child = spawned.unwrap_or_else(|error| panic!("{error}, though:\n{shown}"));
            assert_eq!(launcher.launches(), before + 1);
            let report = report(&child);
            let env: Vec<_> = plan
                .env
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            assert_eq!(report.argv, plan.argv);
            assert_eq!(report.env, env);
            assert_eq!(report.cwd, plan.cwd.path);
            assert_eq!(report.program, plan.program.path);
            assert!(
                report.argv.ends_with(&case.request.args),
                "nothing was changed"
            );
            for announced in [
                format!("arguments  {:?}\n", report.argv),
                format!("cwd        {:?}\n", report.cwd),
            ] {
                assert!(shown.contains(&announced), "{announced} is not in\n{shown}");
            }
            true
        }
        outcome => {
            assert!(!case.must_pass, "it was made to match:\n{shown}");
            let error = spawned.expect_err("explain does not allow it");
            match (outcome, error) {
                (Ok(Decision::Ask(_)), SpawnError::Denied(denial)) => {
                    assert_eq!(denial.item, DeniedItem::Program, "nobody is there to ask");
                }
                (Err(SpawnError::Denied(explained)), SpawnError::Denied(denial)) => {
                    assert_eq!(denial, explained);
                    let line = format!("refused    {}: {}\n", denial.item, denial.reason);
                    assert!(shown.contains(&line), "{line} is not in\n{shown}");
                }
                (
                    Err(SpawnError::WorkingDirectoryNotFound),
                    SpawnError::WorkingDirectoryNotFound,
                ) => {}
                (outcome, error) => panic!("{outcome:?} and then {error:?}"),
            }
            assert_eq!(launcher.launches(), before, "nothing starts");
            assert!(guest.live().is_empty());
            false
        }
    }
}

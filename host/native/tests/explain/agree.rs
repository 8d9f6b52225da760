//! The property: for any grant and any request, the explanation and the spawn
//! agree, and the child gets what the explanation shows.

use std::ffi::OsStr;

use std::cell::Cell;

use capspawn_native::escape::{quoted, quoted_list};
use capspawn_native::{Decision, DeniedItem, SpawnError};
use proptest::test_runner::{Config, TestRunner};

use crate::generate::{Case, case};
use crate::guests::{Counting, report};
use crate::probe::folder;

/// Each case starts a process or shows that none starts.
const CASES: u32 = 150;

#[test]
fn explain_and_spawn_agree_on_every_request() {
    folder();
    let (launcher, registry) = Counting::registry().expect("the registry starts");
    let (allowed, denied) = (Cell::new(0u32), Cell::new(0u32));
    let mut runner = TestRunner::new(Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&case(), |case| {
        let passed = check(&case, &launcher, &registry);
        let count = if passed { &allowed } else { &denied };
        count.set(count.get() + 1);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let (allowed, denied) = (allowed.get(), denied.get());
    println!("{allowed} allowed, {denied} denied");
    assert!(allowed > CASES / 3, "only {allowed} requests were allowed");
    assert!(denied > CASES / 10, "only {denied} requests were denied");
}

/// Checks one case, and returns whether a child was started.
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
                .map(|(name, value)| format!("{name}={}", text(value)))
                .collect();
            let argv: Vec<_> = plan.argv.iter().map(|it| text(it)).collect();
            assert_eq!(report.argv, argv);
            assert_eq!(report.env, env);
            assert_eq!(report.cwd, plan.cwd.path);
            assert_eq!(report.program, plan.program.path);
            assert!(
                plan.argv.ends_with(&case.request.args),
                "the arguments of the request are unchanged"
            );
            for line in [
                format!("arguments  {}\n", quoted_list(&report.argv)),
                format!("cwd        {}\n", quoted(&report.cwd)),
            ] {
                assert!(shown.contains(&line), "{line} is not in\n{shown}");
            }
            true
        }
        outcome => {
            assert!(
                !case.must_pass,
                "the request was generated to match:\n{shown}"
            );
            let error = spawned.expect_err("explain does not allow it");
            match (outcome, error) {
                (Ok(Decision::Ask(_)), SpawnError::Denied(denial)) => {
                    assert_eq!(denial.item, DeniedItem::Program, "there is no approver");
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
            assert_eq!(launcher.launches(), before, "no child is started");
            assert!(guest.live().is_empty());
            false
        }
    }
}

/// These requests are text.
fn text(text: &OsStr) -> &str {
    text.to_str().expect("it is UTF-8")
}

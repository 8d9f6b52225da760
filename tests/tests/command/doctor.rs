//! `capspawn doctor`.

use std::process::Command;

use serde_json::Value;

use crate::harness::{Outcome, has_tier_a, outcome};
use crate::support::capspawn;

fn doctor(args: &[&str]) -> Outcome {
    outcome(Command::new(capspawn()).arg("doctor").args(args))
}

fn report(args: &[&str]) -> Value {
    let args = [&["--json"], args].concat();
    serde_json::from_str(&doctor(&args).stdout).expect("JSON")
}

#[test]
fn doctor_reports_every_dimension_and_exits_by_the_demand() {
    let table = doctor(&[]);
    assert_eq!(
        table.code,
        Some(0),
        "tests need a host that can confine: {table:?}"
    );
    for name in ["fs-read", "network-unix", "tree-kill"] {
        let line = table.stdout.lines().find(|line| line.starts_with(name));
        assert!(
            line.is_some_and(|line| line.contains("enforced")),
            "{name}: {table:?}"
        );
    }
    assert!(table.stdout.contains("can enforce"), "{table:?}");

    let json = report(&[]);
    assert_eq!(json["required"], true);
    assert_eq!(
        json["dimensions"].as_object().map(serde_json::Map::len),
        Some(18)
    );
    let tier = json["tier"].as_str().expect("a host that can confine");
    let first = format!("tier {tier}: ");
    assert!(table.stdout.starts_with(&first), "{table:?}");
}

#[test]
fn a_tier_that_is_insisted_on_is_the_one_that_is_reported() {
    let json = report(&["--tier", "B"]);
    assert_eq!(
        (&json["tier"], &json["required"]),
        (&"B".into(), &true.into())
    );
    assert_eq!(json["dimensions"]["deny-holes"]["level"], "none");
    assert!(json["dimensions"]["deny-holes"]["hint"].is_string());
    assert_eq!(doctor(&["--tier", "B"]).code, Some(0));

    let without = doctor(&["--tier", "C"]);
    assert_eq!(without.code, Some(1), "{without:?}");
    assert!(without.stdout.starts_with("tier C: "), "{without:?}");
    assert!(without.stdout.contains("cannot enforce"), "{without:?}");
    assert!(without.stdout.contains("fs-read"), "{without:?}");

    let sessions = doctor(&["--tier", "A"]);
    let json = report(&["--tier", "A"]);
    if has_tier_a() {
        assert_eq!(sessions.code, Some(0), "{sessions:?}");
        assert_eq!(json["tier"], "A");
        assert_eq!(json["dimensions"]["deny-holes"]["level"], "enforced");
    } else {
        // Nothing takes its place.
        assert_eq!(sessions.code, Some(1), "{sessions:?}");
        assert!(sessions.stdout.starts_with("no tier: "), "{sessions:?}");
        assert!(json["tier"].is_null());
    }
}

#[test]
fn what_is_no_tier_or_identity_is_a_bad_option() {
    for bad in [["--tier", "D"], ["--run-as", "nobody"]] {
        let outcome = doctor(&bad);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
        assert!(outcome.stderr.contains(bad[1]), "{outcome:?}");
    }
}

#[test]
fn children_run_as_another_where_the_host_is_root() {
    let outcome = doctor(&["--run-as", "1000:1000"]);
    let own = std::fs::metadata("/proc/self").expect("proc is there");
    if std::os::unix::fs::MetadataExt::uid(&own) == 0 {
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let root = report(&["--run-as", "0:0"]);
        assert_eq!(root["dimensions"]["privileges"]["level"], "partial");
    } else {
        assert!(outcome.complaint().contains("requires root"), "{outcome:?}");
    }
}

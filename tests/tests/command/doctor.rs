//! `capspawn doctor`: the report on what this machine enforces.

use std::process::Command;

use serde_json::Value;

use crate::harness::{Outcome, has_tier_a, outcome};
use crate::support::capspawn;

fn doctor(args: &[&str]) -> Outcome {
    outcome(Command::new(capspawn()).arg("doctor").args(args))
}

fn report(args: &[&str]) -> Value {
    let args = [&["--json"], args].concat();
    serde_json::from_str(&doctor(&args).stdout).expect("the output is JSON")
}

#[test]
fn doctor_reports_every_dimension_and_whether_required_can_be_met() {
    let table = doctor(&[]);
    assert_eq!(
        table.code,
        Some(0),
        "the tests need a machine with a sandbox: {table:?}"
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
        Some(20)
    );
    let tier = json["tier"]
        .as_str()
        .expect("the tests need a machine with a sandbox");
    let first = format!("tier {tier}: ");
    assert!(table.stdout.starts_with(&first), "{table:?}");
}

#[test]
fn the_option_tier_selects_the_tier_of_the_report() {
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
        // No other tier takes its place.
        assert_eq!(sessions.code, Some(1), "{sessions:?}");
        assert!(sessions.stdout.starts_with("no tier: "), "{sessions:?}");
        assert!(json["tier"].is_null());
    }
}

#[test]
fn an_unknown_tier_or_user_is_a_bad_option() {
    for bad in [
        ["--tier", "D"],
        ["--run-as", "nobody"],
        ["--owner-uids", "nobody"],
    ] {
        let outcome = doctor(&bad);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
        assert!(outcome.stderr.contains(bad[1]), "{outcome:?}");
    }
}

#[test]
fn the_user_of_children_can_be_set_by_root_only() {
    let outcome = doctor(&["--run-as", "1000:1000"]);
    if test_kit::is_root() {
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let root = report(&["--run-as", "0:0"]);
        // Outside a session the user id 0 would reach every file.
        let expected = if root["tier"] == "A" {
            "partial"
        } else {
            "none"
        };
        assert_eq!(root["dimensions"]["privileges"]["level"], expected);
    } else {
        assert!(outcome.complaint().contains("requires root"), "{outcome:?}");
    }
}

#[test]
fn doctor_shows_the_users_as_which_children_run_and_what_owners_share() {
    let shown = |args: &[&str]| {
        let json = report(args);
        let run_as = json["run-as"].as_str().expect("text").to_owned();
        let line = format!("Children run as {run_as}.\n");
        assert!(doctor(args).stdout.contains(&line), "{line}");
        let level = json["dimensions"]["owners"]["level"].clone();
        (run_as, level.as_str().expect("a level").to_owned())
    };
    let (run_as, level) = shown(&[]);
    if !test_kit::is_root() {
        assert!(run_as.contains("all owners"), "{run_as}");
        assert_eq!(level, "partial");
        let refused = doctor(&["--owner-uids", "5000-5009"]);
        assert!(refused.complaint().contains("requires root"), "{refused:?}");
        return;
    }
    assert!(run_as.contains("60600-61111:65534"), "{run_as}");
    assert_eq!(level, "enforced");
    let (run_as, level) = shown(&["--run-as", "1000:100"]);
    assert_eq!((&*run_as, &*level), ("1000:100, for all owners", "partial"));
    let (run_as, level) = shown(&["--run-as", "1000:100", "--owner-uids", "5000-5009"]);
    assert!(run_as.contains("5000-5009:100"), "{run_as}");
    assert!(run_as.contains("1000:100"), "{run_as}");
    assert_eq!(level, "enforced");
}

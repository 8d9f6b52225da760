//! `capspawn doctor`.

use std::process::Command;

use serde_json::Value;

use crate::harness::{Outcome, outcome};
use crate::support::capspawn;

fn doctor(args: &[&str]) -> Outcome {
    outcome(Command::new(capspawn()).arg("doctor").args(args))
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
    assert!(table.stdout.contains("can be met here"), "{table:?}");

    let json: Value = serde_json::from_str(&doctor(&["--json"]).stdout).unwrap();
    assert_eq!(json["required"], true);
    assert_eq!(
        json["dimensions"].as_object().map(serde_json::Map::len),
        Some(18)
    );
    assert_eq!(json["dimensions"]["deny-holes"]["level"], "none");
    assert!(json["dimensions"]["deny-holes"]["hint"].is_string());
}

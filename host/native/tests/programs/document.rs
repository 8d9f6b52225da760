//! `host/PROGRAMS.md` is written from the rows.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::row::{Limit, Row};
use crate::table::{REASONS, THEMES};

/// If this variable is set, the test writes the file before it compares it.
const BLESS: &str = "CAPSPAWN_BLESS";

#[test]
fn the_document_is_that_of_the_rows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../PROGRAMS.md");
    let text = document();
    if std::env::var_os(BLESS).is_some() {
        fs::write(&path, &text).expect("the source folder is writable");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "host/PROGRAMS.md is out of date: run the test with {BLESS}=1 to rewrite it"
    );
}

#[test]
fn each_limit_in_the_document_has_a_reason_and_each_reason_a_limit() {
    let rows: Vec<Row> = THEMES.iter().flat_map(|theme| theme.rows()).collect();
    let limits = rows
        .iter()
        .flat_map(|row| [&row.tier_a, &row.tier_b])
        .flatten();
    let used: BTreeSet<&str> = limits.map(|limit| limit.limit.as_str()).collect();
    let known: BTreeSet<&str> = REASONS.keys().map(String::as_str).collect();
    assert_eq!(used, known);
}

#[test]
fn each_row_in_the_document_is_one_job_that_can_fail() {
    let mut seen = BTreeSet::new();
    for row in THEMES.iter().flat_map(|theme| theme.rows()) {
        let name = (row.program.clone(), row.job.clone());
        assert_ne!(
            row.script.is_some(),
            !row.argv.is_empty(),
            "{name:?}: a script or an argv"
        );
        assert!(
            !row.prints.is_empty(),
            "{name:?}: a job that prints nothing may do nothing"
        );
        for limit in [&row.tier_a, &row.tier_b].into_iter().flatten() {
            let is_stated = !limit.prints.is_empty() || !limit.ends.is_empty();
            assert!(is_stated, "{name:?}: how does the limit show?");
        }
        assert!(seen.insert(name.clone()), "{name:?}: twice");
    }
}

fn document() -> String {
    let mut text = include_str!("rows/head.md").to_owned();
    for theme in THEMES {
        let _ = write!(
            text,
            "\n## {}\n\n| Program | Job | Grant | Tier A | Tier B |\n|---|---|---|---|---|\n",
            theme.title
        );
        for row in theme.rows() {
            let cells = [
                row.program.clone(),
                row.job.clone(),
                grant(&row),
                result(row.tier_a.as_ref()),
                result(row.tier_b.as_ref()),
            ];
            let _ = writeln!(
                text,
                "| {} |",
                cells.map(|it| it.replace('|', "\\|")).join(" | ")
            );
        }
    }
    text += "\n## Reasons\n\n| Limit | Reason |\n|---|---|\n";
    for (limit, reason) in REASONS.iter() {
        let reason = reason.as_str().expect("a reason is a text");
        let _ = writeln!(text, "| {limit} | {reason} |");
    }
    text
}

/// What the row's grant has beyond the defaults.
fn grant(row: &Row) -> String {
    let mut parts = Vec::new();
    parts.extend(row.network.iter().map(|it| format!("`network = \"{it}\"`")));
    parts.extend(
        row.limits
            .iter()
            .map(|(key, value)| format!("`{key} = {value}`")),
    );
    parts.extend(row.read.iter().map(|it| format!("reads `{it}`")));
    parts.join(", ")
}

fn result(limit: Option<&Limit>) -> String {
    limit.map_or_else(
        || "passes".to_owned(),
        |limit| format!("limit: {}", limit.limit),
    )
}

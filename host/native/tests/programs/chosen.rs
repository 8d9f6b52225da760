//! Which rows run, and whether in the sandbox.

use std::env;

use crate::row::Row;

/// Whether the rows run without a sandbox.
pub(crate) fn is_outside() -> bool {
    set().as_deref() == Some("outside")
}

/// Whether all rows run, not only those of the bounded set.
pub(crate) fn is_whole_set() -> bool {
    matches!(set().as_deref(), Some("all" | "outside"))
}

/// Whether the environment chooses the row.
pub(crate) fn is_chosen(row: &Row) -> bool {
    let in_set = !row.full || is_whole_set();
    let wanted = env::var("CAPSPAWN_PROGRAMS_ROW").unwrap_or_default();
    in_set && (row.program.contains(&wanted) || row.job.contains(&wanted))
}

fn set() -> Option<String> {
    let set = env::var("CAPSPAWN_PROGRAMS").ok()?;
    assert!(
        matches!(set.as_str(), "all" | "outside" | "bounded"),
        "CAPSPAWN_PROGRAMS={set}: not one of bounded, all, outside"
    );
    Some(set)
}

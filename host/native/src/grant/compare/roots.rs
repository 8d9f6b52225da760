//! Which files a child sees under one list of roots and not under another.

use super::{Direction, Found};
use crate::confinement::{FsRoot, FsRules};
use crate::grant::paths::is_under;

/// Compares the files of two confinements.
pub(super) fn compare(old: &FsRules, new: &FsRules, found: &mut Found<'_>) {
    let (old_read, new_read) = (readable(old), readable(new));
    let is_hidden = |root: &FsRoot, deny: &[FsRoot]| is_under(&root.real, deny);
    let mut each = |key, roots: &[FsRoot], others: &[FsRoot], deny: &[FsRoot], direction| {
        for root in roots {
            if !is_under(&root.real, others) || is_hidden(root, deny) {
                let verb = if direction == Direction::Widens {
                    "adds"
                } else {
                    "no longer has"
                };
                found.add(key, direction, format!("{verb} {}", shown(root)));
            }
        }
    };
    each(
        "fs.read",
        &new.read,
        &old_read,
        &old.deny,
        Direction::Widens,
    );
    each(
        "fs.write",
        &new.write,
        &old.write,
        &old.deny,
        Direction::Widens,
    );
    each("fs.read", &old.read, &new_read, &[], Direction::Narrows);
    each("fs.write", &old.write, &new.write, &[], Direction::Narrows);
    for hidden in &old.deny {
        // What is hidden in no root of the new grant stays out of reach.
        let is_in_reach = is_under(&hidden.real, &new_read);
        if is_in_reach && !is_under(&hidden.real, &new.deny) {
            found.add(
                "fs.deny",
                Direction::Widens,
                format!("no longer hides {}", shown(hidden)),
            );
        }
    }
    for hidden in &new.deny {
        if is_under(&hidden.real, &old_read) && !is_under(&hidden.real, &old.deny) {
            found.add(
                "fs.deny",
                Direction::Narrows,
                format!("hides {}", shown(hidden)),
            );
        }
    }
}

fn readable(rules: &FsRules) -> Vec<FsRoot> {
    [rules.read.as_slice(), &rules.write].concat()
}

/// Returns the root as the grant writes it.
pub(super) fn shown(root: &FsRoot) -> String {
    root.written.display().to_string()
}

//! What an edit of a grant file widens or narrows, for its review.
//!
//! The resolved grants are compared: two texts that mean the same are equal, and a default that is written out
//! changes nothing. A request must be allowed by one rule as a whole, so the new grant is no wider if each of its
//! rules is covered by an old one. Where that cannot be decided, for example between two regular expressions, the
//! answer is [`Direction::Undecided`], and counts as widening. Rejected: a comparison of texts, which shows what was
//! edited and not what it does.

mod arguments;
mod change;
mod command;
mod roots;
mod rules;

use std::collections::BTreeSet;

pub use self::change::{Change, Direction};

use self::change::Found;
use super::component::Grant;
use super::grants::{Grants, is_hash};
use super::quotas::Rate;
use crate::limits::{show_bytes, show_duration};

impl Grants {
    /// Returns what these grants allow more or less than `old`. Grants that either was intersected with are not taken
    /// into account.
    pub fn changes_since(&self, old: &Self) -> Vec<Change> {
        let (old, new): (Vec<_>, Vec<_>) = (old.own().collect(), self.own().collect());
        let names: BTreeSet<&str> = old
            .iter()
            .chain(&new)
            .map(|grant| grant.component())
            .collect();
        let mut changes = Vec::new();
        for name in names {
            let find = |grants: &[&'_ Grant]| grants.iter().position(|it| it.component() == name);
            let mut found = Found::of(name, &mut changes);
            match (find(&old).map(|at| old[at]), find(&new).map(|at| new[at])) {
                (Some(old), Some(new)) => {
                    quotas(old, new, &mut found);
                    rules::compare(old, new, &mut found);
                }
                (None, Some(new)) => rules::compare(&Grant::deny_all(name), new, &mut found),
                (Some(old), None) => {
                    rules::compare(old, &Grant::deny_all(name), &mut found);
                    if is_hash(name) {
                        let what =
                            "this component now has the section of its name, if there is one";
                        found.add("component", Direction::Undecided, what);
                    }
                }
                (None, None) => {}
            }
        }
        changes
    }
}

fn quotas(old: &Grant, new: &Grant, found: &mut Found<'_>) {
    let (a, b) = (old.quotas(), new.quotas());
    found.more("max-live", a.max_live, b.max_live, u32::to_string);
    found.more("max-total", a.max_total, b.max_total, u64::to_string);
    rate(a.rate, b.rate, found);
    found.more(
        "max-held-children",
        a.max_held_children,
        b.max_held_children,
        u32::to_string,
    );
    found.more(
        "max-held-memory",
        a.max_held_bytes,
        b.max_held_bytes,
        |it| show_bytes(*it),
    );
    found.more(
        "max-held-descriptors",
        a.max_held_descriptors,
        b.max_held_descriptors,
        u32::to_string,
    );
    let (a, b) = (old.detach(), new.detach());
    found.more("detach.allow", a.allow, b.allow, bool::to_string);
    if b.allow {
        found.more("detach.max-life", a.max_life, b.max_life, |it| {
            show_duration(*it)
        });
    }
}

fn rate(old: Option<Rate>, new: Option<Rate>, found: &mut Found<'_>) {
    let show = |rate: &Rate| format!("{} in {}", rate.count, show_duration(rate.per));
    let (Some(a), Some(b)) = (old, new) else {
        return found.limit("rate", old.map(|_| 0), new.map(|_| 0), |_| {
            old.or(new).as_ref().map(show).unwrap_or_default()
        });
    };
    // At once, and in the long run.
    let at_once = a.count.cmp(&b.count);
    let long =
        (u128::from(a.count) * b.per.as_nanos()).cmp(&(u128::from(b.count) * a.per.as_nanos()));
    let direction = match (
        at_once.is_lt() || long.is_lt(),
        at_once.is_gt() || long.is_gt(),
    ) {
        (false, false) => return,
        (true, false) => Direction::Widens,
        (false, true) => Direction::Narrows,
        (true, true) => Direction::Undecided,
    };
    found.add(
        "rate",
        direction,
        format!("from {} to {}", show(&a), show(&b)),
    );
}

#[cfg(test)]
mod tests;

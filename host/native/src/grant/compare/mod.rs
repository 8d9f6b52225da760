//! What an edit of a grant file widens or narrows, for its review.
//!
//! The resolved grants are compared: two texts that mean the same are equal, and a default that is written out
//! changes nothing. A request must be allowed by one rule as a whole, so the new grant is no wider if each of its
//! rules is covered by an old one. Where that cannot be decided, for example between two regular expressions, the
//! answer is [`Direction::Undecided`], and counts as widening. Rejected: a comparison of texts, which shows what was
//! edited and not what it does.

mod arguments;
mod command;
mod roots;
mod rules;

use std::collections::BTreeSet;
use std::fmt::{self, Display};

use super::component::Grant;
use super::grants::{Grants, is_hash};
use super::quotas::Rate;
use crate::limits::{show_bytes, show_duration};

/// What a change does to what a component may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// It allows more.
    Widens,
    /// It allows less.
    Narrows,
    /// It allows something else, and whether that is more cannot be decided.
    Undecided,
    /// It allows what was allowed before, in another way.
    Neither,
}

impl Direction {
    /// Returns whether the change may allow more.
    pub fn is_widening(self) -> bool {
        matches!(self, Self::Widens | Self::Undecided)
    }

    /// Returns the word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Widens => "widens",
            Self::Narrows => "narrows",
            Self::Undecided => "undecided",
            Self::Neither => "changes",
        }
    }
}

impl Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One difference between two grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The component.
    pub component: String,
    /// The command; none for a change of the component.
    pub command: Option<String>,
    /// Line and column of the command in the new text; in the old text if the new one lacks it.
    pub place: Option<(usize, usize)>,
    /// The key of the grant file.
    pub key: &'static str,
    /// Whether it allows more or less.
    pub direction: Direction,
    /// What has changed, in words.
    pub what: String,
}

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

/// Collects the changes of one component or command.
struct Found<'a> {
    component: &'a str,
    command: Option<&'a str>,
    place: Option<(usize, usize)>,
    changes: &'a mut Vec<Change>,
}

impl<'a> Found<'a> {
    fn of(component: &'a str, changes: &'a mut Vec<Change>) -> Self {
        Self {
            component,
            command: None,
            place: None,
            changes,
        }
    }

    /// Returns the same for a command.
    fn command<'b>(&'b mut self, name: &'b str, place: Option<(usize, usize)>) -> Found<'b> {
        Found {
            component: self.component,
            command: Some(name),
            place,
            changes: self.changes,
        }
    }

    fn add(&mut self, key: &'static str, direction: Direction, what: impl Into<String>) {
        self.changes.push(Change {
            component: self.component.to_owned(),
            command: self.command.map(str::to_owned),
            place: self.place,
            key,
            direction,
            what: what.into(),
        });
    }

    /// Adds a change of a value of which a greater one allows more.
    fn more<T: PartialOrd>(
        &mut self,
        key: &'static str,
        old: T,
        new: T,
        show: impl Fn(&T) -> String,
    ) {
        let direction = match old.partial_cmp(&new) {
            Some(std::cmp::Ordering::Less) => Direction::Widens,
            Some(std::cmp::Ordering::Greater) => Direction::Narrows,
            _ => return,
        };
        self.add(
            key,
            direction,
            format!("from {} to {}", show(&old), show(&new)),
        );
    }

    /// Adds a change of a limit; `None` is unlimited.
    fn limit<T: PartialOrd>(
        &mut self,
        key: &'static str,
        old: Option<T>,
        new: Option<T>,
        show: impl Fn(&T) -> String,
    ) {
        let shown = |limit: &Option<T>| limit.as_ref().map_or("unlimited".to_owned(), &show);
        let direction = match (&old, &new) {
            (None, None) => return,
            (None, Some(_)) => Direction::Narrows,
            (Some(_), None) => Direction::Widens,
            (Some(old), Some(new)) => return self.more(key, old, new, |it| show(it)),
        };
        self.add(
            key,
            direction,
            format!("from {} to {}", shown(&old), shown(&new)),
        );
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

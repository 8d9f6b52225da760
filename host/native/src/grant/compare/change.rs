//! A difference between two grants, and how differences are collected.

use std::fmt::{self, Display};

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

/// Collects the changes of one component or command.
pub(super) struct Found<'a> {
    pub(super) component: &'a str,
    command: Option<&'a str>,
    place: Option<(usize, usize)>,
    pub(super) changes: &'a mut Vec<Change>,
}

impl<'a> Found<'a> {
    pub(super) fn of(component: &'a str, changes: &'a mut Vec<Change>) -> Self {
        Self {
            component,
            command: None,
            place: None,
            changes,
        }
    }

    /// Returns the same for a command.
    pub(super) fn command<'b>(
        &'b mut self,
        name: &'b str,
        place: Option<(usize, usize)>,
    ) -> Found<'b> {
        Found {
            component: self.component,
            command: Some(name),
            place,
            changes: self.changes,
        }
    }

    pub(super) fn add(&mut self, key: &'static str, direction: Direction, what: impl Into<String>) {
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
    pub(super) fn more<T: PartialOrd>(
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
    pub(super) fn limit<T: PartialOrd>(
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

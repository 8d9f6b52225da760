//! How many children a component may run, what the host holds for it, and how long a detached child
//! may live.

use std::time::Duration;

use crate::child::account::Share;
use crate::limits::{
    DEFAULT_MAX_HELD_BYTES_OF_OWNER, DEFAULT_MAX_HELD_CHILDREN, DEFAULT_MAX_HELD_DESCRIPTORS,
    DEFAULT_MAX_LIVE, DEFAULT_MAX_TOTAL,
};

/// How many children a component may have at once, in total, and per time, and what the host holds
/// for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// The children that may run at once; [`DEFAULT_MAX_LIVE`] by default.
    pub max_live: u32,
    /// The children in total; [`DEFAULT_MAX_TOTAL`] by default.
    pub max_total: u64,
    /// The children per time; unlimited by default.
    pub rate: Option<Rate>,
    /// The children, running and ended, that the host holds; by default
    /// [`DEFAULT_MAX_HELD_CHILDREN`], or twice `max_live` where that is more. Beyond it the oldest
    /// ended one makes room.
    pub max_held_children: u32,
    /// The bytes of captured output, of arguments, and of unread standard input that the host holds;
    /// [`DEFAULT_MAX_HELD_BYTES_OF_OWNER`] by default. The captures of children that run at once share
    /// it where their caps are more together.
    pub max_held_bytes: u64,
    /// The descriptors that the host holds; [`DEFAULT_MAX_HELD_DESCRIPTORS`] by default.
    pub max_held_descriptors: u32,
}

/// A number of children per period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The number of children.
    pub count: u32,
    /// The period, never zero.
    pub per: Duration,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            max_live: DEFAULT_MAX_LIVE,
            max_total: DEFAULT_MAX_TOTAL,
            rate: None,
            max_held_children: DEFAULT_MAX_HELD_CHILDREN,
            max_held_bytes: DEFAULT_MAX_HELD_BYTES_OF_OWNER,
            max_held_descriptors: DEFAULT_MAX_HELD_DESCRIPTORS,
        }
    }
}

impl Quotas {
    /// Returns the share of an owner of what the host holds.
    pub(crate) fn share(&self) -> Share {
        let whole = |number| usize::try_from(number).unwrap_or(usize::MAX);
        Share {
            bytes: whole(self.max_held_bytes),
            descriptors: whole(self.max_held_descriptors.into()),
        }
    }

    /// Returns the children held by default where `max_live` run at once.
    pub(super) fn held_children_for(max_live: u32) -> u32 {
        max_live.saturating_mul(2).max(DEFAULT_MAX_HELD_CHILDREN)
    }

    /// Returns the stricter of each quota.
    pub(super) fn stricter(self, other: Self) -> Self {
        let rate = match (self.rate, other.rate) {
            (Some(a), Some(b)) => Some(a.slower(b)),
            (a, b) => a.or(b),
        };
        Self {
            max_live: self.max_live.min(other.max_live),
            max_total: self.max_total.min(other.max_total),
            rate,
            max_held_children: self.max_held_children.min(other.max_held_children),
            max_held_bytes: self.max_held_bytes.min(other.max_held_bytes),
            max_held_descriptors: self.max_held_descriptors.min(other.max_held_descriptors),
        }
    }
}

impl Rate {
    /// Returns the rate that admits fewer children in the long run.
    fn slower(self, other: Self) -> Self {
        let mine = u128::from(self.count) * other.per.as_nanos();
        let theirs = u128::from(other.count) * self.per.as_nanos();
        if mine <= theirs { self } else { other }
    }
}

/// Whether and how long children may outlive the guest that started them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detach {
    /// Whether children may outlive their guest; false by default.
    pub allow: bool,
    /// How long a detached child may run unattached; 10 minutes by default.
    pub max_life: Duration,
}

impl Default for Detach {
    fn default() -> Self {
        Self {
            allow: false,
            max_life: Duration::from_secs(10 * 60),
        }
    }
}

impl Detach {
    /// Returns the stricter of the two.
    pub(super) fn stricter(self, other: Self) -> Self {
        Self {
            allow: self.allow && other.allow,
            max_life: self.max_life.min(other.max_life),
        }
    }
}

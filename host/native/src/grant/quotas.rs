//! How many children a component may run, and how long a detached child may live.

use std::time::Duration;

use crate::limits::{DEFAULT_MAX_LIVE, DEFAULT_MAX_TOTAL};

/// How many children a component may have at once, in total, and per time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// The children that may run at once; [`DEFAULT_MAX_LIVE`] by default.
    pub max_live: u32,
    /// The children in total; [`DEFAULT_MAX_TOTAL`] by default.
    pub max_total: u64,
    /// The children per time; unlimited by default.
    pub rate: Option<Rate>,
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
        }
    }
}

impl Quotas {
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

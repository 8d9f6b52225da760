//! The user ids that a root host gives to the owners of children, one each.
//!
//! Many limits of the kernel are counted by user: inotify instances, descriptors in flight
//! between processes, keys. And a process may signal and trace every other process of its
//! user. With one user for all children, one owner could use up what another needs, and an
//! unconfined child could read another owner's memory.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A range of user ids, from which each owner of running children has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OwnerUids {
    first: u32,
    last: u32,
}

impl OwnerUids {
    /// 60600 to 61111: 512 ids that neither Linux distributions nor systemd give to anybody.
    /// Regular users end at 60000, and systemd's own ids begin again at 61184. All of them
    /// are below 65536, so a container with the usual number of ids has them too.
    pub const DEFAULT: Self = Self {
        first: 60600,
        last: 61111,
    };

    /// Returns the ids from `first` to `last`, both included; `None` if there is none, or
    /// if one of them is root's or no user id (`u32::MAX`).
    pub const fn new(first: u32, last: u32) -> Option<Self> {
        if first == 0 || last == u32::MAX || first > last {
            return None;
        }
        Some(Self { first, last })
    }

    /// Returns the ids.
    pub const fn ids(self) -> RangeInclusive<u32> {
        self.first..=self.last
    }

    /// Returns whether `uid` is one of them.
    pub const fn contains(self, uid: u32) -> bool {
        self.first <= uid && uid <= self.last
    }
}

impl fmt::Display for OwnerUids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for OwnerUids {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ids = text.split_once('-');
        ids.and_then(|(first, last)| Self::new(first.parse().ok()?, last.parse().ok()?))
            .ok_or("expected FIRST-LAST, two user ids, neither of them 0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_parsed_from_what_it_displays() {
        let one = OwnerUids::new(7, 7).expect("one id is a range");
        for uids in [OwnerUids::DEFAULT, one] {
            assert_eq!(uids.to_string().parse(), Ok(uids));
        }
        for bad in [
            "",
            "1",
            "-",
            "1-",
            "2-1",
            "0-5",
            "1-4294967295",
            "a-b",
            "-1-5",
        ] {
            assert!(bad.parse::<OwnerUids>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_default_has_512_ids_and_neither_roots_nor_nobodys() {
        assert_eq!(OwnerUids::DEFAULT.ids().count(), 512);
        assert!(!OwnerUids::DEFAULT.contains(0) && !OwnerUids::DEFAULT.contains(65534));
    }
}

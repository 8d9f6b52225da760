//! Whom children run as, as far as a grant has to know.
//!
//! A root host's children are not root, so that what the host may write says
//! nothing of them. The launcher decides whom they become; a grant is loaded for
//! the same identity, and what that could never write is refused at load.
//! The alternative, to learn it from the first child that fails, tells the guest
//! of the operator's mistake and the operator nothing.

use std::fmt;
use std::str::FromStr;

use rustix::process::{getegid, geteuid, getgroups};

/// A user and a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

impl Identity {
    /// Whom the children of a root host run as if nothing else is said.
    pub const NOBODY: Self = Self {
        uid: 65534,
        gid: 65534,
    };

    /// Returns the host's own effective user and group.
    pub fn host() -> Self {
        Self {
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
        }
    }

    pub(crate) fn is_root(self) -> bool {
        self.uid == 0
    }

    /// Whether it is the host's own, which keeps the host's further groups.
    pub(crate) fn is_own(self) -> bool {
        !self.is_root() && self == Self::host()
    }

    /// Whether the rights of the group `gid` are its rights.
    pub(crate) fn is_in(self, gid: u32) -> bool {
        let further = || getgroups().is_ok_and(|all| all.iter().any(|it| it.as_raw() == gid));
        self.gid == gid || (self.is_own() && further())
    }
}

/// Whom [`NativeLauncher`](crate::sandbox::NativeLauncher) runs children as:
/// [`Identity::NOBODY`] where the host is root, else the host's own user.
impl Default for Identity {
    fn default() -> Self {
        let host = Self::host();
        if host.is_root() { Self::NOBODY } else { host }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

impl FromStr for Identity {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The last number is no id: to the system it is "as before".
        let number = |digits: &str| digits.parse().ok().filter(|id| *id != u32::MAX);
        let ids = text.split_once(':');
        ids.and_then(|(uid, gid)| {
            Some(Self {
                uid: number(uid)?,
                gid: number(gid)?,
            })
        })
        .ok_or("write UID:GID, two numbers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_reads_as_it_is_written() {
        let somebody = Identity {
            uid: 1000,
            gid: 100,
        };
        for identity in [Identity::NOBODY, somebody, Identity { uid: 0, gid: 0 }] {
            assert_eq!(identity.to_string().parse(), Ok(identity));
        }
        for bad in [
            "",
            "1000",
            ":",
            "1000:",
            "root:root",
            "-1:0",
            "4294967295:0",
        ] {
            assert!(bad.parse::<Identity>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_default_is_never_root() {
        let host = Identity::host();
        let default = Identity::default();
        assert!(!default.is_root());
        assert_eq!(default == host, !host.is_root());
    }
}

//! The user and group that children run as.
//!
//! The children of a root host are not root, so the host's own permissions do not
//! apply to them. The launcher changes to the identity, or to a user that uses the files
//! of the identity ([`OwnerUids`](super::OwnerUids)); a grant is loaded for the same identity, and a write root that it cannot write is an error at load. Without
//! that check the first child would fail instead, and the guest would learn of the
//! operator's mistake while the operator would not.

use std::fmt;
use std::str::FromStr;

use rustix::process::{getegid, geteuid, getgroups};

/// A user and a group, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The user ID.
    pub uid: u32,
    /// The group ID.
    pub gid: u32,
}

impl Identity {
    /// The identity to which the files of a root host's children belong unless another is set,
    /// and as which children run that have no user of their owner's.
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

    /// Returns whether this user passes every permission check.
    pub(crate) fn is_root(self) -> bool {
        self.uid == 0
    }

    /// Returns whether this is the identity of an unprivileged host, whose children
    /// keep its supplementary groups.
    pub(crate) fn is_own(self) -> bool {
        !self.is_root() && self == Self::host()
    }

    /// Returns whether the permissions of group `gid` apply.
    pub(crate) fn is_in(self, gid: u32) -> bool {
        let further = || getgroups().is_ok_and(|all| all.iter().any(|it| it.as_raw() == gid));
        self.gid == gid || (self.is_own() && further())
    }
}

/// The identity that owns the files of children of a
/// [`NativeLauncher`](crate::sandbox::NativeLauncher) by default: [`Identity::NOBODY`] if the
/// host is root, otherwise the host's own.
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
        // u32::MAX is not an ID: setresuid(2) takes -1 for "leave unchanged".
        let number = |digits: &str| digits.parse().ok().filter(|id| *id != u32::MAX);
        let ids = text.split_once(':');
        ids.and_then(|(uid, gid)| {
            Some(Self {
                uid: number(uid)?,
                gid: number(gid)?,
            })
        })
        .ok_or("expected UID:GID, two numbers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_parsed_from_what_it_displays() {
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

//! The users as which a launcher runs children.

use std::fmt;

use super::{Identity, OwnerUids};

/// The users as which a launcher runs children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunAs {
    /// The children of all owners as one user.
    One(Identity),
    /// The children of each owner as a user of its own.
    EachOwner {
        /// The ids of the owners.
        uids: OwnerUids,
        /// The owner of the files in write roots, and the group of all children. Children whose
        /// files cannot be shown as another user's run as this user.
        files: Identity,
    },
}

impl fmt::Display for RunAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(identity) => write!(f, "{identity}, for all owners"),
            Self::EachOwner { uids, files } => {
                let gid = files.gid;
                write!(
                    f,
                    "one of {uids}:{gid} for each owner; files in write roots belong to {files}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_every_id_that_children_have() {
        let one = RunAs::One(Identity { uid: 7, gid: 8 });
        assert_eq!(one.to_string(), "7:8, for all owners");
        let each = RunAs::EachOwner {
            uids: OwnerUids::DEFAULT,
            files: Identity::NOBODY,
        };
        let text = each.to_string();
        for part in ["60600-61111", ":65534 for", "65534:65534"] {
            assert!(text.contains(part), "{text}");
        }
    }
}

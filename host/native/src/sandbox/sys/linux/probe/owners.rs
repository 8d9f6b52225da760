//! What the children of different owners share, by the user as which they run.

use crate::confinement::{Enforced, Tier};

/// The users as which the children of different owners run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Users {
    /// All as one: the host's, or the one that the embedder has set.
    One,
    /// All as one, because the confinement has roots that belong to that user.
    OneForRoots,
    /// Those of each owner as a user of its own.
    Each,
}

/// Returns how far the children of different owners are kept apart; `confined` is the tier of
/// children that are confined.
pub(crate) fn level(users: Users, confined: Option<Tier>) -> Enforced {
    let mechanism = match (users, confined) {
        (Users::Each, _) => {
            return Enforced::Full {
                mechanism: "a user id for each owner",
            };
        }
        (Users::One, None) => {
            return Enforced::None {
                reason: "all owners have one user: their children can signal and trace each other",
                hint: "set sandbox = \"required\"",
            };
        }
        (Users::OneForRoots, None) => {
            return Enforced::None {
                reason: "the roots belong to a user that all owners share: children can signal and trace each other",
                hint: "set sandbox = \"required\", or grant no root that belongs to that user",
            };
        }
        (_, Some(Tier::A)) => "namespaces, seccomp",
        (_, Some(Tier::B)) => "Landlock, seccomp",
        (_, Some(Tier::C)) => "seccomp",
    };
    let gap = match users {
        Users::OneForRoots => {
            "the roots belong to a user that all owners share: inotify instances and descriptors in flight are counted together"
        }
        _ => {
            "all owners have one user: inotify instances and descriptors in flight are counted together"
        }
    };
    Enforced::Partial { mechanism, gap }
}

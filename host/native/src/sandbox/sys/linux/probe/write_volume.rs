//! How much the children of a confinement can write in all.
//!
//! Nothing bounds what the files of a write root take together. The kernel has two bounds for
//! a directory, and capspawn uses neither. A project quota needs a file system that is mounted
//! with `prjquota`, which ext4 and XFS are not by default, and it marks the operator's files
//! with a project. A file system of its own in place of the root, sized, would not hold the
//! files that are there, and what the child writes would not be in the root.

use crate::confinement::{Confinement, Enforced, Tier};

/// Returns how far the volume is bounded; `confined` is the tier of children that are confined.
pub(crate) fn level(confinement: &Confinement, confined: Option<Tier>) -> Enforced {
    match confined {
        Some(Tier::A) if confinement.fs.write.is_empty() => Enforced::Full {
            mechanism: "no write root; /tmp and /dev/shm are sized",
        },
        Some(Tier::B) if confinement.fs.write.is_empty() => Enforced::Full {
            mechanism: "no write root",
        },
        Some(Tier::A | Tier::B) => Enforced::None {
            reason: "limits.file-size bounds each file of a write root, and nothing bounds their number",
            hint: "give the write root a file system or a project quota of its own",
        },
        Some(Tier::C) | None => Enforced::None {
            reason: "files are not confined, and nothing bounds their number",
            hint: "set sandbox = \"required\"",
        },
    }
}

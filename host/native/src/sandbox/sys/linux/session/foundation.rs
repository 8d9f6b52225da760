//! What a session is built from: its roots, its masks, and the names that they depend on.

use std::io;

use super::masks::{self, Denied, Masks};
use super::owner_mounts::OwnerMounts;
use super::places::Places;
use super::root_layout::RootLayout;
use super::roots::{self, Root};
use crate::confinement::{FsRules, Network};

/// What the mounts of a session are based on.
#[derive(Debug)]
pub(super) struct Foundation {
    denied: Vec<Denied>,
    roots: Vec<Root>,
    masks: Masks,
    places: Places,
}

impl Foundation {
    /// Resolves the roots and the denied paths of `rules`.
    ///
    /// # Errors
    ///
    /// A root or a denied path that cannot be used, named in the text.
    pub(super) fn new(rules: &FsRules) -> io::Result<Self> {
        let denied = masks::resolve(rules)?;
        let ends: Vec<_> = denied.iter().map(|it| it.end().to_owned()).collect();
        let roots = roots::existing(rules, &ends)?;
        let masks = masks::within(&denied, &roots)?;
        let places = Places::now(&masks, rules, &roots)?;
        Ok(Self {
            denied,
            roots,
            masks,
            places,
        })
    }

    /// Returns the roots.
    pub(super) fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// Returns the mounts of a session with `network`, with private file systems of `tmpfs_bytes` and those `mounts` that the
    /// host has made.
    ///
    /// # Errors
    ///
    /// A path that cannot be written as a C string, named in the text.
    pub(super) fn layout(
        &self,
        network: Network,
        tmpfs_bytes: u64,
        mounts: &OwnerMounts,
    ) -> io::Result<RootLayout> {
        let masks = &self.masks.masks;
        RootLayout::new(&self.roots, masks, network, tmpfs_bytes, mounts)
    }

    /// Returns the names that the session depends on, once its root is made; none if the host
    /// has changed one of them meanwhile: the root may then show what is denied.
    pub(super) fn settled(self, rules: &FsRules) -> Option<Places> {
        let resolved = masks::resolve(rules).ok()? == self.denied;
        let same = masks::within(&self.denied, &self.roots).ok()? == self.masks;
        (resolved && same && self.places.are_untouched()).then_some(self.places)
    }
}

//! The checks of the paths that a grant lists, where the text of each is known.

use std::path::Path;

use super::settings::Settings;
use crate::confinement::FsRoot;
use crate::grant::check::{denied, planted, reachable};
use crate::grant::file::diagnostics::Offset;
use crate::grant::file::layer::Layer;
use crate::grant::file::table::Text;
use crate::grant::paths;
use crate::launch::Identity;

/// What the paths of a confined command are checked against.
pub(super) struct RootCheck<'a> {
    /// The folder of the grant.
    pub(super) base: &'a Path,
    /// The user and group that children run as.
    pub(super) identity: Identity,
    /// The settings in force for the command.
    pub(super) settings: &'a Settings,
    /// The write roots of all components.
    pub(super) write: &'a [FsRoot],
}

/// A mistake, and where it is.
type Fault = (Offset, String);

impl RootCheck<'_> {
    /// Returns the mistakes in the paths of one layer.
    pub(super) fn faults(&self, layer: &Layer) -> Vec<Fault> {
        let fs = &layer.fs;
        let write = fs.write.iter().flatten();
        let shown = fs.read.iter().flatten().chain(write.clone());
        let cwd = layer.cwd.iter();
        let cwd = cwd.flat_map(|cwd| cwd.default.iter().chain(&cwd.roots));
        let links = |root: &FsRoot| planted::leads_out(root, self.write);
        let denies = |root: &FsRoot| denied::refused_root(root, &self.settings.deny);
        let bars = |root: &FsRoot| reachable::unwritable(root, self.identity);
        let mut faults = self.of(shown.clone().chain(cwd), links);
        faults.extend(self.of(shown, denies));
        faults.extend(self.of(write, bars));
        faults.extend(fs.deny.iter().flatten().filter_map(|text| {
            let denied = paths::denied(self.base, &text.value).ok()?;
            Some((text.at, self.undeniable(&denied)?))
        }));
        faults
    }

    /// Returns the mistakes that `reason` finds. A root that does not exist has been reported, or
    /// skipped, with the settings.
    fn of<'t>(
        &self,
        texts: impl Iterator<Item = &'t Text>,
        reason: impl Fn(&FsRoot) -> Option<String>,
    ) -> Vec<Fault> {
        let fault = |text: &Text| {
            let root = paths::root(self.base, &text.value).ok()?;
            Some((text.at, reason(&root)?))
        };
        texts.filter_map(fault).collect()
    }

    fn undeniable(&self, denied: &FsRoot) -> Option<String> {
        let unmaskable = denied::unmaskable(denied, &self.settings.write);
        unmaskable.or_else(|| planted::leads_astray(denied, self.write))
    }
}

#[cfg(test)]
mod tests;

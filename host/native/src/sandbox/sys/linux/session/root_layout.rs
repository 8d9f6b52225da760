//! The private root of a session, as a list of mount operations for `capspawn-init`.
//!
//! The program executes the list and decides nothing. The host works out which roots
//! there are, in which order, and which directories have to be pinned for a masked path.
//! Roots are mounted at their resolved paths first, then the masked paths are covered,
//! and last each root that the grant names through a symbolic link is mounted at the
//! named path too, with its masked paths covered.

use std::io;
use std::path::{Path, PathBuf};

use capspawn_raw::wire::Operation;

use super::masks::{self, Mask};
use super::own_files::{self, OwnFile};
use super::owner_mounts::OwnerMounts;
use super::path_error::{PathError, c_string};
use super::roots::Root;
use crate::confinement::Network;

/// The operations in wire format, and what each of them mounts.
#[derive(Debug, Default)]
pub(crate) struct RootLayout {
    bytes: Vec<u8>,
    mounts: Vec<(Mount, PathBuf)>,
}

/// What an operation mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mount {
    /// A file system of the session's own.
    Own,
    /// A granted root.
    Root,
    /// A directory above a masked path, which becomes a mount point so that it cannot be
    /// renamed.
    Pin,
    /// An empty cover over a masked path.
    Mask { writable: bool },
    /// A granted root, once more at the path that the grant names.
    Alias,
}

impl RootLayout {
    /// Returns the operations for `roots` and `masks` in a session with `network`, with private file
    /// systems of `tmpfs_bytes` and the `mounts` that the host has made.
    ///
    /// # Errors
    ///
    /// A path that cannot be written as a C string, named in the text.
    pub(super) fn new(
        roots: &[Root],
        masks: &[Mask],
        network: Network,
        tmpfs_bytes: u64,
        mounts: &OwnerMounts,
    ) -> io::Result<Self> {
        let is_shown = |root: &&Root| !own_files::replace(network, root);
        let shown: Vec<Root> = roots.iter().filter(is_shown).cloned().collect();
        let mut layout = Self::default();
        layout.mount_roots(&shown, tmpfs_bytes, mounts)?;
        layout.mount_own_files(own_files::of(network, &shown, masks))?;
        layout.mask(masks, &shown)?;
        layout.mount_aliases(&shown)?;
        Ok(layout)
    }

    /// Returns the operations in wire format.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn mount_roots(
        &mut self,
        roots: &[Root],
        tmpfs_bytes: u64,
        mounts: &OwnerMounts,
    ) -> io::Result<()> {
        let mounted: Vec<&Root> = roots
            .iter()
            .filter(|root| !root.is_covered(roots))
            .filter(|root| !root.is_own_device())
            .collect();
        // By depth, so that no mount hides one below it; the session's own before the roots.
        let bytes = tmpfs_bytes;
        let own = [
            (Operation::Dev { bytes }, "/dev"),
            (Operation::Proc, "/proc"),
            (Operation::Tmp { bytes }, "/tmp"),
        ];
        let depth = |path: &Path| path.components().count();
        let deepest = mounted.iter().map(|root| depth(&root.real)).max();
        for level in 0..=deepest.unwrap_or(0).max(2) {
            for (operation, path) in &own {
                if depth(Path::new(path)) == level {
                    self.push(Mount::Own, Path::new(path), operation);
                }
            }
            for root in mounted.iter().filter(|root| depth(&root.real) == level) {
                let path = c_string(&root.real)?;
                let bind = Operation::Bind {
                    mount: mounts.at(&root.real),
                    path: &path,
                    writable: root.writable,
                    required: root.writable,
                };
                self.push(Mount::Root, &root.real, &bind);
            }
        }
        Ok(())
    }

    fn mount_own_files(&mut self, files: Vec<(PathBuf, OwnFile)>) -> io::Result<()> {
        for (path, file) in files {
            let operation = Operation::File {
                path: &c_string(&path)?,
                replaces: file.replaces,
                contents: file.contents.as_bytes(),
            };
            self.push(Mount::Own, &path, &operation);
        }
        Ok(())
    }

    fn mask(&mut self, masks: &[Mask], roots: &[Root]) -> io::Result<()> {
        for pin in masks::pins(masks, roots) {
            let path = c_string(&pin)?;
            self.push(Mount::Pin, &pin, &Operation::Pin { path: &path });
        }
        for Mask { path, writable } in masks {
            let mount = Mount::Mask {
                writable: *writable,
            };
            let operation = Operation::Mask {
                path: &c_string(path)?,
                required: *writable,
            };
            self.push(mount, path, &operation);
        }
        Ok(())
    }

    fn mount_aliases(&mut self, roots: &[Root]) -> io::Result<()> {
        let mut aliases: Vec<&Root> = roots
            .iter()
            .filter(|root| root.written != root.real)
            .collect();
        aliases.sort_by_key(|root| root.written.components().count());
        for root in aliases {
            let (path, at) = (c_string(&root.real)?, c_string(&root.written)?);
            let alias = Operation::Alias {
                path: &path,
                at: &at,
            };
            self.push(Mount::Alias, &root.written, &alias);
        }
        Ok(())
    }

    fn push(&mut self, mount: Mount, path: &Path, operation: &Operation<'_>) {
        operation.write(|bytes| self.bytes.extend_from_slice(bytes));
        self.mounts.push((mount, path.to_path_buf()));
    }

    /// Returns the error of the operation number `index`: the path, what failed, and what
    /// to change.
    pub(crate) fn error(&self, index: u32, errno: i32) -> io::Error {
        let source = io::Error::from_raw_os_error(errno);
        let mount = usize::try_from(index)
            .ok()
            .and_then(|index| self.mounts.get(index));
        let Some((mount, path)) = mount else {
            return source;
        };
        let is_missing = [libc::ENOENT, libc::ENOTDIR, libc::ELOOP].contains(&errno);
        let hint = match mount {
            Mount::Mask { writable: true } | Mount::Pin if is_missing => {
                "a denied path in a write root must exist and must not be a symbolic link: create it or narrow the write root"
            }
            Mount::Root if errno == libc::ELOOP => {
                "the root has been replaced by a symbolic link since the grant was loaded"
            }
            Mount::Root if errno == libc::EACCES => {
                "the user that children run as cannot access the root"
            }
            Mount::Root => "the root cannot be mounted in the session",
            Mount::Own => "the session's own file system cannot be mounted",
            Mount::Pin | Mount::Mask { .. } => "the denied path cannot be masked",
            Mount::Alias => "the root cannot be mounted at the path that the grant names",
        };
        let text = format!("{}: {hint} ({source})", path.display());
        PathError { text, source }.into()
    }
}

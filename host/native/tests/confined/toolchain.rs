//! The cargo and rustc that build these tests, where children can read them.
//!
//! A root host's toolchain often lies in root's home. Then what is needed of it is
//! linked into a folder that others can read: linking costs nothing. Across file
//! systems it is copied, half a gigabyte.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{is_root, scratch};

/// Where the unprivileged half of the tests finds what the other half has linked.
pub(crate) const VARIABLE: &str = "CAPSPAWN_TOOLCHAIN";

/// A toolchain that children can read.
pub(crate) struct Toolchain {
    pub(crate) path: PathBuf,
    /// Removed with this value, where it was linked for it.
    _linked: Option<tempfile::TempDir>,
}

/// Returns the toolchain; none where children cannot read any.
pub(crate) fn readable() -> Option<Toolchain> {
    let there = |path| Toolchain {
        path,
        _linked: None,
    };
    if let Some(given) = std::env::var_os(VARIABLE) {
        return Some(there(given.into()));
    }
    let own = sysroot()?;
    // Another user's own is also that of the children.
    if open_to_all(&own) || !is_root() {
        return Some(there(own));
    }
    let dir = scratch();
    link(&own, dir.path())
        .inspect_err(|error| println!("no toolchain for children: {error}"))
        .ok()?;
    Some(Toolchain {
        path: dir.path().to_owned(),
        _linked: Some(dir),
    })
}

fn sysroot() -> Option<PathBuf> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output();
    let output = String::from_utf8(output.ok()?.stdout).ok()?;
    let path = PathBuf::from(output.trim_end());
    path.join("bin/rustc").exists().then_some(path)
}

/// Whether everybody may pass through every folder above.
fn open_to_all(path: &Path) -> bool {
    path.ancestors().all(|folder| {
        fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o5 == 0o5)
    })
}

/// Links what a build for this machine takes.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    let host = format!("lib/rustlib/{}-unknown-linux-gnu", std::env::consts::ARCH);
    link_files(&from.join("bin"), &to.join("bin"), false)?;
    link_files(&from.join("lib"), &to.join("lib"), false)?;
    link_files(&from.join(&host), &to.join(&host), true)
}

fn link_files(from: &Path, to: &Path, below: bool) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if !entry.file_type()?.is_dir() {
            fs::hard_link(entry.path(), &to).or_else(|_| fs::copy(entry.path(), to).map(drop))?;
        } else if below {
            link_files(&entry.path(), &to, below)?;
        }
    }
    Ok(())
}

//! The cargo and rustc that build these tests, where children can read them.
//!
//! The toolchain of root is often in root's home, which other users cannot read.
//! Then the files that a build needs are linked into a folder that they can read.
//! Links cost nothing; across file systems the files are copied, half a gigabyte.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use test_kit::{is_root, scratch};

/// Tells the tests of the unprivileged user where those of root have linked the toolchain.
pub(crate) const VARIABLE: &str = "CAPSPAWN_TOOLCHAIN";

/// A toolchain that children can read.
pub(crate) struct Toolchain {
    pub(crate) path: PathBuf,
    /// The folder of the links, which is removed with this value.
    _linked: Option<tempfile::TempDir>,
}

/// Returns the toolchain; none if children cannot read any.
pub(crate) fn readable() -> Option<Toolchain> {
    let existing = |path| Toolchain {
        path,
        _linked: None,
    };
    if let Some(given) = std::env::var_os(VARIABLE) {
        return Some(existing(given.into()));
    }
    let own = sysroot()?;
    // A host that is not root and its children are the same user.
    if open_to_all(&own) || !is_root() {
        return Some(existing(own));
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

/// Whether every user may read and enter the folder and all folders above it.
fn open_to_all(path: &Path) -> bool {
    path.ancestors().all(|folder| {
        fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o5 == 0o5)
    })
}

/// Links the files that a build for this machine needs.
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

//! Folders of programs, where children of another user can read them.
//!
//! The toolchain of root is often in root's home, and so may be a checkout: other users
//! cannot read it. Then the files are linked into a folder that they can read. Links cost
//! nothing; across file systems the files are copied.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::folder::scratch;
use crate::process::is_root;

/// A part of a folder: its path there, and whether its subfolders belong to it.
type Part<'a> = (&'a str, bool);

/// A folder that children can read.
#[derive(Debug)]
pub struct Readable {
    path: PathBuf,
    /// The folder of the links, which is removed with this value.
    _linked: Option<TempDir>,
}

impl Readable {
    /// Returns where children can read the folder `from`.
    ///
    /// # Errors
    ///
    /// It does not exist, or its files can neither be linked nor copied.
    pub fn folder(from: &Path) -> io::Result<Self> {
        Self::parts(from, &[("", true)])
    }

    /// Returns where children can read the cargo and rustc that build these tests, with the
    /// library for this machine; none if there is no toolchain.
    ///
    /// The variable [`TOOLCHAIN`] names the folder if it is set.
    #[must_use]
    pub fn toolchain() -> Option<Self> {
        if let Some(given) = std::env::var_os(TOOLCHAIN) {
            return Some(Self::existing(given.into()));
        }
        let host = format!("lib/rustlib/{}-unknown-linux-gnu", std::env::consts::ARCH);
        Self::parts(
            &sysroot()?,
            &[("bin", false), ("lib", false), (&host, true)],
        )
        .inspect_err(|error| println!("no toolchain for children: {error}"))
        .ok()
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn existing(path: PathBuf) -> Self {
        Self {
            path,
            _linked: None,
        }
    }

    fn parts(from: &Path, parts: &[Part<'_>]) -> io::Result<Self> {
        fs::metadata(from)?;
        // A host that is not root and its children are the same user.
        if is_open_to_all(from) || !is_root() {
            return Ok(Self::existing(from.to_owned()));
        }
        let dir = scratch();
        for (part, below) in parts {
            link_files(&from.join(part), &dir.path().join(part), *below)?;
        }
        Ok(Self {
            path: dir.path().to_owned(),
            _linked: Some(dir),
        })
    }
}

/// The variable that tells the tests of the unprivileged user where those of root have
/// linked the toolchain.
pub const TOOLCHAIN: &str = "CAPSPAWN_TOOLCHAIN";

fn sysroot() -> Option<PathBuf> {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output();
    let output = String::from_utf8(output.ok()?.stdout).ok()?;
    let path = PathBuf::from(output.trim_end());
    path.join("bin/rustc").exists().then_some(path)
}

/// Whether every user may read and enter the folder and all folders above it.
fn is_open_to_all(path: &Path) -> bool {
    path.ancestors().all(|folder| {
        fs::metadata(folder).is_ok_and(|metadata| metadata.permissions().mode() & 0o5 == 0o5)
    })
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

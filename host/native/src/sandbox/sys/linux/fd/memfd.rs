//! Sealed memory files: what a process reads and nobody can change.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use capspawn_raw::filter::Instruction;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

/// The host allows no executable memfd (`EACCES`).
#[derive(Debug, thiserror::Error)]
#[error("{}", Self::HINT)]
pub(crate) struct NotExecutable;

impl NotExecutable {
    pub(crate) const HINT: &str =
        "capspawn-init needs an executable memfd: set the sysctl vm.memfd_noexec to 0 or 1";

    /// Whether `error` wraps this one.
    pub(crate) fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

/// Returns a sealed memfd with a filter, as `capspawn-init` reads it.
pub(crate) fn filter(filter: &[Instruction]) -> io::Result<OwnedFd> {
    sealed(
        "capspawn-filter",
        &instructions(filter),
        MemfdFlags::empty(),
    )
}

/// Returns the bytes of a filter.
pub(crate) fn instructions(filter: &[Instruction]) -> Vec<u8> {
    let bytes = filter.iter().flat_map(|instruction| instruction.to_bytes());
    bytes.collect()
}

/// Returns a memfd with `bytes`, sealed so that nobody can change them.
pub(crate) fn sealed(name: &str, bytes: &[u8], flags: MemfdFlags) -> io::Result<OwnedFd> {
    let base = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = match memfd_create(name, base | flags) {
        // Linux before 6.3 has no flag for execution, and allows it for every memfd.
        Err(Errno::INVAL) => memfd_create(name, base)?,
        Err(Errno::ACCESS) => return Err(io::Error::other(NotExecutable)),
        other => other?,
    };
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

//! Sealed memory files: what a process is given and nobody can change.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use capspawn_raw::steps::Instruction;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

/// There is no executable memfd (`EACCES`), and what would change that.
#[derive(Debug, thiserror::Error)]
#[error("{}", Self::HINT)]
pub(crate) struct NotExecutable;

impl NotExecutable {
    pub(crate) const HINT: &str =
        "the helper needs an executable memfd: set the sysctl vm.memfd_noexec to 0 or 1";

    /// Whether `error` is this one.
    pub(crate) fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

/// Returns a sealed memfd with a filter program, as the helper reads it.
pub(crate) fn filter(program: &[Instruction]) -> io::Result<OwnedFd> {
    sealed(
        "capspawn-filter",
        &instructions(program),
        MemfdFlags::empty(),
    )
}

/// Returns a filter program as the kernel takes it.
pub(crate) fn instructions(program: &[Instruction]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of_val(program));
    for instruction in program {
        bytes.extend(instruction.code.to_ne_bytes());
        bytes.extend([instruction.jt, instruction.jf]);
        bytes.extend(instruction.k.to_ne_bytes());
    }
    bytes
}

/// Returns a memfd with `bytes` that nobody can change.
pub(crate) fn sealed(name: &str, bytes: &[u8], flags: MemfdFlags) -> io::Result<OwnedFd> {
    let base = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = match memfd_create(name, base | flags) {
        // Before Linux 6.3 there is no flag about execution, and every memfd allows it.
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

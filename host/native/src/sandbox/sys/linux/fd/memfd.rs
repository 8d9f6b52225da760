//! Sealed memory files: what a process reads and nobody can change.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use capspawn_raw::filter::Instruction;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

use crate::sandbox::sys::linux::blocked_signal::BlockedSignal;

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

/// The host's limit on the size of files is too small for what its children need.
#[derive(Debug, thiserror::Error)]
#[error(
    "the host may not write a file of {bytes} bytes: raise its limit on the size of files (RLIMIT_FSIZE, `ulimit -f`)"
)]
struct FileSizeLimited {
    bytes: usize,
}

/// Writes to a file. Where the host's limit on the size of files is smaller, the kernel sends a signal
/// that would end the host: it is an error here.
fn write(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let blocked = BlockedSignal::new(libc::SIGXFSZ)?;
    let written = file.write_all(bytes);
    drop(blocked);
    written.map_err(|error| match error.raw_os_error() {
        Some(libc::EFBIG) => io::Error::other(FileSizeLimited { bytes: bytes.len() }),
        _ => error,
    })
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
    write(&mut file, bytes)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;

    #[test]
    fn a_limit_on_the_size_of_files_is_an_error_and_not_the_end_of_the_host() {
        // The limit is the whole process's.
        if !test_kit::is_alone(test_kit::test_name!()) {
            return;
        }
        let limit = getrlimit(Resource::Fsize);
        let small = Rlimit {
            current: Some(10),
            ..limit
        };
        setrlimit(Resource::Fsize, small).expect("lower is possible");
        let fits = sealed("small", &[0; 10], MemfdFlags::empty());
        let large = sealed("large", &[0; 11], MemfdFlags::empty());
        // The output of the test may be a file.
        setrlimit(Resource::Fsize, limit).expect("up to the hard limit");
        fits.expect("as large as it may be");
        let error = large.expect_err("too large");
        assert!(error.to_string().contains("RLIMIT_FSIZE"), "{error}");
    }
}

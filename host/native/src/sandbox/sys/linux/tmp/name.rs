//! Names of temporary directories.

use std::io;

/// Returns 16 hexadecimal digits that nobody can guess.
pub(super) fn random_name() -> io::Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}

//! Programs that tests need and a machine may lack.

use std::path::{Path, PathBuf};

use test_kit::is_tier_required;

/// Where children look for programs.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Returns where children find the program `name`.
///
/// Where it is missing, the test is skipped with a line of output. If the
/// environment demands a tier, the test fails instead: a demand that all tests
/// are run is not met by some of them.
#[track_caller]
pub(crate) fn installed(name: &str, package: &str) -> Option<PathBuf> {
    let mut found = PATH.split(':').map(|folder| Path::new(folder).join(name));
    let path = found.find(|path| path.exists());
    if path.is_none() {
        skip(&format!(
            "{name} is missing: install the Debian package {package}"
        ));
    }
    path
}

/// Prints why a test is skipped, or fails where the environment demands a tier.
#[track_caller]
pub(crate) fn skip(reason: &str) {
    assert!(!is_tier_required(), "{reason}");
    println!("skipped: {reason}");
}

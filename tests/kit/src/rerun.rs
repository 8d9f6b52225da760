//! Running the current test program once more: one test by itself, or all tests
//! as an unprivileged user.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::wait::{SUITE_TIMEOUT, exit_status};

/// The name of the calling test, as the test program's `--exact` takes it.
///
/// To be called in the test function itself: neither in a closure nor in an
/// `async` block.
#[macro_export]
macro_rules! test_name {
    () => {{
        fn here() {}
        $crate::enclosing(std::any::type_name_of_val(&here))
    }};
}

/// Cuts the crate's name and the last segment off the path of a function.
#[doc(hidden)]
#[must_use]
pub fn enclosing(path: &'static str) -> &'static str {
    let inside = path.split_once("::").map_or(path, |(_, inside)| inside);
    inside.rsplit_once("::").map_or(inside, |(test, _)| test)
}

/// A command that runs the one test `name` of this test program.
///
/// The caller sets a variable by which the test knows that it is the second
/// run, where it does what must not happen among other tests.
#[must_use]
pub fn rerun(name: &str) -> Command {
    rerun_through(&[], name)
}

/// The same, started by the program and arguments `through`, such as
/// `["setsid", "--wait"]`.
#[must_use]
pub fn rerun_through(through: &[&str], name: &str) -> Command {
    let mut words: Vec<_> = through.iter().map(PathBuf::from).collect();
    words.push(own_path());
    words.extend(["--exact", name, "--nocapture"].map(PathBuf::from));
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// Whether the calling test is alone in its process; if it is not, runs it
/// alone, and fails if that fails.
///
/// For a test that counts the descriptors, children or memory of its process,
/// or takes all descriptors.
///
/// ```no_run
/// fn a_thousand_children_leave_no_descriptor() {
///     if !test_kit::is_alone(test_kit::test_name!()) {
///         return;
///     }
///     // What the test does.
/// }
/// ```
///
/// # Panics
///
/// The test fails in its own process.
#[track_caller]
#[must_use]
pub fn is_alone(name: &str) -> bool {
    const ALONE: &str = "CAPSPAWN_TEST_ALONE";
    match env::var(ALONE) {
        Ok(alone) => {
            assert_eq!(alone, name, "the test passes another name than its own");
            true
        }
        Err(_) => {
            let status = exit_status(rerun(name).env(ALONE, name), SUITE_TIMEOUT);
            assert!(status.success(), "{name}, alone: {status}");
            false
        }
    }
}

/// A copy of this test program that the unprivileged user 65534 can run: the
/// program itself often lies where only its owner can read.
#[derive(Debug)]
pub struct Unprivileged {
    folder: TempDir,
}

impl Unprivileged {
    /// Makes the copy; it is removed with the returned value.
    ///
    /// # Panics
    ///
    /// `/tmp` is not writable.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir_in("/tmp").expect("/tmp is writable");
        let readable = Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), readable).expect("the folder is new");
        let copy = Self { folder };
        // Not by this process: another one that a test forks meanwhile would hold the file open for writing, and
        // the kernel executes no such file (ETXTBSY).
        let copied = Command::new("cp").arg(own_path()).arg(copy.path()).status();
        assert!(
            copied.is_ok_and(|status| status.success()),
            "the folder is new"
        );
        copy
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("tests")
    }

    /// A command that runs the copy as the user and group 65534, without
    /// further groups, in `/`. It needs root and `setpriv` of util-linux.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .arg(self.path())
            .current_dir("/");
        command
    }
}

/// Runs this test program once more as the unprivileged user 65534, with the arguments and variables that `set` adds, and fails
/// if a test fails. It needs root and `setpriv` of util-linux.
///
/// # Panics
///
/// A test fails, or `/tmp` is not writable.
#[track_caller]
pub fn assert_passes_unprivileged(set: impl FnOnce(&mut Command)) {
    let copy = Unprivileged::new();
    let mut command = copy.command();
    set(&mut command);
    let status = exit_status(&mut command, SUITE_TIMEOUT);
    assert!(status.success(), "as an unprivileged user: {status}");
}

impl Default for Unprivileged {
    fn default() -> Self {
        Self::new()
    }
}

fn own_path() -> PathBuf {
    env::current_exe().expect("a running program has a path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_runs_alone_in_a_process_of_its_own() {
        const PARENT: &str = "TEST_KIT_PARENT";
        let own = std::process::id().to_string();
        let Ok(parent) = env::var(PARENT) else {
            let name = "rerun::tests::a_test_runs_alone_in_a_process_of_its_own";
            assert_eq!(crate::test_name!(), name);
            let status = exit_status(rerun(name).env(PARENT, &own), SUITE_TIMEOUT);
            assert!(status.success());
            return;
        };
        assert_ne!(parent, own);
        let arguments: Vec<_> = env::args().collect();
        assert!(arguments.contains(&"--exact".to_owned()), "{arguments:?}");
    }
}

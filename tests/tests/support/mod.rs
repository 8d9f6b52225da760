//! The paths of the command, of a component and of programs of the machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Builds the command, once in each test process, and returns its path.
pub(crate) fn capspawn() -> &'static Path {
    static COMMAND: OnceLock<PathBuf> = OnceLock::new();
    COMMAND.get_or_init(|| {
        let build = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "capspawn-cli"])
            .current_dir(root())
            .status()
            .expect("cargo starts");
        assert!(build.success(), "the command does not build");
        // The test is `target/debug/deps/TEST`, the command `target/debug/capspawn`.
        let test = std::env::current_exe().expect("a running program has a path");
        let deps = test.parent().expect("a file is in a folder");
        deps.with_file_name("capspawn")
    })
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate is a folder of the repository")
}

/// The component `exec`, which runs its arguments. The tests' build script builds it.
pub(crate) fn exec() -> &'static str {
    e2e::guests::EXEC.path
}

/// The absolute path of a program of this machine.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").expect("the tests have a PATH");
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_absolute() && file.is_file())
        .unwrap_or_else(|| panic!("the tests need the program {name}"))
}

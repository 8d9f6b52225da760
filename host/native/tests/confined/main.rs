//! The confined launcher against real children: what is refused, what is not,
//! how trees end, and what real programs make of it.
//!
//! Run as root, everything is tested with the helper, and then once more as an
//! unprivileged user without it.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the tests start processes of their own, and the attacks fork"
)]

mod attack;
mod bounded;
mod files;
mod holes;
mod host;
mod kernel;
mod lifecycle;
mod probe;
mod programs;
mod reach;
mod session;
mod sockets;
mod support;
mod table;
mod terminal;
mod toolchain;
mod trees;
mod verdict;
mod world;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

/// The form without the helper: the same tests, as nobody.
#[test]
fn the_same_holds_for_an_unprivileged_host() {
    if !support::is_root() {
        return;
    }
    // The checkout may lie where only root gets to.
    let folder = tempfile::tempdir_in("/tmp").expect("/tmp is writable");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).expect("the folder is ours");
    let copy = folder.path().join("confined");
    let own = std::env::current_exe().expect("it is running");
    std::fs::copy(own, &copy).expect("the folder is ours");
    let mut command = Command::new("setpriv");
    let toolchain = toolchain::readable();
    if let Some(toolchain) = &toolchain {
        command.env(toolchain::VARIABLE, &toolchain.path);
    }
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(copy)
        .args(["--test-threads=2", "--skip", "unprivileged_host"])
        .current_dir("/");
    let status = bounded::status(&mut command, bounded::RUN);
    assert!(status.success(), "the tests fail as nobody");
}

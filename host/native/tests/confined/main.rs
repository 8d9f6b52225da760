//! The confined launcher against real children: what the sandbox refuses, what
//! it permits, how process trees end, and which real programs run in it.
//!
//! Attacks are rows of the escape table, see [`table`]. The tests run in the tier
//! that `CAPSPAWN_REQUIRE_TIER` demands, or in the best one of this machine. As
//! root they run twice: once as root, with `capspawn-init`, and once more as
//! an unprivileged user, without it.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the tests start processes of their own, and the attacks fork"
)]

mod attempt;
mod catalogue;
mod files;
mod fixture;
mod forked;
mod holes;
mod host;
mod installed;
mod ipc;
mod itself;
mod kernel;
mod launcher;
mod lifecycle;
mod names;
mod owner_files;
mod owners;
mod proc_mount;
mod processes;
mod programs;
mod recreated;
mod replaced;
mod roots;
mod scopes;
mod session;
mod set_group_id;
mod sockets;
mod spec;
mod stream_paths;
mod syscall;
mod table;
mod terminal;
mod tmp;
mod tracing;
mod trees;

use test_kit::{Readable, TOOLCHAIN, assert_passes_unprivileged, is_root};

/// The launcher works without root privileges too, and then without `capspawn-init`.
#[test]
fn all_tests_pass_as_an_unprivileged_user() {
    if !is_root() {
        return;
    }
    let toolchain = Readable::toolchain();
    assert_passes_unprivileged(|command| {
        if let Some(toolchain) = &toolchain {
            command.env(TOOLCHAIN, toolchain.path());
        }
        command.args(["--test-threads=2", "--skip", "unprivileged_user"]);
    });
}

//! The confined launcher against real children: what is refused, what is not,
//! how trees end, and what real programs make of it.
//!
//! Run as root, everything is tested with the helper, and then once more as an
//! unprivileged user without it.

mod latency;
mod lifecycle;
mod probe;
mod programs;
mod refusals;
mod support;

use std::process::Command;

/// The form without the helper: the same tests, as nobody.
#[test]
fn the_same_holds_for_an_unprivileged_host() {
    if !support::is_root() {
        return;
    }
    let status = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(std::env::current_exe().expect("it is running"))
        .args(["--test-threads=2", "--skip", "unprivileged_host"])
        .current_dir("/")
        .status()
        .expect("setpriv is installed");
    assert!(status.success(), "the tests fail as nobody");
}

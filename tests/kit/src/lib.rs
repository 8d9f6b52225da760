//! What the tests of all crates share: bounded waiting, processes, folders, and
//! process trees that are hard to end.
//!
//! The crate depends on none of the workspace's crates, so that unit tests can
//! use it too: a unit test of `capspawn-native` that used a crate built on
//! `capspawn-native` would see two versions of each type.
//!
//! Functions panic where a test has to fail, and their messages name what the
//! test waited for. Nothing here sleeps.

#![allow(
    clippy::disallowed_types,
    reason = "tests start programs and run themselves again"
)]

mod folder;
mod process;
mod readable;
mod rerun;
mod tier;
mod tree;
mod wait;

pub use folder::{open_to_all, scratch, scratch_in};
pub use process::{
    children, children_of_this_thread, descriptors, is_alive, is_root, numbers, pidfd,
    try_children, with_argument, with_arguments, with_variable,
};
pub use readable::{Readable, TOOLCHAIN};
#[doc(hidden)]
pub use rerun::enclosing;
pub use rerun::{Unprivileged, assert_passes_unprivileged, is_alone, rerun, rerun_through};
pub use tier::{REQUIRE_TIER, is_tier_required, required_tier};
pub use tree::{TREES, Tree, grant_toml, processes};
pub use wait::{
    SUITE_TIMEOUT, TEST_TIMEOUT, comes_true, eventually, exit_status, is_readable, read_to_end,
    read_until, wait_for,
};

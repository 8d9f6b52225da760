//! The registry's end on request: bounded, repeatable, from anywhere.

use std::time::Duration;

use capspawn_native::{ExitStatus, KillReason, SpawnError};

use crate::support::*;

#[test]
fn an_async_shutdown_needs_no_runtime_of_the_callers_and_may_be_repeated() {
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let stubborn = || guest.spawn(&sh("trap '' TERM; sleep 600"));
    let children = [stubborn().expect("allowed"), stubborn().expect("allowed")];
    let bare = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let both = async {
        tokio::join!(
            registry.shutdown_async(PATIENCE),
            registry.shutdown_async(Duration::MAX)
        )
    };
    assert_eq!(bare.block_on(both), (true, true));
    for child in &children {
        assert_eq!(child.poll(), Some(ExitStatus::Killed(KillReason::Host)));
    }
    assert!(bare.block_on(registry.shutdown_async(Duration::ZERO)));
    assert!(matches!(
        guest.spawn(&sh("true")),
        Err(SpawnError::Shutdown)
    ));
}

#[test]
fn a_shutdown_has_any_bound_and_several_callers() {
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let child = guest.spawn(&sh("exec sleep 600")).expect("allowed");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(registry.shutdown(Duration::MAX)));
        }
    });
    assert_eq!(child.poll(), Some(ExitStatus::Killed(KillReason::Host)));
}

#[test]
fn a_shutdown_without_time_says_that_it_is_not_done_and_kills_all_the_same() {
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let child = guest.spawn(&sh("exec sleep 600")).expect("allowed");
    // Either answer is true: what counts is that it comes, and what follows.
    let _ = registry.shutdown(Duration::ZERO);
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Host));
    assert!(registry.shutdown(PATIENCE));
}

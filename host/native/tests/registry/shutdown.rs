//! Shutting a registry down: with a bound, repeatedly, and from any thread.

use std::time::Duration;

use capspawn_native::{ExitStatus, KillReason, SpawnError};

use crate::support::*;

#[test]
fn an_async_shutdown_needs_no_timer_of_the_caller_and_may_be_repeated() {
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let stubborn = || guest.spawn(&sh("trap '' TERM; sleep 600"));
    let children = [
        stubborn().expect("the grant allows it"),
        stubborn().expect("the grant allows it"),
    ];
    let bare = bare_runtime();
    let both = async {
        tokio::join!(
            registry.shutdown_async(TEST_TIMEOUT),
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
fn a_shutdown_takes_any_timeout_and_several_callers_at_once() {
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let child = guest
        .spawn(&sh("exec sleep 600"))
        .expect("the grant allows it");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(registry.shutdown(Duration::MAX)));
        }
    });
    assert_eq!(child.poll(), Some(ExitStatus::Killed(KillReason::Host)));
}

#[test]
fn a_shutdown_with_a_timeout_of_zero_still_kills_every_child() {
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let child = guest
        .spawn(&sh("exec sleep 600"))
        .expect("the grant allows it");
    // The child may have ended by then or not, so both results are right.
    let _ = registry.shutdown(Duration::ZERO);
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Host));
    assert!(registry.shutdown(TEST_TIMEOUT));
}

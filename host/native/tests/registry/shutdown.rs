//! Shutting a registry down: with a bound, repeatedly, and from any thread.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use capspawn_native::{EventKind, ExitStatus, KillReason, Registry, SpawnError};

use crate::support::*;

#[test]
pub(crate) fn an_async_shutdown_needs_no_timer_of_the_caller_and_may_be_repeated() {
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
pub(crate) fn a_shutdown_takes_any_timeout_and_several_callers_at_once() {
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
pub(crate) fn a_shutdown_with_a_timeout_of_zero_still_kills_every_child() {
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

/// The registry's thread is held up by the embedder's event hook: the bound of a shutdown is
/// kept by its caller.
#[test]
pub(crate) fn a_shutdown_keeps_its_timeout_while_the_event_hook_blocks() {
    let (entered, is_entered) = std::sync::mpsc::channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let (entered, may_go) = (Mutex::new(entered), Mutex::new(may_go));
    let registry = build(builder().on_event(move |event| {
        if matches!(event.kind, EventKind::Exit { .. }) {
            let _ = entered.lock().expect("no panic").send(());
            let _ = may_go.lock().expect("no panic").recv_timeout(TEST_TIMEOUT);
        }
    }));
    let guest = registry.guest(grant("test", ""), "");
    let child = guest.spawn(&sh("true")).expect("the grant allows it");
    is_entered.recv_timeout(TEST_TIMEOUT).expect("it ends");
    assert!(
        !registry.shutdown(Duration::from_millis(100)),
        "the hook blocks"
    );
    drop(go);
    assert!(registry.shutdown(TEST_TIMEOUT));
    assert_eq!(child.poll(), Some(ExitStatus::Exited(0)));
}

/// A hook that shuts its own registry down runs on the thread that would end the children.
#[test]
pub(crate) fn a_shutdown_from_the_event_hook_returns() {
    let slot: Arc<OnceLock<Registry>> = Arc::default();
    let own = Arc::clone(&slot);
    let (result, results) = std::sync::mpsc::channel();
    let result = Mutex::new(result);
    let registry = build(builder().on_event(move |event| {
        if matches!(event.kind, EventKind::Exit { .. }) {
            let registry = own.get().expect("it is set before the child ends");
            let is_over = registry.shutdown(Duration::from_millis(100));
            let _ = result.lock().expect("no panic").send(is_over);
        }
    }));
    slot.set(registry.clone()).expect("it is set once");
    let guest = registry.guest(grant("test", ""), "");
    let _child = guest.spawn(&sh("true")).expect("the grant allows it");
    let is_over = results.recv_timeout(TEST_TIMEOUT).expect("it returns");
    assert!(!is_over, "the child of the event is not complete yet");
    // The hook holds a clone of the registry.
    assert!(registry.shutdown(TEST_TIMEOUT));
}

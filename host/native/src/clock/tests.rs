use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::{Clock, VirtualClock};

const MINUTE: Duration = Duration::from_secs(60);

fn runtime() -> Runtime {
    Builder::new_current_thread().build().expect("a runtime")
}

#[test]
fn time_stands_still_until_somebody_waits() {
    let clock = VirtualClock::new();
    let start = (clock.now(), clock.wall());
    assert_eq!((clock.now(), clock.wall()), start);
    clock.advance(MINUTE);
    assert_eq!(
        (clock.now(), clock.wall()),
        (start.0 + MINUTE, start.1 + MINUTE)
    );
}

#[test]
fn deadlines_pass_in_their_order_and_each_at_its_own_time() {
    let clock = VirtualClock::new();
    let start = clock.now();
    let sleep = |minutes: u32| {
        let clock = clock.clone();
        async move {
            Clock::from(&clock).sleep(MINUTE * minutes).await;
            assert_eq!(clock.now() - start, MINUTE * minutes);
            minutes
        }
    };
    let order = runtime().block_on(clock.run(async {
        let mut order = Vec::new();
        let (mut late, mut early) = (Box::pin(sleep(10)), Box::pin(sleep(1)));
        tokio::select! {
            minutes = &mut late => order.push(minutes),
            minutes = &mut early => order.push(minutes),
        }
        order.push(late.await);
        order
    }));
    assert_eq!(order, [1, 10]);
}

/// What is ready is done before the time moves, on whatever runtime.
#[test]
fn time_waits_for_tasks_of_other_runtimes() {
    let clock = VirtualClock::new();
    let start = clock.now();
    let other = runtime();
    let handle = other.handle().clone();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::spawn(move || other.block_on(stopped));
    let seen = Arc::new(AtomicU64::new(0));
    let (own, counted) = (Clock::from(&clock), Arc::clone(&seen));
    own.clone().spawn(&handle, async move {
        for _ in 0..100 {
            tokio::task::yield_now().await;
            assert_eq!(own.now(), start);
            counted.fetch_add(1, Ordering::SeqCst);
        }
        own.sleep(MINUTE).await;
        counted.fetch_add(1, Ordering::SeqCst);
    });
    runtime().block_on(clock.run(Clock::from(&clock).sleep(MINUTE / 2)));
    assert_eq!(seen.load(Ordering::SeqCst), 100);
    clock.advance(MINUTE);
    assert_eq!(seen.load(Ordering::SeqCst), 101);
    drop(stop);
    let _ = thread.join().expect("it does not panic");
    // The runtime is gone, and answers no probe.
    clock.advance(MINUTE);
}

#[test]
fn a_hold_keeps_the_time_where_it_is() {
    let clock = VirtualClock::new();
    let start = clock.now();
    let hold = clock.hold();
    let waiting = clock.clone();
    let thread = std::thread::spawn(move || {
        runtime().block_on(waiting.run(Clock::from(&waiting).sleep(MINUTE)));
    });
    test_kit::eventually("a thread that waits", || {
        clock.0.shared.state.lock().may_move() || clock.0.shared.state.lock().waiting > 0
    });
    assert_eq!(clock.now(), start);
    drop(hold);
    thread.join().expect("time passes again");
    assert_eq!(clock.now(), start + MINUTE);
}

#[test]
fn a_sleep_that_is_dropped_leaves_no_deadline() {
    let clock = VirtualClock::new();
    let start = clock.now();
    runtime().block_on(clock.run(async {
        let own = Clock::from(&clock);
        tokio::select! {
            () = own.sleep(MINUTE) => {}
            () = own.sleep(MINUTE * 60) => {}
        }
        own.sleep(MINUTE).await;
        assert_eq!(clock.now(), start + MINUTE * 2);
    }));
    assert!(clock.0.shared.state.lock().timers.is_empty());
}

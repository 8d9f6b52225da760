//! Idle sessions: which end, and which stay because a later child would notice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use test_kit::eventually;

use super::pool::Pool;
use super::support::{profile, script};
use crate::launch::{Plan, Scope};

fn confined(text: &str) -> Plan {
    let mut plan = script(text);
    plan.confinement = profile().confinement;
    plan
}

#[test]
fn an_idle_session_in_which_nothing_is_left_ends() {
    for text in [
        "true",
        "echo > /tmp/file; rm /tmp/file; mkdir /dev/shm/dir; rmdir /dev/shm/dir",
        "touch /dev/mqueue/queue; rm /dev/mqueue/queue",
        "ipcrm -m $(ipcmk -M 4096 | tr -dc 0-9)",
    ] {
        let pool = Pool::new();
        let plan = confined(&format!("{text}; echo end"));
        assert_eq!(pool.output(&plan), "end\n", "{text}");
        pool.end_idle();
        assert!(pool.sessions().is_empty(), "{text}");
        assert_eq!(pool.output(&plan), "end\n", "{text}");
    }
}

#[test]
fn a_session_in_which_something_is_left_stays() {
    for text in [
        "echo > /tmp/file",
        "mkdir /tmp/dir",
        "ln -s nowhere /tmp/link",
        "echo > /dev/shm/file",
        "ipcmk -M 4096",
        "ipcmk -S 1",
        "ipcmk -Q",
        "touch /dev/mqueue/queue",
    ] {
        let pool = Pool::new();
        let output = pool.output(&confined(&format!("{text} > /dev/null && echo end")));
        assert_eq!(output, "end\n", "{text}");
        pool.end_idle();
        assert_eq!(pool.sessions().len(), 1, "{text}");
    }
}

#[test]
fn a_session_with_a_child_stays() {
    let pool = Pool::new();
    let child = pool.launch(&confined("read line")).expect("it starts");
    pool.end_idle();
    assert_eq!(pool.sessions().len(), 1);
    drop(child);
    pool.end_idle();
    assert!(pool.sessions().is_empty());
}

#[test]
fn the_time_without_a_child_begins_with_the_end_of_the_last() {
    let pool = Pool::new();
    let child = pool.launch(&confined("read line")).expect("it starts");
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(20) {
        std::thread::yield_now();
    }
    let ended = Instant::now();
    drop(child);
    let idle = pool.sessions()[0].idle_time();
    assert!(idle <= ended.elapsed(), "{idle:?}");
}

#[test]
fn the_free_servers_of_an_idle_session_that_stays_end() {
    let pool = Pool::new();
    let plan = confined("echo > /tmp/file; echo end");
    assert_eq!(pool.output(&plan), "end\n");
    let session = {
        let session = pool.session_of(Scope(7));
        assert_eq!(session.server_count(), 1);
        Arc::downgrade(&session)
    };
    pool.end_idle();
    let session = session.upgrade().expect("something is left in it");
    eventually("the end of the server", || session.server_count() == 0);
    assert_eq!(pool.output(&confined("cat /tmp/file; echo end")), "\nend\n");
}

//! The processors that a child may run on.

use std::sync::Arc;
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use super::support::{plan, processes, profile, run, session};
use crate::sandbox::sys::linux::session::Session;

/// Returns how many processors a child may run on, if a thread with the affinity `own` starts it.
fn processors(session: &Arc<Session>, own: &CpuSet) -> String {
    let session = Arc::clone(session);
    let own = *own;
    let starter = thread::spawn(move || {
        sched_setaffinity(None, &own).expect("a subset of its processors");
        run(&session, &plan("/usr/bin/nproc", &[])).0
    });
    starter.join().expect("it does not panic")
}

#[test]
fn a_child_has_the_affinity_of_the_thread_that_starts_it() {
    let session = session(&profile());
    let all = sched_getaffinity(None).expect("an affinity");
    if all.count() == 1 {
        println!("one processor: every affinity is the same");
        return;
    }
    let mut one = CpuSet::new();
    one.set(sched_getcpu());
    // The server is bound to one processor, and its children do not inherit that.
    for own in [one, all, one, all] {
        let count = processors(&session, &own);
        assert_eq!(count.trim(), own.count().to_string());
    }
    let server = sched_getaffinity(Some(session.server())).expect("it runs");
    assert_eq!(server.count(), 1);
    // Pid 1 built the root on the other processors, so as not to delay the server.
    let [first, _] = processes(&session);
    let first = sched_getaffinity(Some(first)).expect("it runs");
    assert_eq!(first.count(), all.count() - 1);
}

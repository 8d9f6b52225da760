//! Which processors a child may run on.

use std::sync::Arc;
use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use super::support::{plan, processes, profile, run, session};
use crate::sandbox::sys::linux::session::Session;

/// How many processors a child may run on that is started by a thread that may run on `own`.
fn processors(session: &Arc<Session>, own: &CpuSet) -> String {
    let session = Arc::clone(session);
    let own = *own;
    let asks = thread::spawn(move || {
        sched_setaffinity(None, &own).expect("it may choose among its own");
        run(&session, &plan("/usr/bin/nproc", &[])).0
    });
    asks.join().expect("it asks")
}

#[test]
fn a_child_has_the_affinity_of_the_thread_that_starts_it() {
    let session = session(&profile());
    let all = sched_getaffinity(None).expect("it can be asked");
    if all.count() == 1 {
        println!("one processor: nobody could have another affinity");
        return;
    }
    let mut one = CpuSet::new();
    one.set(sched_getcpu());
    // The server, which stays on the processor it was asked from, passes that on to nobody.
    for own in [one, all, one, all] {
        let said = processors(&session, &own);
        assert_eq!(said.trim(), own.count().to_string());
    }
    let server = sched_getaffinity(Some(session.server())).expect("it runs");
    assert_eq!(server.count(), 1);
    // It has made the root beside the server.
    let [first, _] = processes(&session);
    let first = sched_getaffinity(Some(first)).expect("it runs");
    assert_eq!(first.count(), all.count() - 1);
}

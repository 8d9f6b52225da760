//! Servers that end, and which free one a thread gets.

use std::process::Command;

use rustix::process::{WaitId, WaitIdOptions, waitid};
use test_kit::eventually;

use super::*;

fn servers() -> (Arc<Servers>, OwnedFd) {
    let (first, theirs) = socket_pair().expect("a socket");
    let announcements = Arc::new(Announcements::new().expect("a socket"));
    let servers = Servers::new(first, false, None, announcements, None);
    (Arc::new(servers), theirs)
}

fn claimed(servers: &Arc<Servers>, pid: Pid) -> Claimed {
    let (control, _theirs) = socket_pair().expect("a socket");
    servers.state.lock().count += 1;
    Claimed {
        servers: Arc::clone(servers),
        server: Arc::new(Server::new(control, pid, 0)),
        is_last: true,
        mark: None,
        is_empty: AtomicBool::new(true),
        is_signalled: AtomicBool::new(false),
    }
}

/// Its number may be another process's by then, which nobody but its owner may wait for.
#[test]
fn a_server_that_ends_after_the_first_is_left_to_whoever_reaps_them_all() {
    let (servers, _theirs) = servers();
    let mut child = Command::new("/bin/true").spawn().expect("it starts");
    let pid = Pid::from_child(&child);
    waitid(
        WaitId::Pid(pid),
        WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
    )
    .expect("it is ours");
    let claimed = claimed(&servers, pid);
    assert!(!servers.close(), "one is claimed");
    drop(claimed);
    assert_eq!(servers.count(), 0);
    assert!(child.wait().expect("it is not reaped yet").success());
}

#[test]
fn a_thread_gets_the_free_server_of_its_processor_or_the_last() {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    let (servers, _theirs) = servers();
    let own = rustix::process::getpid();
    // The processors of this thread, which the test binds to one of them in turn.
    let allowed = sched_getaffinity(None).expect("a state");
    let mut all = (0..CpuSet::MAX_CPU).filter(|number| allowed.is_set(*number));
    let (Some(first), Some(second)) = (all.next(), all.next()) else {
        return;
    };
    let bind = |number: usize| {
        let mut set = CpuSet::new();
        set.set(number);
        sched_setaffinity(None, &set).expect("it is allowed");
    };
    for number in [first, second] {
        bind(number);
        let (control, _theirs) = socket_pair().expect("a socket");
        let server = Server::new(control, own, u32::try_from(number).expect("small"));
        // It has ended, so that nothing is bound but what is noted.
        assert!(server.follow_caller().is_some());
        let server = Arc::new(server);
        servers.state.lock().free.push(Free { server, mark: None });
    }
    bind(first);
    let taken = servers.state.lock().take_free().expect("there are two");
    assert_eq!(taken.server.number() as usize, first);
    let last = servers.state.lock().take_free().expect("there is one");
    assert_eq!(last.server.number() as usize, second);
    assert!(servers.state.lock().take_free().is_none());
    sched_setaffinity(None, &allowed).expect("as before");
}

/// Those that do not end come first, more than are looked at at once.
#[test]
fn ended_servers_are_reaped_though_others_do_not_end() {
    let (servers, _theirs) = servers();
    let start = |argument: &str| {
        let child = Command::new("/bin/sleep").arg(argument).spawn();
        Pid::from_child(&child.expect("it starts"))
    };
    let hung: Vec<_> = (0..AT_ONCE + 1).map(|_| start("1000")).collect();
    let ended: Vec<_> = (0..AT_ONCE + 1).map(|_| start("0")).collect();
    for pid in hung.iter().chain(&ended) {
        drop(claimed(&servers, *pid));
    }
    // As claims do.
    eventually("end of those that end", || {
        servers.state.lock().reap(AT_ONCE);
        servers.count() == hung.len() as u64
    });
    assert_eq!(servers.ended_count(), hung.len());
    for pid in &hung {
        kill_process(*pid, RawSignal::KILL).expect("it runs");
    }
    eventually("end of all", || {
        servers.state.lock().reap(AT_ONCE);
        servers.count() == 0
    });
    assert_eq!(servers.ended_count(), 0);
}

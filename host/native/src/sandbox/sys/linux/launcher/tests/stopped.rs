//! Processes of the launcher that are stopped hold up neither a drop nor a launch.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::kill_process;

use super::*;

/// Does `work`, which must not wait for a process that is stopped.
fn without_waiting(work: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        work();
        done.send(()).expect("the test waits");
    });
    let timeout = Duration::from_secs(60);
    is_done.recv_timeout(timeout).expect("it does not wait");
}

fn stop(pid: Pid) {
    kill_process(pid, Signal::STOP).expect("it runs");
}

#[test]
fn a_stopped_watchdog_or_server_does_not_hold_up_a_drop() {
    let mut plan = plan();
    plan.confinement = Arc::new(Confinement {
        sandbox: Sandbox::None,
        ..Confinement::clone(&plan.confinement)
    });
    for run_as in identities() {
        let launcher = self::launcher(run_as, false, Fault::NONE);
        stop(launcher.spawner.watchdog().expect("it starts").pid());
        if landlock::has_signal_scope() {
            let servers = launcher.spawner.alone_servers().expect("they start");
            stop(servers.claim().expect("it starts").pid());
            stop(servers.first());
        }
        without_waiting(move || drop(launcher));
        eventually("the end of the stopped processes", || children() == 0);
    }
}

/// Its socket is full: it would learn of the end of a child, and of its number, too late.
#[test]
fn a_watchdog_that_does_not_read_is_replaced() {
    let mut plan = plan();
    plan.confinement = Arc::new(Confinement {
        sandbox: Sandbox::None,
        ..Confinement::clone(&plan.confinement)
    });
    let launcher = self::launcher(None, false, Fault::NONE);
    let first = launcher.spawner.watchdog().expect("it starts").pid();
    stop(first);
    without_waiting(move || {
        let replaced = (0..10_000).any(|_| {
            let process = launcher.launch(Scope(0), &plan, null()).expect("it starts");
            assert_eq!(wait(&*process), Exit::Code(0));
            launcher.spawner.watchdog().expect("it runs").pid() != first
        });
        assert!(replaced);
    });
}

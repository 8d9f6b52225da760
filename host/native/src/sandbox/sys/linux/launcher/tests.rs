//! Faults at every step, in both forms, with both clones.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::Arc;

use capspawn_raw::step::{Fault, Step};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::NativeLauncher;
use crate::confinement::{Confinement, FsRoot, FsRules, Sandbox, Tier};
use crate::launch::{
    ChildStdio, Exit, Identity, Launcher, Plan, Process, Program, Scope, Stage, WorkingDirectory,
};
use crate::sandbox::sys::linux::spawner::{NO_FAULT, Spawner, default_user};

/// The steps of a child in tier B, in either form.
fn steps() -> impl Iterator<Item = Step> {
    let of_sessions = [Step::Namespaces, Step::Root, Step::Request];
    let all = Step::ALL.iter().copied();
    all.filter(move |step| !of_sessions.contains(step))
}

fn plan() -> Plan {
    let root = |path| FsRoot::resolve(path).expect("it exists");
    let read = ["/usr", "/bin", "/lib", "/lib64"].map(root).into();
    let program = Program::open("/bin/true").expect("it exists");
    let cwd = WorkingDirectory::open("/").expect("it exists");
    Plan {
        confinement: Arc::new(Confinement {
            fs: FsRules {
                read,
                ..FsRules::default()
            },
            ..Confinement::default()
        }),
        ..Plan::new("true", program, cwd)
    }
}

/// A launcher of tier B with a fault, or with the older clone.
fn launcher(run_as: Option<Identity>, legacy_clone: bool, fault: Fault) -> NativeLauncher {
    let spawner = Spawner::new(run_as, legacy_clone, fault);
    NativeLauncher::over(spawner, Some(Tier::B))
}

fn null() -> ChildStdio {
    ChildStdio::default()
}

fn forms() -> Vec<Option<Identity>> {
    // Only root can start children as somebody else; root starts them without the helper too.
    if rustix::process::geteuid().is_root() {
        vec![None, Some(Identity::NOBODY)]
    } else {
        vec![None]
    }
}

/// The children that this thread started, zombies included.
fn children() -> usize {
    let children = std::fs::read_to_string("/proc/thread-self/children");
    children
        .expect("CONFIG_PROC_CHILDREN")
        .split_whitespace()
        .count()
}

fn wait(process: &dyn Process) -> Exit {
    loop {
        if let Some(exit) = process.try_exit().expect("it can be asked") {
            process.reap().expect("it has ended");
            return exit;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[test]
fn a_fault_at_any_step_is_reported_and_leaves_no_child() {
    let plan = plan();
    for run_as in forms() {
        for legacy in [false, true] {
            let sound = self::launcher(run_as, legacy, NO_FAULT);
            let process = sound.launch(Scope(0), &plan, null()).expect("it starts");
            assert_eq!(wait(&*process), Exit::Code(0));
            // The watcher.
            let before = children();
            assert_eq!(before, 1);
            for step in steps() {
                let stage = Stage::from(step);
                let fault = Fault {
                    step: Some(step),
                    errno: libc::EXDEV,
                };
                let launcher = self::launcher(run_as, legacy, fault);
                if step == Step::Identity && run_as.is_none() {
                    continue;
                }
                let error = launcher
                    .launch(Scope(0), &plan, null())
                    .expect_err("it fails");
                assert_eq!(error.stage, stage, "{run_as:?} {error}");
                assert_eq!(error.source.raw_os_error(), Some(libc::EXDEV), "{stage:?}");
                drop(launcher);
                assert_eq!(children(), before, "{stage:?} leaves a child");
            }
        }
    }
}

#[test]
fn what_the_kernel_refuses_is_reported_with_its_stage() {
    let plan = plan();
    for run_as in forms() {
        let launcher = self::launcher(run_as, false, NO_FAULT);
        let mut broken = plan.clone();
        let file = File::open("/etc/passwd").expect("it exists");
        broken.cwd.dir = Arc::new(file.into());
        let error = launcher
            .launch(Scope(0), &broken, null())
            .expect_err("no directory");
        assert_eq!(error.stage, Stage::WorkingDirectory);
        assert_eq!(error.source.raw_os_error(), Some(libc::ENOTDIR));
        let mut broken = plan.clone();
        let file = File::open("/etc/passwd").expect("it exists");
        broken.program = Arc::new(Program {
            path: "/etc/passwd".into(),
            file,
        });
        let error = launcher
            .launch(Scope(0), &broken, null())
            .expect_err("no program");
        assert_eq!(
            (error.stage, error.source.raw_os_error()),
            (Stage::Exec, Some(libc::EACCES))
        );
        let mut broken = plan.clone();
        broken.argv.push("a\0b".into());
        assert!(
            launcher.launch(Scope(0), &broken, null()).is_err(),
            "a NUL byte ends no argument early"
        );
        drop(launcher);
        assert_eq!(children(), 0, "a failure leaves a child");
    }
}

#[test]
fn threads_start_children_at_once_and_the_host_stays_dumpable() {
    let plan = plan();
    for run_as in forms() {
        let launcher = self::launcher(run_as, false, NO_FAULT);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let process = launcher.launch(Scope(0), &plan, null()).expect("it starts");
                        assert_eq!(wait(&*process), Exit::Code(0));
                    }
                });
            }
        });
    }
    let dumpable = rustix::process::dumpable_behavior().expect("it can be asked");
    assert_eq!(dumpable, rustix::process::DumpableBehavior::Dumpable);
}

#[test]
fn a_killed_watcher_is_replaced() {
    let plan = plan();
    for run_as in forms() {
        let launcher = self::launcher(run_as, false, NO_FAULT);
        let first = launcher.spawner.watcher().expect("it starts");
        let pidfd = &first.process.pidfd;
        pidfd_send_signal(pidfd, Signal::KILL).expect("it runs");
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::PidFd(pidfd.as_fd()), ended).expect("it is ours");
        let first = {
            let pid = first.process.pid;
            drop(first);
            pid
        };
        // At the latest once every other child executes, which has a copy of the socket's end until then.
        let replaced = (0..100).any(|_| {
            let process = launcher.launch(Scope(0), &plan, null()).expect("it starts");
            assert_eq!(wait(&*process), Exit::Code(0));
            launcher.spawner.watcher().expect("it runs").process.pid != first
        });
        assert!(replaced);
        drop(launcher);
        assert_eq!(children(), 0, "a watcher is left");
    }
}

#[test]
fn who_comes_late_with_a_failed_watcher_does_not_take_its_successor_away() {
    let launcher = self::launcher(None, false, NO_FAULT);
    let failed = launcher.spawner.watcher().expect("it starts");
    assert!(Arc::ptr_eq(
        &failed,
        &launcher.spawner.watcher().expect("it runs")
    ));
    launcher.spawner.give_up(&failed);
    let second = launcher.spawner.watcher().expect("it starts");
    assert!(!Arc::ptr_eq(&failed, &second));
    launcher.spawner.give_up(&failed);
    assert!(Arc::ptr_eq(
        &second,
        &launcher.spawner.watcher().expect("it runs")
    ));
}

#[test]
fn a_probe_that_met_a_shortage_is_made_again() {
    for (errno, again) in [
        (libc::EMFILE, true),
        (libc::ENOMEM, true),
        (libc::EPERM, false),
    ] {
        let fault = Fault {
            step: Some(Step::Namespaces),
            errno,
        };
        let spawner = Spawner::new(default_user(), false, fault);
        let mut launcher = NativeLauncher::over(spawner, Some(Tier::A));
        assert!(launcher.findings().open.is_err(), "errno {errno}");
        launcher.spawner.set_fault(NO_FAULT);
        assert_eq!(
            launcher.findings().open.is_ok(),
            again,
            "errno {errno}: {:?}",
            launcher.findings()
        );
    }
}

#[test]
fn a_shortage_does_not_choose_a_lesser_tier() {
    let fault = Fault {
        step: Some(Step::Namespaces),
        errno: libc::ENFILE,
    };
    let spawner = Spawner::new(default_user(), false, fault);
    let mut launcher = NativeLauncher::over(spawner, None);
    assert_eq!(launcher.findings().tier, Tier::A);
    assert!(
        !launcher
            .enforcement(&Confinement::default())
            .admits(Sandbox::Required)
    );
    launcher.spawner.set_fault(Fault {
        errno: libc::EPERM,
        ..fault
    });
    assert_eq!(launcher.findings().tier, Tier::B);
}

#[test]
fn a_child_that_nobody_reaped_ends_with_its_launcher() {
    let mut plan = plan();
    plan.program = Arc::new(Program::open("/bin/sleep").expect("it exists"));
    plan.argv = vec!["sleep".into(), "60".into()];
    for run_as in forms() {
        let launcher = self::launcher(run_as, false, NO_FAULT);
        let process = launcher.launch(Scope(0), &plan, null()).expect("it starts");
        let pidfd = process
            .exit_fd()
            .try_clone_to_owned()
            .expect("a descriptor");
        drop(process);
        drop(launcher);
        let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
        let status = status.expect("it is our child").expect("it has ended");
        assert_eq!(status.terminating_signal(), Some(libc::SIGKILL));
    }
}

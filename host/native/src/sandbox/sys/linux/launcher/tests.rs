//! Children outside a session: faults at each step, started directly and by `capspawn-init`, with
//! `clone3` and with `clone`.

mod lost;
mod shortage;
mod stopped;

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::Arc;

use ::landlock::RulesetAttr as _;
use capspawn_raw::step::{Fault, Step};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};
use test_kit::{children_of_this_thread, eventually, with_argument};

use super::NativeLauncher;
use crate::confinement::{Confinement, FsRoot, FsRules, Sandbox, Tier};
use crate::launch::{
    ChildStdio, Exit, Identity, Launcher, Plan, Process, Program, Scope, Stage, WorkingDirectory,
};
use crate::sandbox::sys::linux::policy::landlock;
use crate::sandbox::sys::linux::spawner::{Spawner, default_user};
use crate::shortage::Shortage;

/// The steps of a child in tier B, in either form.
fn steps() -> impl Iterator<Item = Step> {
    let of_sessions = [Step::Namespaces, Step::Root, Step::Request];
    let all = Step::ALL.iter().copied();
    all.filter(move |step| !of_sessions.contains(step))
}

/// Returns a plan that every Landlock can confine as far as it goes: how a child starts does not depend on
/// the kernel's version.
fn plan() -> Plan {
    let root = |path| FsRoot::resolve(path).expect("it exists");
    let read = ["/usr", "/bin", "/lib", "/lib64"].map(root).into();
    let program = Program::open("/bin/true").expect("it exists");
    let cwd = WorkingDirectory::open("/").expect("it exists");
    Plan {
        confinement: Arc::new(Confinement {
            sandbox: Sandbox::BestEffort,
            fs: FsRules {
                read,
                ..FsRules::default()
            },
            ..Confinement::default()
        }),
        ..Plan::new("true", program, cwd)
    }
}

/// Returns a launcher of tier B with a fault, and with `clone` instead of `clone3` where `legacy_clone`.
fn launcher(run_as: Option<Identity>, legacy_clone: bool, fault: Fault) -> NativeLauncher {
    // Outside a session root's rights are kept from children.
    let run_as = run_as.or_else(default_user);
    let spawner = Spawner::new(run_as, legacy_clone, fault);
    NativeLauncher::over(spawner, Some(Tier::B))
}

fn set_fault(launcher: &mut NativeLauncher, fault: Fault) {
    let spawner = Arc::get_mut(&mut launcher.spawner);
    spawner.expect("nothing else has it").set_fault(fault);
}

fn null() -> ChildStdio {
    ChildStdio::default()
}

/// Returns the users that children can run as; none is the host's own, which root's children never are.
fn identities() -> Vec<Option<Identity>> {
    vec![default_user()]
}

/// Returns the number of children that this thread started, zombies included.
fn children() -> usize {
    let children = std::fs::read_to_string("/proc/thread-self/children");
    children
        .expect("CONFIG_PROC_CHILDREN")
        .split_whitespace()
        .count()
}

fn wait(process: &dyn Process) -> Exit {
    poll(&mut [PollFd::new(&process.exit_fd(), PollFlags::IN)], None).expect("it can be polled");
    let exit = process.try_exit().expect("a state").expect("it has ended");
    process.reap().expect("it has ended");
    exit
}

/// An older Landlock cannot deny signals to other processes of the user.
#[test]
fn tier_b_is_required_exactly_where_landlock_has_scopes() {
    let best_effort = plan();
    let mut required = plan();
    required.confinement = Arc::new(Confinement {
        sandbox: Sandbox::Required,
        ..Confinement::clone(&required.confinement)
    });
    let has_scopes = landlock::abi() >= 6;
    for run_as in identities() {
        let launcher = self::launcher(run_as, false, Fault::NONE);
        let report = |plan: &Plan| launcher.enforcement(&plan.confinement);
        assert!(report(&best_effort).admits(Sandbox::BestEffort));
        // What keeps root's rights is never admitted.
        let findings = launcher.findings().expect("nothing is short");
        if !findings.keeps_root {
            let admitted = report(&required).admits(Sandbox::Required);
            assert_eq!(admitted, has_scopes, "{findings:?}");
        }
        match launcher.launch(Scope(0), &required, null()) {
            Ok(process) => {
                assert!(has_scopes);
                assert_eq!(wait(&*process), Exit::Code(0));
            }
            Err(error) => {
                assert!(!has_scopes, "{error}");
                assert_eq!(error.stage, Stage::Ruleset, "{error}");
            }
        }
    }
}

#[test]
fn a_fault_at_any_step_is_reported_and_leaves_no_child() {
    let plan = plan();
    for run_as in identities() {
        for legacy in [false, true] {
            let faultless = self::launcher(run_as, legacy, Fault::NONE);
            let process = faultless
                .launch(Scope(0), &plan, null())
                .expect("it starts");
            assert_eq!(wait(&*process), Exit::Code(0));
            // The watchdog process, or the first server and the one that started the child.
            let before = if landlock::has_signal_scope() { 2 } else { 1 };
            let only_they = || children() == before;
            eventually("no child of another launcher", only_they);
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
                eventually(&format!("{stage:?} leaves no child"), only_they);
            }
        }
    }
}

#[test]
fn an_error_of_the_kernel_is_reported_with_its_stage() {
    let plan = plan();
    for run_as in identities() {
        let launcher = self::launcher(run_as, false, Fault::NONE);
        let mut broken = plan.clone();
        let file = File::open("/etc/passwd").expect("it exists");
        broken.cwd.dir = Arc::new(file.into());
        let error = launcher
            .launch(Scope(0), &broken, null())
            .expect_err("it is not a directory");
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
            .expect_err("it is not a program");
        assert_eq!(
            (error.stage, error.source.raw_os_error()),
            (Stage::Exec, Some(libc::EACCES))
        );
        let mut broken = plan.clone();
        broken.argv.push("a\0b".into());
        assert!(
            launcher.launch(Scope(0), &broken, null()).is_err(),
            "an argument with a NUL byte is refused"
        );
        drop(launcher);
        assert_eq!(children(), 0, "a failure leaves a child");
    }
}

#[test]
fn threads_start_children_at_the_same_time_and_the_host_stays_dumpable() {
    let plan = plan();
    for run_as in identities() {
        let launcher = self::launcher(run_as, false, Fault::NONE);
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
    let dumpable = rustix::process::dumpable_behavior().expect("a state");
    assert_eq!(dumpable, rustix::process::DumpableBehavior::Dumpable);
}

/// A vfork child has the host's memory, and the kernel shares the value among processes with one memory.
#[test]
fn children_are_preferred_for_an_oom_kill_to_the_host_and_its_watchdog() {
    let value = |process: &str| {
        let path = format!("/proc/{process}/oom_score_adj");
        std::fs::read_to_string(path).expect("it runs")
    };
    let before = value("self");
    for run_as in identities() {
        let launcher = self::launcher(run_as, false, Fault::NONE);
        let mut plan = plan();
        plan.program = Arc::new(Program::open("/bin/sleep").expect("it exists"));
        plan.argv.push("600".into());
        let process = launcher.launch(Scope(0), &plan, null()).expect("it starts");
        assert_eq!(value(&process.pid().to_string()), "1000\n");
        process.signal(crate::Signal::Kill).expect("it runs");
        wait(&*process);
        let watchdog = launcher.spawner.watchdog().expect("it runs").pid();
        assert_eq!(value(&watchdog.as_raw_nonzero().to_string()), before);
    }
    assert_eq!(value("self"), before);
}

#[test]
fn a_killed_server_is_replaced() {
    if !landlock::has_signal_scope() {
        return;
    }
    let plan = plan();
    for run_as in identities() {
        let launcher = self::launcher(run_as, false, Fault::NONE);
        let run = || {
            let process = launcher.launch(Scope(0), &plan, null()).expect("it starts");
            assert_eq!(wait(&*process), Exit::Code(0));
        };
        run();
        let servers = launcher.spawner.alone_servers().expect("they run");
        for pid in [servers.claim().expect("one is free").pid(), servers.first()] {
            rustix::process::kill_process(pid, Signal::KILL).expect("it runs");
            run();
        }
        drop(servers);
        run();
        drop(launcher);
        assert_eq!(children(), 0, "a server is left");
    }
}

/// A tree of a leader, a process in a session of its own, and one whose parent has ended too.
const SCATTERED: &str = "setsid sleep MARKER & (setsid setsid sleep MARKER &) ; exec sleep MARKER";

/// Nothing but the mark names a tree whose server was killed.
#[test]
fn a_tree_whose_server_was_killed_ends_with_its_handle() {
    if !landlock::has_signal_scope() {
        return;
    }
    let marker = format!("7001.{}", std::process::id());
    let mut plan = plan();
    plan.program = Arc::new(Program::open("/bin/sh").expect("it exists"));
    plan.argv = vec![
        "sh".into(),
        "-c".into(),
        SCATTERED.replace("MARKER", &marker).into(),
    ];
    for run_as in identities() {
        // A cgroup of version 2 names the tree too.
        let spawner = Spawner::new(run_as, false, Fault::NONE).without_cgroups();
        let launcher = NativeLauncher::over(spawner, Some(Tier::B));
        let [tree, other] =
            [(); 2].map(|()| launcher.launch(Scope(0), &plan, null()).expect("it starts"));
        eventually("two trees", || with_argument(&marker).len() == 6);
        let servers = launcher.spawner.alone_servers().expect("they run");
        let first = u32::try_from(servers.first().as_raw_pid()).expect("positive");
        // The first server started that of the first tree.
        let of_tree = children_of_this_thread().into_iter();
        let of_tree = of_tree.filter(|pid| ![first, tree.pid(), other.pid()].contains(pid));
        let of_tree = of_tree
            .min()
            .and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let of_tree = of_tree.expect("each tree has a server");
        rustix::process::kill_process(of_tree, Signal::KILL).expect("it runs");
        waitid(
            WaitId::Pid(of_tree),
            WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
        )
        .expect("it is ours");
        tree.signal_tree(crate::Signal::Kill).expect("it is found");
        eventually("the end of one tree", || with_argument(&marker).len() == 3);
        assert_eq!(other.try_exit().expect("a state"), None);
        assert_eq!(wait(&*tree), Exit::Signal(9));
        other
            .signal_tree(crate::Signal::Kill)
            .expect("its server runs");
        eventually("the end of all", || with_argument(&marker).is_empty());
        wait(&*other);
    }
}

/// A process can have no more than 16 Landlock domains, one in the other. The server fails after it was forked.
#[test]
fn a_server_that_cannot_enter_its_domain_is_an_error_and_no_zombie() {
    if !landlock::has_signal_scope() {
        return;
    }
    let plan = plan();
    let in_domains = std::thread::spawn(move || {
        for _ in 0..16 {
            let ruleset = ::landlock::Ruleset::default()
                .handle_access(::landlock::AccessFs::MakeBlock)
                .and_then(::landlock::Ruleset::create);
            let restricted = ruleset.and_then(::landlock::RulesetCreated::restrict_self);
            restricted.expect("16 are allowed");
        }
        let launcher = self::launcher(None, false, Fault::NONE);
        for _ in 0..3 {
            let error = launcher
                .launch(Scope(0), &plan, null())
                .expect_err("it fails");
            assert_eq!(error.stage, Stage::Request, "{error}");
            assert_eq!(error.source.raw_os_error(), Some(libc::E2BIG), "{error}");
            assert_eq!(children(), 1, "a server is left beside the first");
        }
        drop(launcher);
        eventually("the end of the first server", || children() == 0);
    });
    in_domains.join().expect("its assertions hold");
}

#[test]
fn a_killed_watchdog_is_replaced() {
    let mut plan = plan();
    plan.confinement = Arc::new(Confinement {
        sandbox: Sandbox::None,
        ..Confinement::clone(&plan.confinement)
    });
    for run_as in identities() {
        let launcher = self::launcher(run_as, false, Fault::NONE);
        let first = launcher.spawner.watchdog().expect("it starts");
        let pid = first.pid();
        rustix::process::kill_process(pid, Signal::KILL).expect("it runs");
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(pid), ended).expect("it is ours");
        drop(first);
        let first = pid;
        // A child of another test has a copy of the socket's end until it executes, which delays the replacement.
        let replaced = (0..100).any(|_| {
            let process = launcher.launch(Scope(0), &plan, null()).expect("it starts");
            assert_eq!(wait(&*process), Exit::Code(0));
            launcher.spawner.watchdog().expect("it runs").pid() != first
        });
        assert!(replaced);
        drop(launcher);
        assert_eq!(children(), 0, "a watchdog is left");
    }
}

#[test]
fn giving_up_a_watchdog_that_was_replaced_keeps_the_new_one() {
    let launcher = self::launcher(None, false, Fault::NONE);
    let failed = launcher.spawner.watchdog().expect("it starts");
    assert!(Arc::ptr_eq(
        &failed,
        &launcher.spawner.watchdog().expect("it runs")
    ));
    launcher.spawner.give_up(&failed);
    let second = launcher.spawner.watchdog().expect("it starts");
    assert!(!Arc::ptr_eq(&failed, &second));
    launcher.spawner.give_up(&failed);
    assert!(Arc::ptr_eq(
        &second,
        &launcher.spawner.watchdog().expect("it runs")
    ));
}

#[test]
fn a_probe_that_met_a_shortage_is_repeated_and_its_report_is_not_cached() {
    for (errno, shortage) in [
        (libc::EMFILE, Some(Shortage::Descriptors)),
        (libc::ENOMEM, Some(Shortage::Memory)),
        (libc::EAGAIN, Some(Shortage::Processes)),
        (libc::ENOSPC, Some(Shortage::Namespaces)),
        (libc::ETOOMANYREFS, Some(Shortage::DescriptorsInFlight)),
        (libc::EPERM, None),
    ] {
        let fault = Fault {
            step: Some(Step::Namespaces),
            errno,
        };
        let spawner = Spawner::new(default_user(), false, fault);
        let mut launcher = NativeLauncher::over(spawner, Some(Tier::A));
        let required = |launcher: &NativeLauncher| {
            let report = launcher.enforcement(&Confinement::default());
            report.admits(Sandbox::Required)
        };
        assert!(!required(&launcher), "errno {errno}");
        let report = launcher.enforcement(&Confinement::default());
        assert_eq!(report.shortage(), shortage, "errno {errno}");
        assert!(!report.admits(Sandbox::BestEffort), "errno {errno}");
        assert_eq!(launcher.findings().err(), shortage, "errno {errno}");
        let mut plan = plan();
        for sandbox in [Sandbox::Required, Sandbox::BestEffort] {
            plan.confinement = Arc::new(Confinement {
                sandbox,
                ..Confinement::clone(&plan.confinement)
            });
            let error = launcher.launch(Scope(0), &plan, null());
            assert!(error.is_err(), "errno {errno}: {sandbox:?}");
        }
        set_fault(&mut launcher, Fault::NONE);
        assert_eq!(required(&launcher), shortage.is_some(), "errno {errno}");
        let findings = launcher.findings().expect("nothing is short now");
        let is_tested = findings.breaches.is_ok();
        assert_eq!(is_tested, shortage.is_some(), "errno {errno}: {findings:?}");
    }
}

#[test]
fn a_shortage_does_not_select_a_weaker_tier() {
    let fault = Fault {
        step: Some(Step::Namespaces),
        errno: libc::ENFILE,
    };
    let spawner = Spawner::new(default_user(), false, fault);
    let mut launcher = NativeLauncher::over(spawner, None);
    assert_eq!(launcher.findings(), Err(Shortage::MachineDescriptors));
    assert!(
        !launcher
            .enforcement(&Confinement::default())
            .admits(Sandbox::Required)
    );
    set_fault(
        &mut launcher,
        Fault {
            errno: libc::EPERM,
            ..fault
        },
    );
    let findings = launcher.findings().expect("nothing is short");
    assert_eq!(findings.tier, Tier::B);
}

#[test]
fn an_unreaped_child_ends_with_its_launcher() {
    let mut plan = plan();
    plan.program = Arc::new(Program::open("/bin/sleep").expect("it exists"));
    plan.argv = vec!["sleep".into(), "60".into()];
    for run_as in identities() {
        let launcher = self::launcher(run_as, false, Fault::NONE);
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

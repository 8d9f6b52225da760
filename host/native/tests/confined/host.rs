//! Hosts in unusual states: closed streams, a system that denies them something,
//! storms of signals, other code that reaps their children.

#![allow(
    unsafe_code,
    reason = "closes the streams of its own process, and handles its signals"
)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use capspawn_native::launch::{ChildStdio, Exit, Launcher, Program};
use capspawn_native::sandbox::{
    Confinement, Dimension, Enforced, Enforcement, NativeLauncher, Sandbox, Tier,
};
use capspawn_native::{Signal, Stage};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use test_kit::{
    REQUIRE_TIER, SUITE_TIMEOUT, TEST_TIMEOUT, children_of_this_thread, eventually, exit_status,
    is_alone, is_root, rerun, rerun_through, scratch, test_name,
};

use crate::attempt::{Attempt, Target};
use crate::launcher::{launcher, scope_of_this_test, tier};
use crate::scopes::has_scopes;
use crate::spec::{Spec, ended};
use crate::syscall::{bits, call};

/// Such a host gets the descriptors 0, 1 and 2 for files that it opens.
#[test]
fn a_host_without_standard_streams_starts_children() {
    const VARIABLE: &str = "CAPSPAWN_WITHOUT_STREAMS";
    if std::env::var_os(VARIABLE).is_some() {
        for fd in 0..3 {
            // SAFETY: this process prints nothing until it ends below.
            let stream = unsafe { OwnedFd::from_raw_fd(fd) };
            drop(stream);
        }
        let run = Spec::new("/bin/sh")
            .args(["-c", "read line; echo out"])
            .run();
        std::process::exit(if run.output == "out\n" { 9 } else { 8 });
    }
    let mut command = rerun(test_name!());
    let status = exit_status(command.env(VARIABLE, "1"), TEST_TIMEOUT);
    assert_eq!(status.code(), Some(9));
}

pub(crate) const SINGLE: &[Attempt] = &[ATTRIBUTES];

const ATTRIBUTES: Attempt = Attempt::new("print what it inherits", print_attributes);

/// Prints the attributes of a process that a child inherits from its parent.
fn print_attributes(_: &Target) -> io::Result<()> {
    // SAFETY: takes no pointer, and this process makes no files.
    let umask = unsafe { libc::umask(0) };
    // SAFETY: takes no pointer.
    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let policy = call(libc::SYS_sched_getscheduler, [0; 6])?;
    let io_priority = call(libc::SYS_ioprio_get, [1, 0, 0, 0, 0, 0])?;
    let personality = call(libc::SYS_personality, [0xffff_ffff, 0, 0, 0, 0, 0])?;
    let stack = getrlimit(Resource::Stack).current.unwrap_or(0) >> 10;
    let hard = [Resource::Rtprio, Resource::Nice].map(|resource| getrlimit(resource).maximum);
    let oom = std::fs::read_to_string("/proc/self/oom_score_adj")?;
    println!(
        "umask={umask:03o} nice={nice} policy={policy} io={io_priority} personality={personality}"
    );
    println!("stack={stack} hard={hard:?} oom={}.", oom.trim());
    Ok(())
}

/// Gives this thread, which starts the children, attributes that no login has.
fn take_unusual_attributes() {
    // SAFETY: takes no pointer.
    unsafe { libc::umask(0) };
    let priority = libc::sched_param {
        sched_priority: i32::from(is_root()),
    };
    let policy = if is_root() {
        libc::SCHED_FIFO
    } else {
        libc::SCHED_BATCH
    };
    // SAFETY: reads the priority; 0 is this thread.
    let set = unsafe { libc::sched_setscheduler(0, policy, &raw const priority) };
    assert_eq!(set, 0, "a user may choose SCHED_BATCH, root any policy");
    // SAFETY: takes no pointer.
    let set = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 5) };
    assert_eq!(set, 0);
    const IDLE_CLASS: usize = 3 << 13;
    call(libc::SYS_ioprio_set, [1, 0, IDLE_CLASS, 0, 0, 0]).expect("every user may");
    let no_random = bits(libc::ADDR_NO_RANDOMIZE);
    call(libc::SYS_personality, [no_random, 0, 0, 0, 0, 0]).expect("every user may");
    let mut stack = getrlimit(Resource::Stack);
    stack.current = Some(1 << 20);
    setrlimit(Resource::Stack, stack).expect("every user may lower it");
}

/// Only a process with `CAP_SYS_NICE` can lower its nice value: the children of an ordinary user
/// keep the host's.
#[test]
fn a_child_inherits_no_priority_umask_or_stack_of_its_host() {
    const VARIABLE: &str = "CAPSPAWN_WITH_UNUSUAL_ATTRIBUTES";
    if std::env::var_os(VARIABLE).is_some() {
        take_unusual_attributes();
        for sandbox in [Sandbox::Required, Sandbox::None] {
            let spec = ATTRIBUTES.spec().read("/proc").sandbox(sandbox);
            let output = spec.run().output;
            let nice = if is_root() { 0 } else { 5 };
            for expected in [
                format!("umask=022 nice={nice} policy=0 io=0 personality=0\n"),
                "stack=8192 hard=[Some(0), Some(0)] oom=1000.\n".into(),
            ] {
                assert!(output.contains(&expected), "{sandbox:?}: {output}");
            }
        }
        return;
    }
    let mut command = rerun(test_name!());
    let status = exit_status(command.env(VARIABLE, "1"), TEST_TIMEOUT);
    assert!(status.success());
}

/// A rule for any program opens its program at each decision. What the launcher keeps of each must not use up the
/// descriptors of a host that has few.
#[test]
fn a_host_with_few_descriptors_starts_many_different_programs() {
    if !is_alone(test_name!()) {
        return;
    }
    let dir = scratch();
    let spec = Spec::new("/bin/true").home(dir.path());
    assert_eq!(spec.run().exit, Exit::Code(0));
    let open = std::fs::read_dir("/proc/self/fd")
        .expect("it is mounted")
        .count() as u64;
    let few = Rlimit {
        current: Some(open + 20),
        ..getrlimit(Resource::Nofile)
    };
    setrlimit(Resource::Nofile, few).expect("every user may lower it");
    for number in 0..60 {
        // The same program again, and one that no child has executed before.
        assert_eq!(spec.run().exit, Exit::Code(0), "the child {number}");
        let copy = dir.path().join(number.to_string());
        std::fs::copy("/bin/true", &copy).expect("the test may write the folder");
        let mut plan = spec.plan();
        plan.program = Arc::new(Program::open(copy).expect("it exists"));
        let child = launcher().launch(scope_of_this_test(), &plan, ChildStdio::default());
        let child = child.unwrap_or_else(|error| panic!("the program {number}: {error}"));
        assert_eq!(ended(&*child), Exit::Code(0), "the program {number}");
        child.reap().expect("it has ended");
    }
}

/// The sysctl belongs to the pid namespace, so a host in one of its own can set it. That requires
/// root.
#[test]
fn a_host_that_cannot_execute_memory_files_names_the_sysctl_that_forbids_it() {
    const VARIABLE: &str = "CAPSPAWN_WITHOUT_EXECUTABLE_MEMFD";
    const SYSCTL: &str = "/proc/sys/vm/memfd_noexec";
    if std::env::var_os(VARIABLE).is_some() {
        std::fs::write(SYSCTL, "2").expect("root may set the sysctl");
        let error = Spec::new("/bin/true")
            .start()
            .err()
            .expect("capspawn-init cannot start");
        assert_eq!(error.stage, Stage::Spawn);
        assert!(error.to_string().contains("vm.memfd_noexec"), "{error}");
        let report = launcher().enforcement(&Confinement::default());
        assert!(!report.admits(Sandbox::Required));
        let is_named = |level: &Enforced| matches!(level, Enforced::None { hint, .. } if hint.contains("vm.memfd_noexec"));
        assert!(
            report.dimensions().iter().all(|(_, level)| is_named(level)),
            "{report:?}"
        );
        return;
    }
    let through = ["unshare", "--pid", "--fork", "--mount-proc"];
    let possible = Command::new(through[0])
        .args(&through[1..])
        .args(["test", "-w", SYSCTL])
        .status();
    if !possible.expect("unshare is installed").success() {
        println!("skipped: this kernel lacks the sysctl, or the test may not set it");
        return;
    }
    let mut command = rerun_through(&through, test_name!());
    command.env(VARIABLE, "1").env_remove(REQUIRE_TIER);
    let status = exit_status(&mut command, TEST_TIMEOUT);
    assert!(status.success());
}

/// Makes each `landlock_create_ruleset` of this process and its children fail as on a kernel without
/// Landlock.
fn without_landlock() {
    const CALL: u32 = 444;
    let step = |code: u16, jt: u8, jf: u8, k: u32| libc::sock_filter { code, jt, jf, k };
    let mut program = [
        step(0x20, 0, 0, 0),
        step(0x15, 0, 1, CALL),
        step(0x06, 0, 0, 0x0005_0000 | libc::ENOSYS.cast_unsigned()),
        step(0x06, 0, 0, 0x7fff_0000),
    ];
    let program = libc::sock_fprog {
        len: 4,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: takes no pointer.
    let locked = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(locked, 0);
    // SAFETY: the program has four instructions and outlives the call.
    let set = unsafe { libc::syscall(libc::SYS_seccomp, 1, 1, &raw const program) };
    assert_eq!(set, 0, "the filter is installed for every thread");
}

/// An older kernel has namespaces and no Landlock: a session is confined by them alone, and tier B
/// is not available.
#[test]
fn tier_a_works_without_landlock_and_tier_b_does_not() {
    const VARIABLE: &str = "CAPSPAWN_WITHOUT_LANDLOCK";
    if std::env::var_os(VARIABLE).is_none() {
        let mut command = rerun(test_name!());
        let status = exit_status(command.env(VARIABLE, "1"), TEST_TIMEOUT);
        assert!(status.success());
        return;
    }
    let has_sessions = tier() == Tier::A;
    without_landlock();
    let confinement = Confinement::default();
    let without = NativeLauncher::builder().tier(Tier::B).build();
    assert!(
        !without
            .enforcement(&confinement)
            .admits(Sandbox::BestEffort)
    );
    let launcher = NativeLauncher::builder().tier(Tier::A).build();
    let report = launcher.enforcement(&confinement);
    if !has_sessions {
        println!("tier {} has no sessions", tier());
        return;
    }
    assert_eq!(report.unmet(), "");
    // A child may send a signal to pid 1, which the kernel drops: the second child is in the same session.
    let script =
        "ls /run 2>/dev/null || echo none; kill -9 1; echo >> /tmp/file; wc -l < /tmp/file";
    let spec = Spec::new("/bin/sh").args(["-c", script]);
    for count in 1..=2 {
        let run = spec.start_with(&launcher).expect("it starts").finish();
        assert_eq!(run.output, format!("none\n{count}\n"));
    }
}

/// Whether a handler has run in another process than this one.
static RAN_ELSEWHERE: AtomicBool = AtomicBool::new(false);
static HANDLED: AtomicU32 = AtomicU32::new(0);
static HOST: AtomicI32 = AtomicI32::new(0);

extern "C" fn handler(_: libc::c_int) {
    // SAFETY: takes no argument, and is async-signal-safe.
    let own = unsafe { libc::getpid() };
    if own != HOST.load(Ordering::Relaxed) {
        RAN_ELSEWHERE.store(true, Ordering::Relaxed);
    }
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

/// Handles `signal` without `SA_RESTART`, so that it interrupts every call that can be interrupted.
fn handle(signal: libc::c_int) {
    // SAFETY: all zeros is a valid action: the default one, with an empty mask and no flags.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as extern "C" fn(libc::c_int) as usize;
    // SAFETY: the action is initialised, and the handler is async-signal-safe.
    let set = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    assert_eq!(set, 0, "the signal can be handled");
}

/// Sends signals until `done`: `SIGUSR1` to the thread `launching`, and `SIGCHLD` to the process
/// group, and so to each new child.
fn storm(launching: i32, done: &AtomicBool) {
    let own = HOST.load(Ordering::Relaxed);
    while !done.load(Ordering::Relaxed) {
        // SAFETY: takes no pointer; the thread waits for this one before it ends.
        unsafe { libc::syscall(libc::SYS_tgkill, own, launching, libc::SIGUSR1) };
        // SAFETY: takes no pointer; 0 is the group of this process, which it leads.
        unsafe { libc::kill(0, libc::SIGCHLD) };
    }
}

/// Launches that succeed, launches that fail, and probes of the sandbox.
fn launches(launcher: &NativeLauncher, tier: Tier) {
    let sound = Spec::new("/bin/true");
    let broken = Spec::new("/etc/passwd");
    for _ in 0..200 {
        let started = sound.start_with(launcher).expect("it starts");
        assert_eq!(started.finish().exit, Exit::Code(0));
    }
    for _ in 0..50 {
        let error = broken
            .start_with(launcher)
            .err()
            .expect("the file is not a program");
        assert_eq!(error.stage, Stage::Exec);
    }
    let endless = Spec::new("/bin/sleep").args(["1000"]);
    for _ in 0..100 {
        let started = endless.start_with(launcher).expect("it starts");
        started.process.signal(Signal::Kill).expect("it runs");
        assert_eq!(started.finish().exit, Exit::Signal(9));
    }
    for _ in 0..20 {
        let report = NativeLauncher::builder()
            .tier(tier)
            .build()
            .enforcement(&Confinement::default());
        assert!(report.admits(Sandbox::Required), "{}", report.unmet());
    }
}

#[test]
fn signals_to_the_host_disturb_no_launch() {
    const VARIABLE: &str = "CAPSPAWN_IN_A_STORM";
    if std::env::var_os(VARIABLE).is_none() {
        let mut command = rerun(test_name!());
        command.env(VARIABLE, "1").process_group(0);
        let status = exit_status(&mut command, SUITE_TIMEOUT);
        assert!(status.success());
        return;
    }
    let own = rustix::process::getpid().as_raw_nonzero().get();
    HOST.store(own, Ordering::Relaxed);
    handle(libc::SIGUSR1);
    handle(libc::SIGCHLD);
    let launching = rustix::thread::gettid().as_raw_nonzero().get();
    // An older Landlock has no tier B that is required.
    let tiers = [
        Some(Tier::A).filter(|_| tier() == Tier::A),
        Some(Tier::B).filter(|_| has_scopes()),
    ];
    for tier in tiers {
        let Some(tier) = tier else { continue };
        let done = AtomicBool::new(false);
        let launcher = NativeLauncher::builder().tier(tier).build();
        std::thread::scope(|scope| {
            scope.spawn(|| storm(launching, &done));
            let launched = catch_unwind(AssertUnwindSafe(|| launches(&launcher, tier)));
            done.store(true, Ordering::Relaxed);
            launched.unwrap_or_else(|panic| resume_unwind(panic));
        });
    }
    assert!(
        HANDLED.load(Ordering::Relaxed) > 1000,
        "the host has handled few signals"
    );
    assert!(
        !RAN_ELSEWHERE.load(Ordering::Relaxed),
        "a handler of the host ran in a child"
    );
    // A thread of its own reaps a session.
    eventually("the end of the last child", || {
        children_of_this_thread().is_empty()
    });
}

/// An embedder can choose this, and no grant that requires a sandbox accepts it. Outside a session
/// no grant that demands any sandbox does.
#[test]
fn children_that_run_as_root_need_a_session_or_no_sandbox() {
    if !is_root() {
        return;
    }
    let launcher = |tier: Option<Tier>| {
        let builder = NativeLauncher::builder().run_as(0, 0);
        tier.map_or(builder.clone(), |tier| builder.tier(tier))
            .build()
    };
    let mut spec = Spec::new("/bin/sh").args(["-c", "id -u; id -G; cat /proc/self/status"]);
    spec.confinement.fs.read.push("/proc".into());
    let level = |report: &Enforcement| {
        let mut levels = report.dimensions().iter();
        let found = levels.find(|(name, _)| *name == Dimension::Privileges);
        found.expect("each report has it").1.clone()
    };
    let best = launcher(None);
    let report = best.enforcement(&spec.confinement);
    assert_eq!(report.unmet(), "privileges");
    if report.tier() == Some(Tier::A) {
        let run = spec.start_with(&best).expect("it starts").finish();
        assert!(run.output.starts_with("0\n0\n"), "{}", run.output);
        for line in ["CapEff:\t0000000000000000", "NoNewPrivs:\t1"] {
            assert!(run.output.contains(line), "no {line} in {}", run.output);
        }
        assert!(matches!(level(&report), Enforced::Partial { .. }));
        assert!(report.admits(Sandbox::BestEffort));
    }
    for tier in [Tier::B, Tier::C] {
        let launcher = launcher(Some(tier));
        for sandbox in [Sandbox::BestEffort, Sandbox::Required] {
            spec.confinement.sandbox = sandbox;
            let report = launcher.enforcement(&spec.confinement);
            assert!(matches!(level(&report), Enforced::None { .. }), "{tier}");
            assert!(!report.admits(sandbox), "{tier} {sandbox}");
            // A launcher without a registry refuses it too: the child could change /dev/null.
            let error = spec.start_with(&launcher).err().expect("it would be root");
            assert!(error.to_string().contains("user id 0"), "{error}");
        }
        spec.confinement.sandbox = Sandbox::None;
        assert!(
            launcher
                .enforcement(&spec.confinement)
                .admits(Sandbox::None)
        );
        let run = spec
            .start_with(&launcher)
            .expect("nothing is demanded")
            .finish();
        assert!(run.output.starts_with("0\n"), "{}", run.output);
    }
}

/// The kernel or another thread then reaps the child; the pidfd keeps the status.
#[test]
fn the_status_of_a_child_is_known_even_if_other_code_of_the_host_reaps_it() {
    const VARIABLE: &str = "CAPSPAWN_TAKES_STATUS";
    if kernel() < (6, 15) {
        println!("skipped: before Linux 6.15 a pidfd does not keep the status");
        return;
    }
    let Some(way) = std::env::var_os(VARIABLE) else {
        for way in ["ignore", "wait"] {
            let mut command = rerun(test_name!());
            let status = exit_status(command.env(VARIABLE, way), SUITE_TIMEOUT);
            assert!(status.success(), "{way}");
        }
        return;
    };
    if way == "ignore" {
        // SAFETY: takes no pointer to memory; this process runs one test, which sets no handler.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    } else {
        std::thread::spawn(|| {
            loop {
                // SAFETY: the pointer for the status may be null.
                if unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) } < 0 {
                    std::thread::yield_now();
                }
            }
        });
    }
    for (script, exit) in [
        ("exit 0", Exit::Code(0)),
        ("exit 3", Exit::Code(3)),
        ("kill -9 $$", Exit::Signal(9)),
        ("sleep 0.1 & exit 4", Exit::Code(4)),
    ] {
        let shell = Spec::new("/bin/sh").args(["-c", script]);
        let started = shell.start_with(launcher()).expect("it starts");
        assert_eq!(started.finish().exit, exit, "{script}");
    }
    let error = Spec::new("/etc/passwd").start_with(launcher()).err();
    assert_eq!(error.expect("the file is not a program").stage, Stage::Exec);
}

/// The version of the running kernel.
pub(crate) fn kernel() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("/proc is mounted");
    let mut numbers = release
        .split(['.', '-'])
        .map_while(|part| part.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

//! Scripted children under a real registry, in virtual time, without WebAssembly and without any process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use capspawn_native::launch::{LaunchError, Stage};
use capspawn_native::{
    Child, Command, ExitStatus, Grants, Guest, KillReason, Quota, Registry, Signal, SpawnError,
    Stdin, Stdio,
};
use capspawn_testing::{Failure, ScriptedLauncher, VirtualClock, any};
use tokio::runtime::Runtime;

const MINUTE: Duration = Duration::from_secs(60);

/// A guest that may run `tool` with any arguments, its scripts and its time.
struct World {
    clock: VirtualClock,
    scripts: ScriptedLauncher,
    registry: Registry,
    guest: Guest,
}

fn world(lines: &str) -> World {
    let clock = VirtualClock::new();
    let scripts = ScriptedLauncher::with_clock(&clock);
    let registry = Registry::builder()
        .launcher(Arc::new(scripts.clone()))
        .clock(&clock)
        .build()
        .expect("a thread");
    let toml = format!(
        r#"
        version = 1
        [component.test]
        max-live = 2000
        {lines}
        [[component.test.command]]
        name = "tool"
        program = "/opt/no-such-folder/bin/tool"
        args = ["**"]
        "#
    );
    let grants = Grants::from_toml_str_without_programs(&toml, "/".as_ref());
    let guest = registry.guest(grants.expect("the grant loads").component("test"), "");
    World {
        clock,
        scripts,
        registry,
        guest,
    }
}

fn tool() -> Command {
    Command::new("tool")
}

fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread();
    { runtime }.enable_io().build().expect("a runtime")
}

impl World {
    fn spawn(&self, command: &Command) -> Child {
        self.guest.spawn(command).expect("the grant allows it")
    }

    /// Waits until everything of the child is there, and returns its status and standard output.
    fn output(&self, child: &Child) -> (ExitStatus, String) {
        let (status, stdout, _) = runtime().block_on(self.clock.run(child.output()));
        (status, String::from_utf8(stdout.data).expect("text"))
    }
}

#[test]
fn a_timeout_of_ten_minutes_is_exact_and_kills() {
    let world = world(r#"limits = { wall = "10min" }"#);
    world.scripts.on("tool").args(["slow"]).after(MINUTE * 11);
    world.scripts.on("tool").args(["fast"]).after(MINUTE * 9);
    let start = world.clock.now();
    let slow = world.spawn(&tool().arg("slow"));
    let fast = world.spawn(&tool().arg("fast"));
    assert_eq!(slow.wait_blocking(Some(MINUTE)), None);
    assert_eq!(world.clock.now() - start, MINUTE);
    assert_eq!(fast.wait_blocking(None), Some(ExitStatus::Exited(0)));
    assert_eq!(world.clock.now() - start, MINUTE * 9);
    let killed = ExitStatus::Killed(KillReason::Timeout);
    assert_eq!(slow.wait_blocking(None), Some(killed));
    assert_eq!(world.clock.now() - start, MINUTE * 10);
    let info = slow.info();
    let lived = info
        .ended_at
        .expect("it has ended")
        .duration_since(info.started_at);
    assert_eq!(lived.expect("later"), MINUTE * 10);
}

#[test]
fn the_rate_refills_with_virtual_time_and_not_before() {
    let world = world(r#"rate = "2/1h""#);
    world.scripts.on("tool");
    let spawn = || world.guest.spawn(&tool());
    let _first = (spawn().expect("one"), spawn().expect("two"));
    let refused = || matches!(spawn(), Err(SpawnError::Quota(Quota::SpawnRate)));
    assert!(refused());
    world.clock.advance(MINUTE * 29);
    assert!(refused());
    world.clock.advance(MINUTE * 2);
    spawn().expect("half an hour gives one of two");
    assert!(refused());
}

#[test]
fn a_kill_has_its_grace_and_a_child_may_use_it() {
    let world = world("");
    world
        .scripts
        .on("tool")
        .args(["deaf"])
        .hang()
        .ignore(Signal::Terminate);
    world
        .scripts
        .on("tool")
        .args(["tidy"])
        .hang()
        .exit_on(Signal::Terminate, 7);
    world.scripts.on("tool").hang();
    let end = |name: &str| {
        let child = world.spawn(&tool().arg(name));
        let start = world.clock.now();
        child.kill(Duration::from_secs(5));
        let status = child.wait_blocking(None).expect("it ends");
        (status, world.clock.now() - start)
    };
    let killed = ExitStatus::Killed(KillReason::Requested);
    assert_eq!(end("deaf"), (killed, Duration::from_secs(5)));
    assert_eq!(end("tidy"), (ExitStatus::Exited(7), Duration::ZERO));
    assert_eq!(end("plain"), (killed, Duration::ZERO));
}

#[test]
fn a_stopped_child_does_nothing_until_it_is_resumed() {
    let world = world("");
    world.scripts.on("tool").pause(MINUTE).stdout("done");
    let child = world.spawn(&tool());
    child.signal(Signal::Stop);
    assert_eq!(child.wait_blocking(Some(MINUTE * 5)), None);
    assert_eq!(child.captured(0, 0).0.data, b"");
    child.signal(Signal::Continue);
    assert_eq!(
        world.output(&child),
        (ExitStatus::Exited(0), "done".to_owned())
    );
}

#[test]
fn every_end_has_its_status() {
    let world = world("");
    world.scripts.on("tool").args(["code"]).exit(3);
    world.scripts.on("tool").args(["crash"]).signal(11);
    world.scripts.on("tool").args(["memory"]).out_of_memory();
    let end = |name: &str| world.spawn(&tool().arg(name)).wait_blocking(None);
    assert_eq!(end("code"), Some(ExitStatus::Exited(3)));
    assert_eq!(end("crash"), Some(ExitStatus::Signaled(11)));
    assert_eq!(end("memory"), Some(ExitStatus::Killed(KillReason::Memory)));
}

#[test]
fn a_launch_fails_at_any_stage() {
    let world = world("");
    let at = Failure::At {
        stage: Stage::Cgroup,
        errno: 5,
    };
    for (name, failure) in [
        ("absent", Failure::NotFound),
        ("text", Failure::NotExecutable),
        ("nowhere", Failure::WorkingDirectoryNotFound),
        ("big", Failure::TooBig),
        ("fds", Failure::NoDescriptors),
        ("pids", Failure::NoProcesses),
        ("ram", Failure::NoMemory),
        ("io", at),
    ] {
        world.scripts.on("tool").args([name]).fail(failure);
    }
    world.scripts.on("tool");
    let fails = |name: &str| world.guest.spawn(&tool().arg(name)).expect_err("it fails");
    assert!(matches!(fails("absent"), SpawnError::NoEntry));
    assert!(matches!(fails("text"), SpawnError::NotExecutable));
    assert!(matches!(
        fails("nowhere"),
        SpawnError::WorkingDirectoryNotFound
    ));
    assert!(matches!(fails("big"), SpawnError::TooBig));
    for name in ["fds", "pids", "ram"] {
        let error = fails(name);
        assert!(!matches!(error, SpawnError::Launch(_)), "{name}: {error}");
    }
    assert!(matches!(
        fails("io"),
        SpawnError::Launch(LaunchError {
            stage: Stage::Cgroup,
            ..
        })
    ));
    world
        .spawn(&tool().arg("other"))
        .wait_blocking(None)
        .expect("it runs");
    assert_eq!(world.registry.len(), 0, "a failed launch leaves no entry");
    assert_eq!(world.scripts.calls().len(), 9);
}

#[test]
fn without_a_sandbox_what_requires_one_is_refused() {
    let scripts = ScriptedLauncher::without_sandbox();
    scripts.on("tool");
    let registry = Registry::builder().launcher(Arc::new(scripts)).build();
    let registry = registry.expect("a thread");
    let spawn = |sandbox: &str| {
        let toml = format!(
            "version = 1\n[[component.test.command]]\nname = \"tool\"\nsandbox = \"{sandbox}\"\n\
             program = \"/opt/no-such-folder/tool\""
        );
        let grants = Grants::from_toml_str_without_programs(&toml, "/".as_ref());
        let grant = grants.expect("the grant loads").component("test");
        registry.guest(grant, "").spawn(&tool()).map(drop)
    };
    assert!(matches!(
        spawn("required"),
        Err(SpawnError::SandboxUnavailable(_))
    ));
    spawn("none").expect("it demands none");
}

#[test]
fn a_dialogue_is_played_as_it_is_written() {
    let world = world("");
    world
        .scripts
        .on("tool")
        .stdout("name?\n")
        .expect("Ada\n")
        .reply("hello Ada\n")
        .expect("bye")
        .exit(4);
    let child = world.spawn(&tool().stdin(Stdin::Piped).stdout(Stdio::Piped));
    let (input, output) = (child.take_stdin(), child.take_stdout());
    let input = input.expect("a pipe").expect("it is piped");
    let output = output.expect("a pipe").expect("it is piped");
    let read = async || {
        let bytes = output.read_vec(100).await.expect("an open pipe");
        String::from_utf8(bytes).expect("text")
    };
    runtime().block_on(world.clock.run(async {
        assert_eq!(read().await, "name?\n");
        input.try_write(b"A").expect("room");
        input.try_write(b"da\nb").expect("room");
        assert_eq!(read().await, "hello Ada\n");
        input.try_write(b"ye").expect("room");
        assert_eq!(read().await, "", "the end");
        assert_eq!(child.wait(None).await, Some(ExitStatus::Exited(4)));
    }));
    world.scripts.verify();
}

#[test]
fn input_that_is_not_expected_is_a_fault_and_shows_both() {
    let world = world("");
    world.scripts.on("tool").args(["whole"]).expect_stdin("abc");
    world.scripts.on("tool").args(["part"]).expect("abc");
    let end = |name: &str, input: &'static [u8]| {
        let command = tool().arg(name).stdin(Stdin::Bytes(input.into()));
        world.spawn(&command).wait_blocking(None)
    };
    assert_eq!(end("whole", b"abc"), Some(ExitStatus::Exited(0)));
    assert_eq!(end("part", b"xabcx"), Some(ExitStatus::Exited(0)));
    world.scripts.verify();
    assert_eq!(end("whole", b"abcd"), Some(ExitStatus::Exited(1)));
    assert_eq!(end("part", b"ab"), Some(ExitStatus::Exited(1)));
    let faults = world.scripts.faults();
    let shown: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown[0].contains(r#"expected: "abc""#), "{shown:?}");
    assert!(shown[0].contains(r#"found:    "abcd""#), "{shown:?}");
    assert!(shown[1].contains(r#"tool ["part"]"#), "{shown:?}");
    let stdin: Vec<_> = world
        .scripts
        .calls()
        .into_iter()
        .map(|call| call.stdin)
        .collect();
    assert_eq!(stdin[0], b"abc");
}

#[test]
fn echo_carries_more_than_a_pipe_holds() {
    let world = world(r#"capture = { stdout = "4MiB" }"#);
    world.scripts.on("tool").echo();
    let input: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let child = world.spawn(&tool().stdin(Stdin::Bytes(input.clone().into())));
    let (status, stdout, _) = runtime().block_on(world.clock.run(child.output()));
    assert_eq!(status, ExitStatus::Exited(0));
    assert!(stdout.data == input, "{} bytes", stdout.data.len());
}

/// A grandchild that keeps the pipes has 250 ms, then it is killed with its tree.
#[test]
fn a_grandchild_holds_the_pipe_and_not_for_long() {
    let world = world("");
    let early = world.scripts.on("tool").args(["early"]).stdout("a");
    early.grandchild_writes(Duration::from_millis(200), "b");
    let late = world.scripts.on("tool").args(["late"]).stdout("a");
    late.grandchild_writes(Duration::from_millis(300), "b");
    let read = |name: &str| {
        let child = world.spawn(&tool().arg(name));
        let start = world.clock.now();
        assert_eq!(child.wait_blocking(None), Some(ExitStatus::Exited(0)));
        assert_eq!(world.clock.now(), start, "the child itself has ended");
        let (_, stdout, _) = runtime().block_on(world.clock.run(child.output()));
        (stdout.data, stdout.complete, world.clock.now() - start)
    };
    assert_eq!(
        read("early"),
        (b"ab".to_vec(), true, Duration::from_millis(200))
    );
    assert_eq!(
        read("late"),
        (b"a".to_vec(), false, Duration::from_millis(250))
    );
}

#[test]
fn output_without_end_is_bounded_by_the_grant() {
    let world = world(r#"limits = { wall = "1s", output = "1MiB" }"#);
    world.scripts.on("tool").flood("spam\n");
    let child = world.spawn(&tool());
    let (status, stdout) = world.output(&child);
    assert_eq!(status, ExitStatus::Killed(KillReason::Output));
    assert!(stdout.starts_with("spam\nspam\n"));
    // A guest that does not read stops the child, and the time limit ends it.
    let child = world.spawn(&tool().stdout(Stdio::Piped));
    let killed = ExitStatus::Killed(KillReason::Timeout);
    assert_eq!(child.wait_blocking(None), Some(killed));
}

#[test]
fn a_reader_that_is_gone_ends_the_child_unless_it_ignores_that() {
    let world = world("");
    world
        .scripts
        .on("tool")
        .args(["usual"])
        .expect("go")
        .stdout("x");
    let deaf = world
        .scripts
        .on("tool")
        .args(["deaf"])
        .expect("go")
        .stdout("x");
    deaf.ignore(Signal::BrokenPipe).exit(5);
    let end = |name: &str| {
        let command = tool().arg(name).stdin(Stdin::Piped).stdout(Stdio::Piped);
        let child = world.spawn(&command);
        drop(child.take_stdout().expect("a pipe"));
        let input = child.take_stdin().expect("a pipe").expect("it is piped");
        input.try_write(b"go").expect("room");
        child.wait_blocking(None)
    };
    assert_eq!(end("usual"), Some(ExitStatus::Signaled(13)));
    assert_eq!(end("deaf"), Some(ExitStatus::Exited(5)));
}

#[test]
fn closed_streams_are_seen_before_the_end() {
    let world = world("");
    world
        .scripts
        .on("tool")
        .close_stdin()
        .close_stdout()
        .stdout("lost")
        .hang();
    let child = world.spawn(&tool().stdin(Stdin::Piped).stdout(Stdio::Piped));
    let output = child.take_stdout().expect("a pipe").expect("it is piped");
    let input = child.take_stdin().expect("a pipe").expect("it is piped");
    runtime().block_on(world.clock.run(async {
        assert_eq!(output.read_vec(9).await.expect("an open pipe"), b"");
        input.writable().await.expect("a runtime");
    }));
    let error = input.try_write(b"x").expect_err("nobody reads");
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    assert_eq!(child.poll(), None);
}

#[test]
fn scripts_are_tried_in_order_and_are_used_up() {
    let world = world("");
    world.scripts.on("tool").args([any()]).exit(1).once();
    world
        .scripts
        .on("tool")
        .when(|plan| plan.argv.len() == 2)
        .exit(2)
        .times(2);
    let end = || world.spawn(&tool().arg("x")).wait_blocking(None);
    let ends = [end(), end()];
    assert_eq!(ends, [1, 2].map(|code| Some(ExitStatus::Exited(code))));
    let unused = std::panic::catch_unwind(|| world.scripts.clone().verify());
    let unused = *unused
        .expect_err("one use is missing")
        .downcast::<String>()
        .expect("text");
    assert!(
        unused.contains("unused script: tool [rest()] (used 1 of 2 times)"),
        "{unused}"
    );
    assert_eq!(end(), Some(ExitStatus::Exited(2)));
    world.scripts.verify();
    let error = world
        .guest
        .spawn(&tool().arg("x"))
        .expect_err("all are used up");
    assert!(error.to_string().contains("it is used up"), "{error}");
}

/// One thousand children, one hundred at a time.
#[test]
fn a_thousand_children_start_write_and_end() {
    let world = world("");
    world
        .scripts
        .on("tool")
        .stdout("one line\n")
        .exit(1)
        .after(MINUTE / 2);
    let (begun, start) = (Instant::now(), world.clock.now());
    for _ in 0..10 {
        let children: Vec<_> = (0..100).map(|_| world.spawn(&tool())).collect();
        runtime().block_on(world.clock.run(async {
            for child in &children {
                let (status, stdout, _) = child.output().await;
                assert_eq!(
                    (status, &stdout.data[..]),
                    (ExitStatus::Exited(1), &b"one line\n"[..])
                );
            }
        }));
    }
    println!("1,000 children in {:?}", begun.elapsed());
    assert_eq!(world.scripts.calls().len(), 1000);
    assert_eq!(world.clock.now() - start, MINUTE * 5);
}

/// The grandchild keeps the pipes for a grace of virtual time, which passes though nobody waits for it.
#[test]
fn a_registry_that_is_dropped_ends_what_runs() {
    let world = world("");
    let stubborn = world.scripts.on("tool").hang().ignore(Signal::Terminate);
    stubborn.grandchild(MINUTE);
    let child = world.spawn(&tool());
    let mut waiter = child.waiter();
    drop((child, world));
    let killed = ExitStatus::Killed(KillReason::Released);
    assert_eq!(runtime().block_on(waiter.completed()), killed);
}

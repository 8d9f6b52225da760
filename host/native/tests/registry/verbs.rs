//! The operations on one child: spawn, poll, wait, kill, signal, release.

use std::sync::Arc;
use std::time::Duration;

use capspawn_native::launch::{ChildStdio, Launcher, Plan, Process, Scope};
use capspawn_native::sandbox::{Confinement, Enforcement, NativeLauncher};
use capspawn_native::{
    Command, ExitStatus, KillReason, LaunchError, Registry, Signal, SpawnError, Stdin, Stdio,
};

use crate::support::*;

#[test]
pub(crate) fn spawn_wait_and_poll_return_output_and_exit_code() {
    let guest = guest();
    let child = guest
        .spawn(&sh("printf hello; exit 3"))
        .expect("the grant allows it");
    assert_eq!(ended(&child), ExitStatus::Exited(3));
    assert_eq!(child.poll(), Some(ExitStatus::Exited(3)));
    assert_eq!(
        stdout(&child),
        b"hello",
        "all output of the leader is captured when its status is known"
    );
    let info = child.info();
    assert_eq!(
        (info.program.as_str(), info.args.len(), info.pid),
        ("sh", 2, None)
    );
    assert!(info.ended_at.expect("it has ended") >= info.started_at);
}

#[test]
pub(crate) fn poll_shows_partial_output_while_the_child_runs() {
    let guest = guest();
    let child = guest
        .spawn(&sh("echo hi; cat; exec sleep 600"))
        .expect("the grant allows it");
    eventually("the first line", || stdout(&child) == b"hi\n");
    assert_eq!(child.poll(), None);
    let (out, _) = child.captured(3, 0);
    assert_eq!((out.data.len(), out.dropped, out.complete), (0, 0, false));
}

#[test]
pub(crate) fn a_wait_that_times_out_leaves_the_child_running() {
    let guest = guest();
    let command = Command {
        stdin: Stdin::Null,
        ..sh("sleep 600")
    };
    let child = guest.spawn(&command).expect("the grant allows it");
    assert_eq!(child.wait_blocking(Some(Duration::from_millis(20))), None);
    assert_eq!(
        child.wait_blocking(Some(Duration::ZERO)),
        None,
        "a timeout of zero polls"
    );
    child.kill(Duration::ZERO);
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Requested));
}

#[test]
pub(crate) fn an_async_wait_needs_no_timer_of_the_caller() {
    let guest = guest();
    let child = guest.spawn(&sh("sleep 600")).expect("the grant allows it");
    let bare = bare_runtime();
    assert_eq!(
        bare.block_on(child.wait(Some(Duration::from_millis(20)))),
        None
    );
    child.kill(Duration::ZERO);
    assert_eq!(
        bare.block_on(child.wait(None)),
        Some(ExitStatus::Killed(KillReason::Requested))
    );
}

#[test]
fn kill_with_a_grace_period_sends_sigterm_first() {
    let guest = guest();
    let script = "trap 'echo terminated; exit 9' TERM; echo ready; while :; do sleep 0.01; done";
    let child = guest.spawn(&sh(script)).expect("the grant allows it");
    eventually("the trap", || stdout(&child) == b"ready\n");
    child.kill(TEST_TIMEOUT);
    assert_eq!(
        ended(&child),
        ExitStatus::Exited(9),
        "a child that exits in the grace period keeps its exit code"
    );
    assert_eq!(output(&child).1.data, b"ready\nterminated\n");
}

#[test]
pub(crate) fn kill_ends_a_child_that_ignores_sigterm() {
    let guest = guest();
    let script = "trap '' TERM; echo ready; while :; do sleep 0.01; done";
    let child = guest.spawn(&sh(script)).expect("the grant allows it");
    eventually("the trap", || stdout(&child) == b"ready\n");
    child.kill(Duration::from_millis(30));
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Requested));
    child.kill(Duration::ZERO);
    child.signal(Signal::Terminate);
    assert_eq!(
        child.poll(),
        Some(ExitStatus::Killed(KillReason::Requested))
    );
}

#[test]
pub(crate) fn a_signal_that_ends_the_child_counts_as_a_requested_kill_and_a_handled_one_does_not() {
    let guest = guest();
    let child = guest
        .spawn(&sh("exec sleep 600"))
        .expect("the grant allows it");
    child.signal(Signal::User1);
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Requested));
    let script = "trap 'exit 4' HUP; echo ready; while :; do sleep 0.01; done";
    let child = guest.spawn(&sh(script)).expect("the grant allows it");
    eventually("the trap", || stdout(&child) == b"ready\n");
    child.signal(Signal::Hangup);
    assert_eq!(ended(&child), ExitStatus::Exited(4));
}

#[test]
pub(crate) fn release_returns_the_status_and_frees_the_slot() {
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let child = guest
        .spawn(&sh("exec sleep 600"))
        .expect("the grant allows it");
    assert_eq!(registry.len(), 1);
    assert_eq!(
        child.release_blocking(),
        ExitStatus::Killed(KillReason::Released)
    );
    eventually("the free slot", || registry.is_empty());
    let child = guest.spawn(&sh("exit 5")).expect("the grant allows it");
    ended(&child);
    assert_eq!(child.release_blocking(), ExitStatus::Exited(5));
    eventually("the free slot", || registry.is_empty());
}

#[test]
pub(crate) fn stdin_bytes_reach_the_child_and_are_followed_by_end_of_file() {
    let guest = guest();
    for length in [0, 1, 70_000, 1_000_000] {
        let bytes: Vec<u8> = (0..=255).cycle().take(length).collect();
        let command = Command {
            stdin: Stdin::Bytes(bytes.clone().into()),
            ..Command::new("cat")
        };
        let child = guest.spawn(&command).expect("the grant allows it");
        let (status, out, _) = output(&child);
        assert_eq!(status, ExitStatus::Exited(0));
        assert!(out.data == bytes, "{length} bytes came back changed");
        assert!(out.complete);
    }
}

#[test]
pub(crate) fn a_child_that_does_not_read_its_input_still_ends() {
    let guest = guest();
    let command = Command {
        stdin: Stdin::Bytes(vec![b'x'; 1_000_000].into()),
        ..sh("exit 0")
    };
    let child = guest.spawn(&command).expect("the grant allows it");
    assert_eq!(output(&child).0, ExitStatus::Exited(0));
}

#[test]
pub(crate) fn a_merged_stream_is_in_the_other_one_and_a_null_stream_is_discarded() {
    let guest = guest();
    let merged = Command {
        stderr: Stdio::Merged,
        ..sh("echo a; echo b >&2; echo c")
    };
    let (_, out, err) = output(&guest.spawn(&merged).expect("the grant allows it"));
    assert_eq!(
        (out.data.as_slice(), err.data.len()),
        (&b"a\nb\nc\n"[..], 0)
    );
    let null = Command {
        stdout: Stdio::Null,
        ..sh("echo a; echo b >&2")
    };
    let (_, out, err) = output(&guest.spawn(&null).expect("the grant allows it"));
    assert_eq!(
        (out.data.len(), out.complete, err.data.as_slice()),
        (0, true, &b"b\n"[..])
    );
}

#[test]
fn a_child_inherits_no_variable_and_no_descriptor() {
    let guest = guest();
    // A descriptor that an embedder leaks: it is not close-on-exec.
    let leaked = rustix::fs::open(
        "/etc/passwd",
        rustix::fs::OFlags::RDONLY,
        rustix::fs::Mode::empty(),
    )
    .expect("it exists");
    let (_, out, _) = output(
        &guest
            .spawn(&Command::new("env"))
            .expect("the grant allows it"),
    );
    let text = String::from_utf8(out.data).expect("text");
    let mut lines: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("TZ="))
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, ["LANG=C.UTF-8", "PATH=/usr/local/bin:/usr/bin:/bin"]);
    // The shell tests each number: listing the folder would open one more descriptor.
    let script = "for n in $(seq 0 400); do [ -e /proc/self/fd/$n ] && echo $n; done";
    let (_, out, _) = output(&guest.spawn(&sh(script)).expect("the grant allows it"));
    assert_eq!(numbers(&out.data), [0, 1, 2]);
    drop(leaked);
}

#[test]
fn a_request_that_cannot_run_is_a_typed_error_and_starts_nothing() {
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let nul = Command::new("sh").arg("a\0b");
    assert!(matches!(
        guest.spawn(&nul),
        Err(SpawnError::InvalidArgument(_))
    ));
    assert!(matches!(
        guest.spawn(&Command::new("git")),
        Err(SpawnError::Denied(_))
    ));
    assert!(matches!(
        guest.spawn(&Command::new("cat").arg("x")),
        Err(SpawnError::Denied(_))
    ));
    let big = sh(&"x".repeat(200 * 1024 * 1024));
    assert!(matches!(guest.spawn(&big), Err(SpawnError::TooBig)));
    let cwd = Command {
        cwd: Some("/".into()),
        ..sh("true")
    };
    assert!(matches!(guest.spawn(&cwd), Err(SpawnError::Denied(_))));
    assert!(registry.is_empty());
    assert!(guest.live().is_empty());
}

/// A launcher that reports that it enforces nothing.
#[derive(Debug)]
struct Unconfining(NativeLauncher);

impl Launcher for Unconfining {
    fn enforcement(&self, confinement: &Confinement) -> Arc<Enforcement> {
        Arc::new(Enforcement::none(confinement, "a test", "none"))
    }

    fn launch(
        &self,
        scope: Scope,
        plan: &Plan,
        stdio: ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError> {
        self.0.launch(scope, plan, stdio)
    }
}

#[test]
fn the_default_sandbox_refuses_to_spawn_where_it_is_not_enforced() {
    let toml = r#"
        version = 1
        [[component."c".command]]
        name = "true"
        program = "/bin/true"
        [[component."c".command]]
        name = "open"
        program = "/bin/true"
        sandbox = "none"
    "#;
    let grants = load(toml);
    let unconfining = Unconfining(NativeLauncher::new());
    let unconfined = build(Registry::builder().launcher(Arc::new(unconfining)));
    let guest = unconfined.guest(grants.component("c"), "");
    assert!(matches!(
        guest.spawn(&Command::new("true")),
        Err(SpawnError::SandboxUnavailable(_))
    ));
    let child = guest
        .spawn(&Command::new("open"))
        .expect("the command is granted without a sandbox");
    assert_eq!(ended(&child), ExitStatus::Exited(0));
    // The same grant with the real launcher: this host can enforce it.
    let guest = registry().guest(grants.component("c"), "");
    let child = guest
        .spawn(&Command::new("true"))
        .expect("this host enforces the sandbox");
    assert_eq!(ended(&child), ExitStatus::Exited(0));
}

#[test]
fn a_confined_child_reads_and_writes_only_what_the_grant_lists() {
    let folder = test_kit::scratch();
    let at = |name: &str| folder.path().join(name);
    for name in ["in", "out"] {
        std::fs::create_dir(at(name)).expect("the folder is new");
        open_to_all(at(name));
        std::fs::write(at(name).join("file"), name).expect("the test owns the folder");
    }
    let toml = format!(
        r#"
        version = 1
        [component."c"]
        fs = {{ write = ["{}"] }}
        [[component."c".command]]
        name = "sh"
        program = "/bin/sh"
        args = ["-c", "*"]
        interpreter = true
        "#,
        at("in").display()
    );
    let grants = load(&toml);
    let guest = registry().guest(grants.component("c"), "");
    let inside = format!(
        "cat {0}/file; echo new > {0}/new; cat {0}/new",
        at("in").display()
    );
    let (status, out, err) = output(
        &guest
            .spawn(&sh(&inside))
            .expect("this host enforces the sandbox"),
    );
    assert_eq!(
        (status, out.data.as_slice()),
        (ExitStatus::Exited(0), &b"innew\n"[..]),
        "{err:?}"
    );
    for script in ["cat {0}/file", "echo new > {0}/new"] {
        let script = script.replace("{0}", &at("out").display().to_string());
        let (status, out, _) = output(
            &guest
                .spawn(&sh(&script))
                .expect("this host enforces the sandbox"),
        );
        assert_ne!(status, ExitStatus::Exited(0), "{script}");
        assert_eq!(out.data, b"");
    }
    assert!(!at("out").join("new").exists());
}

#[test]
fn a_disclosed_pid_is_that_of_the_hosts_pid_namespace() {
    // A confined child may also have a pid of its own namespace, which is not the disclosed one.
    for sandbox in ["none", "required"] {
        for discloses in [true, false] {
            let toml = format!(
                r#"
                version = 1
                [component.c]
                disclose-pid = {discloses}
                [[component.c.command]]
                name = "cat"
                program = "/bin/cat"
                sandbox = "{sandbox}"
                "#
            );
            let guest = registry().guest(load(&toml).component("c"), "");
            let request = Command {
                stdin: Stdin::Piped,
                ..Command::new("cat")
            };
            let child = guest.spawn(&request).expect("it starts");
            let pid = child.info().pid;
            assert_eq!(pid.is_some(), discloses, "{sandbox}");
            let Some(pid) = pid else { continue };
            // The launch returns when the exec can no longer fail, which is before the kernel shows the new arguments.
            eventually("its arguments", || {
                std::fs::read(format!("/proc/{pid}/cmdline")).expect("it runs") == b"/bin/cat\0"
            });
        }
    }
}

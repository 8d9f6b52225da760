//! spawn, poll, wait, kill, signal, release.

use std::sync::Arc;
use std::time::Duration;

use capspawn_native::launch::{ChildStdio, Launcher, Plan, Process, Scope};
use capspawn_native::sandbox::{Confinement, Enforcement, NativeLauncher};
use capspawn_native::{
    Command, ExitStatus, Grants, KillReason, LaunchError, Registry, Signal, SpawnError, Stdin,
    Stdio,
};

use crate::support::*;

#[test]
fn spawn_wait_and_poll_give_output_and_exit_code() {
    let guest = guest();
    let child = guest.spawn(&sh("printf hello; exit 3")).expect("allowed");
    assert_eq!(ended(&child), ExitStatus::Exited(3));
    assert_eq!(child.poll(), Some(ExitStatus::Exited(3)));
    assert_eq!(
        stdout(&child),
        b"hello",
        "all that the leader wrote shows with its status"
    );
    let info = child.info();
    assert_eq!(
        (info.program.as_str(), info.args.len(), info.pid),
        ("sh", 2, None)
    );
    assert!(info.ended_at.expect("it has ended") >= info.started_at);
}

#[test]
fn poll_shows_partial_output_while_the_child_runs() {
    let guest = guest();
    let child = guest
        .spawn(&sh("echo hi; cat; exec sleep 60"))
        .expect("allowed");
    eventually("the first line", || stdout(&child) == b"hi\n");
    assert_eq!(child.poll(), None);
    let (out, _) = child.captured(3, 0);
    assert_eq!((out.data.len(), out.dropped, out.complete), (0, 0, false));
}

#[test]
fn a_wait_that_times_out_leaves_the_child_running() {
    let guest = guest();
    let command = Command {
        stdin: Stdin::Null,
        ..sh("sleep 60")
    };
    let child = guest.spawn(&command).expect("allowed");
    assert_eq!(child.wait_blocking(Some(Duration::from_millis(20))), None);
    assert_eq!(
        child.wait_blocking(Some(Duration::ZERO)),
        None,
        "zero is a look"
    );
    child.kill(Duration::ZERO);
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Requested));
}

#[test]
fn async_waits_need_no_timer_of_the_callers() {
    let guest = guest();
    let child = guest.spawn(&sh("sleep 60")).expect("allowed");
    let bare = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
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
fn kill_asks_first_where_there_is_a_grace() {
    let guest = guest();
    let script = "trap 'echo asked; exit 9' TERM; echo ready; while :; do sleep 0.01; done";
    let child = guest.spawn(&sh(script)).expect("allowed");
    eventually("the trap", || stdout(&child) == b"ready\n");
    child.kill(PATIENCE);
    assert_eq!(
        ended(&child),
        ExitStatus::Exited(9),
        "its own exit is its status"
    );
    assert_eq!(output(&child).1.data, b"ready\nasked\n");
}

#[test]
fn kill_does_not_stop_at_a_child_that_ignores_it() {
    let guest = guest();
    let script = "trap '' TERM; echo ready; while :; do sleep 0.01; done";
    let child = guest.spawn(&sh(script)).expect("allowed");
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
fn a_signal_that_ends_the_child_counts_as_requested_and_one_it_handles_does_not() {
    let guest = guest();
    let child = guest.spawn(&sh("exec sleep 60")).expect("allowed");
    child.signal(Signal::User1);
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Requested));
    let script = "trap 'exit 4' HUP; echo ready; while :; do sleep 0.01; done";
    let child = guest.spawn(&sh(script)).expect("allowed");
    eventually("the trap", || stdout(&child) == b"ready\n");
    child.signal(Signal::Hangup);
    assert_eq!(ended(&child), ExitStatus::Exited(4));
}

#[test]
fn release_says_how_it_ended_and_frees_the_slot() {
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let child = guest.spawn(&sh("exec sleep 60")).expect("allowed");
    assert_eq!(registry.len(), 1);
    assert_eq!(
        child.release_blocking(),
        ExitStatus::Killed(KillReason::Released)
    );
    eventually("the free slot", || registry.is_empty());
    let child = guest.spawn(&sh("exit 5")).expect("allowed");
    ended(&child);
    assert_eq!(child.release_blocking(), ExitStatus::Exited(5));
    eventually("the free slot", || registry.is_empty());
}

#[test]
fn stdin_bytes_reach_the_child_and_end() {
    let guest = guest();
    for length in [0, 1, 70_000, 1_000_000] {
        let bytes: Vec<u8> = (0..=255).cycle().take(length).collect();
        let command = Command {
            stdin: Stdin::Bytes(bytes.clone().into()),
            ..Command::new("cat")
        };
        let child = guest.spawn(&command).expect("allowed");
        let (status, out, _) = output(&child);
        assert_eq!(status, ExitStatus::Exited(0));
        assert!(out.data == bytes, "{length} bytes came back changed");
        assert!(out.complete);
    }
}

#[test]
fn a_child_that_does_not_read_its_input_ends_all_the_same() {
    let guest = guest();
    let command = Command {
        stdin: Stdin::Bytes(vec![b'x'; 1_000_000].into()),
        ..sh("exit 0")
    };
    let child = guest.spawn(&command).expect("allowed");
    assert_eq!(output(&child).0, ExitStatus::Exited(0));
}

#[test]
fn merged_and_null_streams_go_where_they_should() {
    let guest = guest();
    let merged = Command {
        stderr: Stdio::Merged,
        ..sh("echo a; echo b >&2; echo c")
    };
    let (_, out, err) = output(&guest.spawn(&merged).expect("allowed"));
    assert_eq!(
        (out.data.as_slice(), err.data.len()),
        (&b"a\nb\nc\n"[..], 0)
    );
    let null = Command {
        stdout: Stdio::Null,
        ..sh("echo a; echo b >&2")
    };
    let (_, out, err) = output(&guest.spawn(&null).expect("allowed"));
    assert_eq!(
        (out.data.len(), out.complete, err.data.as_slice()),
        (0, true, &b"b\n"[..])
    );
}

#[test]
fn nothing_is_inherited() {
    let guest = guest();
    // A descriptor that the embedder leaked: not close-on-exec.
    let leaked = rustix::fs::open(
        "/etc/passwd",
        rustix::fs::OFlags::RDONLY,
        rustix::fs::Mode::empty(),
    )
    .expect("it exists");
    let (_, out, _) = output(&guest.spawn(&Command::new("env")).expect("allowed"));
    let text = String::from_utf8(out.data).expect("text");
    let mut lines: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("TZ="))
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, ["LANG=C.UTF-8"]);
    // The shell looks by itself: listing the directory would open one more.
    let script = "for n in $(seq 0 400); do [ -e /proc/self/fd/$n ] && echo $n; done";
    let (_, out, _) = output(&guest.spawn(&sh(script)).expect("allowed"));
    assert_eq!(numbers(&out.data), [0, 1, 2]);
    drop(leaked);
}

#[test]
fn what_cannot_run_is_a_typed_error_and_starts_nothing() {
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

/// A host on which nothing can be enforced.
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
fn the_default_sandbox_refuses_where_it_is_not_enforced() {
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
    let grants = Grants::from_toml_str(toml, std::path::Path::new("/")).expect("it loads");
    let unconfining = Unconfining(NativeLauncher::new());
    let registry = Registry::builder().launcher(Arc::new(unconfining)).build();
    let guest = registry.expect("a thread").guest(grants.component("c"), "");
    assert!(matches!(
        guest.spawn(&Command::new("true")),
        Err(SpawnError::SandboxUnavailable(_))
    ));
    let child = guest.spawn(&Command::new("open")).expect("written out");
    assert_eq!(ended(&child), ExitStatus::Exited(0));
    // The same grant on this host, which must be able to enforce it.
    let guest = crate::support::registry().guest(grants.component("c"), "");
    let child = guest
        .spawn(&Command::new("true"))
        .expect("this host has Landlock and seccomp");
    assert_eq!(ended(&child), ExitStatus::Exited(0));
}

#[test]
fn a_confined_child_reads_and_writes_what_the_grant_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Children of a root host are nobody's.
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(), all).expect("it is ours");
    let at = |name: &str| folder.path().join(name);
    for name in ["in", "out"] {
        std::fs::create_dir(at(name)).expect("a new folder");
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(at(name), all).expect("it is ours");
        std::fs::write(at(name).join("file"), name).expect("it is ours");
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
    let grants = Grants::from_toml_str(&toml, std::path::Path::new("/")).expect("it loads");
    let guest = crate::support::registry().guest(grants.component("c"), "");
    let inside = format!(
        "cat {0}/file; echo new > {0}/new; cat {0}/new",
        at("in").display()
    );
    let (status, out, err) = output(&guest.spawn(&sh(&inside)).expect("enforced here"));
    assert_eq!(
        (status, out.data.as_slice()),
        (ExitStatus::Exited(0), &b"innew\n"[..]),
        "{err:?}"
    );
    for script in ["cat {0}/file", "echo new > {0}/new"] {
        let script = script.replace("{0}", &at("out").display().to_string());
        let (status, out, _) = output(&guest.spawn(&sh(&script)).expect("enforced here"));
        assert_ne!(status, ExitStatus::Exited(0), "{script}");
        assert_eq!(out.data, b"");
    }
    assert!(!at("out").join("new").exists());
}

#[test]
fn a_pid_is_the_hosts_where_the_grant_discloses_it() {
    // Confined or not: in a namespace of its own a child has another one as well.
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
            let grants = Grants::from_toml_str(&toml, std::path::Path::new("/"));
            let grants = grants.expect("it loads");
            let guest = crate::support::registry().guest(grants.component("c"), "");
            let request = Command {
                stdin: Stdin::Piped,
                ..Command::new("cat")
            };
            let child = guest.spawn(&request).expect("it starts");
            let pid = child.info().pid;
            assert_eq!(pid.is_some(), discloses, "{sandbox}");
            let Some(pid) = pid else { continue };
            // The launch returns as soon as the exec cannot fail any more: a moment before the arguments are there.
            eventually("its arguments", || {
                std::fs::read(format!("/proc/{pid}/cmdline")).expect("it runs") == b"/bin/cat\0"
            });
        }
    }
}

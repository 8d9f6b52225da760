//! Grants and guests for the tests.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use capspawn_native::grant::{Grant, Grants};
use capspawn_native::sandbox::NativeLauncher;
use capspawn_native::{Child, Command, ExitStatus, Guest, Registry, RegistryBuilder};

/// Longer than anything here takes on a slow machine, short enough to fail.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A grant under which `sh` runs any script, with `extra` lines for the component.
pub(crate) fn grant(component: &str, extra: &str) -> Arc<Grant> {
    let toml = format!(
        r#"
        version = 1
        [defaults]
        sandbox = "none"
        [component."{component}"]
        {extra}
        [[component."{component}".command]]
        name = "sh"
        program = "/bin/sh"
        args = ["-c", {{ any = true, allow-dash = true }}]
        interpreter = true
        [[component."{component}".command]]
        name = "cat"
        program = "/bin/cat"
        [[component."{component}".command]]
        name = "env"
        program = "/usr/bin/env"
        "#
    );
    let grants = Grants::from_toml_str(&toml, Path::new("/")).expect("the test's grant loads");
    grants.component(component)
}

/// A registry in the tier that `CAPSPAWN_REQUIRE_TIER` demands, without which nothing starts.
pub(crate) fn builder() -> RegistryBuilder {
    let mut launcher = NativeLauncher::builder();
    if let Ok(tier) = std::env::var("CAPSPAWN_REQUIRE_TIER") {
        launcher = launcher.tier(tier.parse().expect("CAPSPAWN_REQUIRE_TIER is A, B or C"));
    }
    Registry::builder().launcher(Arc::new(launcher.build()))
}

pub(crate) fn registry() -> Registry {
    builder().build().expect("a thread can be had")
}

pub(crate) fn guest() -> Guest {
    registry().guest(grant("test", ""), "")
}

pub(crate) fn sh(script: &str) -> Command {
    Command::new("sh").args(["-c", script])
}

/// Waits for the end, and fails where it does not come.
pub(crate) fn ended(child: &Child) -> ExitStatus {
    child.wait_blocking(Some(PATIENCE)).expect("the child ends")
}

/// Waits until `condition` holds, and fails where it does not.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::yield_now();
    }
}

/// Standard output so far.
pub(crate) fn stdout(child: &Child) -> Vec<u8> {
    child.captured(0, 0).0.data
}

/// Waits for the end and the whole output.
pub(crate) fn output(
    child: &Child,
) -> (
    ExitStatus,
    capspawn_native::Captured,
    capspawn_native::Captured,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(child.output())
}

/// Whether the process `pid` exists and is no zombie.
pub(crate) fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" Z"))
    })
}

/// How many children this process has, zombies included.
pub(crate) fn children() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("proc is there");
    let of_task = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children"));
    let lists = tasks.flatten().filter_map(|task| of_task(task).ok());
    lists.map(|list| list.split_whitespace().count()).sum()
}

/// The numbers that a script printed, one a line.
pub(crate) fn numbers(bytes: &[u8]) -> Vec<u32> {
    let text = String::from_utf8_lossy(bytes);
    text.lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect()
}

/// Runs the test `name` by itself in a process of its own, where no other test
/// opens descriptors or takes memory; says whether this is that process.
pub(crate) fn is_alone(name: &str) -> bool {
    const ALONE: &str = "CAPSPAWN_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let exe = std::env::current_exe().expect("this test is a program");
    let status = std::process::Command::new(exe)
        .args(["--exact", name])
        .env(ALONE, "1")
        .status()
        .expect("it starts");
    assert!(status.success(), "{name} by itself: {status}");
    false
}

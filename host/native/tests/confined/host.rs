//! Hosts in unusual states: what they have closed, what their system denies.

#![allow(
    unsafe_code,
    reason = "closes the standard streams of a process of its own"
)]

use std::os::fd::{FromRawFd, OwnedFd};
use std::process::Command;

use capspawn_native::Stage;
use capspawn_native::launch::Launcher;
use capspawn_native::sandbox::{Confinement, Enforced, Sandbox};

use crate::support::{REQUIRE_TIER, Spec, is_root, launcher};

/// This test's own program, as a process that runs the one test `name` with `variable` set.
fn again(through: &[&str], name: &str, variable: &str) -> Command {
    let own = std::env::current_exe().expect("it is running");
    let own = own.display().to_string();
    let arguments = [own.as_str(), "--exact", name, "--nocapture"];
    let mut words = through.iter().chain(&arguments);
    let mut command = Command::new(words.next().expect("at least the program"));
    command.args(words).env(variable, "1");
    command
}

/// A host without standard streams gets their numbers for what it opens.
#[test]
fn a_host_without_streams_of_its_own_starts_children_too() {
    const NAME: &str = "host::a_host_without_streams_of_its_own_starts_children_too";
    const VARIABLE: &str = "CAPSPAWN_WITHOUT_STREAMS";
    if std::env::var_os(VARIABLE).is_some() {
        for fd in 0..3 {
            // SAFETY: this process ends below and prints nothing meanwhile.
            let stream = unsafe { OwnedFd::from_raw_fd(fd) };
            drop(stream);
        }
        let run = Spec::new("/bin/sh")
            .args(["-c", "read line; echo out"])
            .run();
        std::process::exit(if run.output == "out\n" { 9 } else { 8 });
    }
    let status = again(&[], NAME, VARIABLE).status();
    assert_eq!(status.expect("it starts").code(), Some(9));
}

/// In a process id namespace of its own the sysctl can be set for this one host; that takes root.
#[test]
fn a_host_that_may_not_execute_memory_files_says_which_sysctl_forbids_it() {
    const NAME: &str =
        "host::a_host_that_may_not_execute_memory_files_says_which_sysctl_forbids_it";
    const VARIABLE: &str = "CAPSPAWN_WITHOUT_EXECUTABLE_MEMFD";
    const SYSCTL: &str = "/proc/sys/vm/memfd_noexec";
    if std::env::var_os(VARIABLE).is_some() {
        std::fs::write(SYSCTL, "2").expect("root may set it");
        let error = Spec::new("/bin/true").start().err().expect("no helper");
        assert_eq!(error.stage, Stage::Spawn);
        assert!(error.to_string().contains("vm.memfd_noexec"), "{error}");
        let report = launcher().enforcement(&Confinement::default());
        assert!(!report.admits(Sandbox::Required));
        let named = |level: &Enforced| matches!(level, Enforced::None { hint, .. } if hint.contains("vm.memfd_noexec"));
        assert!(
            report.dimensions().iter().all(|(_, level)| named(level)),
            "{report:?}"
        );
        return;
    }
    if !is_root() || !std::path::Path::new(SYSCTL).exists() {
        return;
    }
    let through = ["unshare", "--pid", "--fork", "--mount-proc"];
    let status = again(&through, NAME, VARIABLE)
        .env_remove(REQUIRE_TIER)
        .status();
    assert!(status.expect("unshare is installed").success());
}

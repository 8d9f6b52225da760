//! The files of a root host's children, which run as users of their owners, and what a report
//! tells of both.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use capspawn_native::launch::{Exit, Launcher, Scope};
use capspawn_native::sandbox::{Confinement, Dimension, Enforced, NativeLauncher, Sandbox, Tier};
use test_kit::{TEST_TIMEOUT, exit_status, is_root, read_until, rerun_through, scratch, test_name};

use crate::fixture::give_to_children;
use crate::host::kernel;
use crate::installed::installed;
use crate::launcher::{OwnScope, launcher, own_launcher, tier};
use crate::owners::{SANDBOXES, end, run, shell, start, user};
use crate::spec::Spec;

/// A folder that the operator has given to the children's user, and to nobody else.
fn given() -> tempfile::TempDir {
    let folder = scratch();
    let owners_only = fs::Permissions::from_mode(0o700);
    fs::set_permissions(folder.path(), owners_only).expect("the test owns it");
    give_to_children(folder.path());
    folder
}

/// Whether the files of a scratch folder can be shown as an owner's: a tmpfs has idmapped mounts from
/// Linux 6.3 on.
fn has_idmapped_mounts(folder: &Path) -> bool {
    let kind = rustix::fs::statfs(folder).expect("it exists").f_type;
    let has = kind != libc::TMPFS_MAGIC || kernel() >= (6, 3);
    if !has {
        println!("the tmpfs of this kernel has no idmapped mounts");
    }
    has
}

#[test]
fn files_in_a_write_root_are_usable_to_later_hosts_and_owners_and_to_the_operator() {
    let write = "umask 077; mkdir d; echo one > d/f; echo one > d/g; echo one > d/h; chmod 600 d/f";
    let change = "set -e; cat d/f; echo two >> d/f; mv d/g d/i; echo two > d/new; mv d/new d/h; \
                  chmod 700 d; touch d/f; cat d/f d/h; rm d/i; ls d";
    for sandbox in SANDBOXES {
        let folder = given();
        let spec = |script: &str| shell(script).home(folder.path()).sandbox(sandbox);
        spec(write).succeed();
        // Another launcher stands for a later host process: it gives out other ids.
        let later = own_launcher();
        let started = spec(change).start_as(&*later, Scope(1)).expect("it starts");
        let run = started.finish();
        assert_eq!(run.exit, Exit::Code(0), "{sandbox}: {}", run.output);
        assert_eq!(run.output, "one\none\ntwo\ntwo\nf\nh\n");
        let other = OwnScope::new();
        let started = start(&spec("cat d/f; rm d/h"), &other).finish();
        assert_eq!(started.output, "one\ntwo\n", "{sandbox}: another owner");
        if is_root() {
            let path = folder.path().join("d/f");
            let found = path.metadata().expect("the host sees it");
            assert_eq!((found.uid(), found.gid()), (65534, 65534), "{sandbox}");
            let as_operator = Command::new("/usr/bin/setpriv")
                .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
                .args(["/bin/sh", "-c", "echo three > d/f && rm -r d"])
                .current_dir(folder.path())
                .status();
            assert!(as_operator.expect("setpriv is installed").success());
        }
    }
}

#[test]
fn git_commits_in_a_write_root_that_belongs_to_the_childrens_user() {
    if installed("git", "git").is_none() {
        return;
    }
    let script = "git init -q . && git config user.email a@b && git config user.name n && \
                  echo x > f && git add f && git commit -qm one && git status --short && \
                  git log --oneline | wc -l";
    for sandbox in SANDBOXES {
        let folder = given();
        let spec = shell(script).home(folder.path()).sandbox(sandbox);
        assert_eq!(spec.succeed().trim(), "1", "{sandbox}");
        // A later owner does not find it of dubious ownership.
        let other = OwnScope::new();
        let spec = shell("git log --oneline | wc -l").home(folder.path());
        assert_eq!(run(&spec.sandbox(sandbox), &other).output.trim(), "1");
    }
}

#[test]
fn a_read_root_that_only_the_childrens_user_may_enter_can_be_read() {
    let folder = given();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).expect("the test may write it");
    for path in [inner.join("f"), inner.clone()] {
        if path != inner {
            fs::write(&path, "read\n").expect("the test may write it");
        }
        let mode = if path == inner { 0o700 } else { 0o600 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is the test's");
        give_to_children(&path);
    }
    let script = format!(
        "cat {}; : > {}",
        inner.join("f").display(),
        inner.join("new").display()
    );
    for (root, sandbox) in [
        (folder.path(), Sandbox::Required),
        (&*inner, Sandbox::Required),
        (&*inner, Sandbox::None),
    ] {
        let run = shell(&script).read(root).sandbox(sandbox).run();
        assert!(run.output.starts_with("read\n"), "{}", run.output);
        let is_written = inner.join("new").exists();
        assert_eq!(is_written, sandbox == Sandbox::None, "{}", run.output);
    }
}

/// The level at which `launcher` keeps owners apart.
fn level(launcher: &NativeLauncher, confinement: &Confinement) -> Enforced {
    let report = launcher.enforcement(confinement);
    let found = report.dimensions().iter();
    let mut found = found.filter(|(name, _)| *name == Dimension::Owners);
    found.next().expect("every dimension is reported").1.clone()
}

#[test]
fn the_report_names_what_owners_share() {
    let folder = given();
    let is_full = |level: Enforced| matches!(level, Enforced::Full { .. });
    for sandbox in SANDBOXES {
        let reading = shell("").sandbox(sandbox).confinement;
        let writing = shell("").home(folder.path()).sandbox(sandbox).confinement;
        assert_eq!(is_full(level(launcher(), &reading)), is_root(), "{sandbox}");
        let has_mounts = tier() == Tier::A && sandbox == Sandbox::Required;
        let expected = is_root() && has_mounts && has_idmapped_mounts(folder.path());
        assert_eq!(is_full(level(launcher(), &writing)), expected, "{sandbox}");
        if is_root() {
            let one = NativeLauncher::builder().run_as(65534, 65534).build();
            assert!(!is_full(level(&one, &reading)), "{sandbox}");
        }
        let report = launcher().enforcement(&writing);
        assert!(report.admits(sandbox), "{}", report.unmet());
    }
}

#[test]
fn the_report_lists_the_volume_of_write_roots_and_required_does_not_demand_it() {
    let folder = given();
    let level = |confinement: &Confinement| {
        let report = launcher().enforcement(confinement);
        assert!(report.admits(Sandbox::Required), "{}", report.unmet());
        let mut all = report.dimensions().iter();
        let found = all.find(|(name, _)| *name == Dimension::WriteVolume);
        found.expect("it is reported").1.clone()
    };
    let reading = level(&shell("").confinement);
    assert!(matches!(reading, Enforced::Full { .. }), "{reading:?}");
    let writing = level(&shell("").home(folder.path()).confinement);
    assert!(matches!(writing, Enforced::None { .. }), "{writing:?}");
}

#[test]
fn a_private_tmp_bounds_bytes_and_files() {
    if tier() != Tier::A {
        return;
    }
    let mut spec = shell(
        "i=0; while true > /tmp/$i; do i=$((i+1)); done 2>/dev/null; echo $i; \
         rm -r /tmp/*; head -c 2M /dev/zero > /tmp/all; stat -c %s /tmp/all",
    );
    spec.limits.tmpfs_bytes = 1 << 20;
    let output = spec.run().output;
    let numbers: Vec<u64> = output
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect();
    let [files, bytes] = numbers[..] else {
        panic!("{output}")
    };
    assert!((512..=1024).contains(&files), "{output}");
    assert_eq!(bytes, 1 << 20, "{output}");
}

/// On machines whose mounts are shared, as with systemd.
#[test]
fn what_a_session_mounts_on_an_owners_root_does_not_appear_in_the_host() {
    const VARIABLE: &str = "CAPSPAWN_SHARED_MOUNTS";
    if !is_root() || tier() != Tier::A {
        return;
    }
    if std::env::var_os(VARIABLE).is_none() {
        let through = ["unshare", "--mount", "--propagation", "shared"];
        let mut command = rerun_through(&through, test_name!());
        assert!(exit_status(command.env(VARIABLE, "1"), TEST_TIMEOUT).success());
        return;
    }
    let mounts = || fs::read_to_string("/proc/self/mountinfo").expect("a /proc");
    let before = mounts();
    assert!(before.contains("shared:"), "{before}");
    let folder = given();
    if !has_idmapped_mounts(folder.path()) {
        return;
    }
    fs::write(folder.path().join("denied"), "secret").expect("the test may write it");
    let mut spec = shell("cat denied; echo x > f; sleep 600").home(folder.path());
    let denied = folder.path().join("denied");
    spec.confinement.fs.deny.push(denied.into());
    let mut started = spec.start().expect("it starts");
    let refusal = read_until(&mut started.output, "ermission denied");
    assert!(!refusal.contains("secret"), "{refusal}");
    assert_ne!(user(started.process.pid()), 65534);
    assert_eq!(mounts(), before);
    let denied = fs::read_to_string(folder.path().join("denied"));
    assert_eq!(denied.expect("it is the host's"), "secret");
    end(started);
}

/// Where a file system has no idmapped mounts.
#[test]
fn a_write_root_that_cannot_be_shown_as_an_owners_is_written_as_the_common_user() {
    const VARIABLE: &str = "CAPSPAWN_OVERLAY";
    if !is_root() || tier() != Tier::A {
        return;
    }
    if std::env::var_os(VARIABLE).is_none() {
        let mut command = rerun_through(&["unshare", "--mount"], test_name!());
        assert!(exit_status(command.env(VARIABLE, "1"), TEST_TIMEOUT).success());
        return;
    }
    let outside = scratch();
    let mount = |kind: &str, options: &str, at: &Path| {
        let mut command = Command::new("/bin/mount");
        command.args(["-t", kind, "-o", options, "none"]).arg(at);
        command.status().expect("mount is installed").success()
    };
    assert!(mount("tmpfs", "mode=755", outside.path()));
    let [lower, upper, work, root] = ["lower", "upper", "work", "root"].map(|name| {
        let path = outside.path().join(name);
        fs::create_dir(&path).expect("a new file system");
        path
    });
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.display(),
        work.display()
    );
    if !mount("overlay", &options, &root) {
        println!("skipped: this kernel has no overlayfs");
        return;
    }
    give_to_children(&root);
    let spec = shell("echo x > f && cat f").home(&root);
    let shared = level(launcher(), &spec.confinement);
    assert!(matches!(shared, Enforced::Partial { .. }), "{shared:?}");
    assert_eq!(spec.succeed(), "x\n");
    let sleeper = start(
        &Spec::new("/bin/sleep").args(["600"]).home(&root),
        &OwnScope::new(),
    );
    assert_eq!(user(sleeper.process.pid()), 65534);
    end(sleeper);
}

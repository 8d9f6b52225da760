//! What the children of different owners of a root host share, and what they do not.
//!
//! The owners are guests of the shared launcher, which it treats as owners of their own.
//! Children of an unprivileged host run as the host's user, whatever their owner is.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use capspawn_native::launch::{Exit, Launcher, OwnerUids, Scope};
use capspawn_native::sandbox::{Confinement, Dimension, Enforced, NativeLauncher, Sandbox, Tier};
use capspawn_native::{LaunchError, Signal, Stage};
use libc::{EACCES, EPERM};
use test_kit::{
    TEST_TIMEOUT, comes_true, eventually, exit_status, is_root, read_until, rerun_through, scratch,
    test_name, with_argument,
};

use crate::attempt::{Attempt, Outcome};
use crate::fixture::give_to_children;
use crate::installed::installed;
use crate::launcher::{OwnScope, launcher, own_launcher, tier};
use crate::processes::{ENVIRONMENT, SIGNAL, TRACE, may_trace};
use crate::spec::{Run, Spec, Started};

const SANDBOXES: [Sandbox; 2] = [Sandbox::Required, Sandbox::None];

fn shell(script: &str) -> Spec {
    Spec::new("/bin/sh").args(["-c", script])
}

fn python(script: &str) -> Spec {
    let mut spec = Spec::new("/usr/bin/python3").args(["-c", script]);
    spec.limits.open_files = Some(64);
    spec
}

fn start(spec: &Spec, owner: &OwnScope) -> Started {
    let started = spec.start_as(launcher(), owner.0);
    started.unwrap_or_else(|error| panic!("{}: {error}", spec.program.display()))
}

fn run(spec: &Spec, owner: &OwnScope) -> Run {
    start(spec, owner).finish()
}

fn end(started: Started) {
    started.process.signal(Signal::Kill).expect("it is a child");
    started.finish();
}

/// The user of a process, as the host sees it.
fn user(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("Uid:"));
    let uid = line.and_then(|line| line.split_whitespace().nth(1));
    uid.and_then(|uid| uid.parse().ok()).expect("a user")
}

#[test]
fn an_unconfined_child_of_one_owner_can_neither_signal_nor_read_nor_trace_anothers() {
    if !is_root() {
        return;
    }
    let (one, other) = (OwnScope::new(), OwnScope::new());
    let sleeper = Spec::new("/bin/sleep").args(["600"]);
    for sandbox in SANDBOXES {
        let victim = start(&sleeper.clone().sandbox(sandbox), &one);
        let pid = victim.process.pid();
        let attacks: &[(Attempt, i32)] = match may_trace() {
            true => &[(SIGNAL, EPERM), (ENVIRONMENT, EACCES), (TRACE, EPERM)],
            false => &[(SIGNAL, EPERM), (ENVIRONMENT, EACCES)],
        };
        for (attack, errno) in attacks {
            let attack = attack.spec().at_process(pid).sandbox(Sandbox::None);
            let found = run(&attack, &other);
            assert_eq!(found.outcome(), Some(Outcome::Fails(*errno)), "{found}");
            // Only the owner's user keeps the other one out. Another child of the same owner may; a
            // confined process is of a user namespace of its own, or of a Landlock domain.
            let found = run(&attack, &one);
            if sandbox == Sandbox::None {
                assert_eq!(found.outcome(), Some(Outcome::Succeeds), "{found}");
            }
        }
        end(victim);
    }
}

#[test]
fn an_unconfined_child_cannot_signal_the_server_and_the_pid_1_of_anothers_session() {
    if !is_root() || tier() != Tier::A {
        return;
    }
    let (one, other) = (OwnScope::new(), OwnScope::new());
    let victim = start(&Spec::new("/bin/sleep").args(["600"]), &one);
    let owners = user(victim.process.pid());
    let processes = fs::read_dir("/proc").expect("a /proc").filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.parse::<u32>().ok()
    });
    let is_owners = |pid: &u32| {
        let path = format!("/proc/{pid}/status");
        fs::read_to_string(path).is_ok() && user(*pid) == owners
    };
    let all: Vec<_> = processes.filter(is_owners).collect();
    assert_eq!(all.len(), 3, "the server, pid 1 and the child");
    for pid in all {
        let attack = SIGNAL.spec().at_process(pid).sandbox(Sandbox::None);
        let found = run(&attack, &other);
        assert_eq!(found.outcome(), Some(Outcome::Fails(EPERM)), "{found}");
        let found = run(&attack, &one);
        assert_eq!(found.outcome(), Some(Outcome::Succeeds), "{found}");
    }
    end(victim);
}

/// Makes inotify instances until the kernel refuses one, and keeps them.
const ALL_INSTANCES: &str = "
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
while libc.inotify_init() >= 0: pass
print('full', flush=True)
time.sleep(600)";

const ONE_INSTANCE: &str = "
import ctypes
print(ctypes.CDLL(None).inotify_init() >= 0)";

#[test]
fn one_owner_cannot_use_up_the_inotify_instances_of_another() {
    if !is_root() {
        return;
    }
    let (one, other) = (OwnScope::new(), OwnScope::new());
    for sandbox in SANDBOXES {
        let mut all = python(ALL_INSTANCES).sandbox(sandbox);
        all.limits.open_files = Some(4096);
        let mut holder = start(&all, &one);
        read_until(&mut holder.output, "full");
        let one_more = python(ONE_INSTANCE).sandbox(sandbox);
        assert_eq!(run(&one_more, &one).output, "False\n", "{sandbox}");
        assert_eq!(run(&one_more, &other).output, "True\n", "{sandbox}");
        end(holder);
    }
}

/// Sends descriptors that nobody receives until the kernel refuses more, and keeps them.
const ALL_IN_FLIGHT: &str = "
import array, errno, os, socket, time
ends = [socket.socketpair() for _ in range(20)]
def send(end):
    end.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0] * 50))], socket.MSG_DONTWAIT)
try:
    for a, b in ends:
        for _ in range(4): send(a)
except OSError as error: assert error.errno == errno.ETOOMANYREFS, error
print('full', flush=True)
time.sleep(600)";

const ONE_IN_FLIGHT: &str = "
import array, socket
a, b = socket.socketpair()
try: a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0]))]); print(True)
except OSError as error: print(error)";

#[test]
fn one_owner_cannot_use_up_the_descriptors_in_flight_of_another() {
    if !is_root() {
        return;
    }
    let (one, other) = (OwnScope::new(), OwnScope::new());
    for sandbox in SANDBOXES {
        let mut holder = start(&python(ALL_IN_FLIGHT).sandbox(sandbox), &one);
        read_until(&mut holder.output, "full");
        let one_more = python(ONE_IN_FLIGHT).sandbox(sandbox);
        let refused = run(&one_more, &one).output;
        assert!(refused.contains("Too many references"), "{refused}");
        assert_eq!(run(&one_more, &other).output, "True\n", "{sandbox}");
        end(holder);
    }
}

/// A folder that the operator has given to the children's user, and to nobody else.
fn given() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = scratch();
    let owners_only = fs::Permissions::from_mode(0o700);
    fs::set_permissions(folder.path(), owners_only).expect("the test owns it");
    give_to_children(folder.path());
    folder
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
        use std::os::unix::fs::PermissionsExt as _;
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
        let expected = is_root() && has_mounts;
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

fn launcher_with(first: u32, last: u32) -> NativeLauncher {
    let uids = OwnerUids::new(first, last).expect("a range");
    let launcher = NativeLauncher::builder().owner_uids(uids);
    launcher.tier(tier()).build()
}

#[test]
fn more_owners_than_ids_are_refused_until_one_is_gone() {
    if !is_root() {
        return;
    }
    let is_shortage = |error: &LaunchError| {
        error.stage == Stage::Identity && error.source.raw_os_error() == Some(libc::EAGAIN)
    };
    for (sandbox, first) in SANDBOXES.into_iter().zip([1_800_000_000, 1_800_000_002]) {
        let launcher = launcher_with(first, first + 1);
        let id = Spec::new("/bin/sleep").args(["600"]).sandbox(sandbox);
        let start = |scope| id.start_as(&launcher, Scope(scope));
        let (one, two) = (start(1).expect("one"), start(2).expect("two"));
        let users = [&one, &two].map(|child| user(child.process.pid()));
        assert_ne!(users[0], users[1]);
        assert!(users.iter().all(|user| [first, first + 1].contains(user)));
        let error = start(3).err().expect("there are two ids");
        assert!(is_shortage(&error), "{error}");
        let again = start(1).expect("that owner has an id");
        assert_eq!(user(again.process.pid()), users[0]);
        end(again);
        // The guest is gone, and its child runs: a detached one.
        launcher.close(Scope(1));
        assert!(start(3).is_err());
        end(one);
        let mut third = None;
        eventually("the id is free", || {
            third = start(3).ok();
            third.is_some()
        });
        end(third.expect("it started"));
        end(two);
        let close = |scopes: [u64; 2]| scopes.into_iter().for_each(|it| launcher.close(Scope(it)));
        close([2, 3]);
        // Sessions end on a thread of their own.
        eventually("both are free", || {
            let both = [4, 5].map(|scope| start(scope).ok());
            let started = both.iter().all(Option::is_some);
            both.into_iter().flatten().for_each(end);
            close([4, 5]);
            started
        });
    }
}

/// Processes with an argument of their own, which end with this value.
struct Left(String);

impl Drop for Left {
    fn drop(&mut self) {
        for pid in with_argument(&self.0) {
            let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a process");
            // One that has ended meanwhile is no failure.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

#[test]
fn an_id_is_not_given_out_while_a_process_that_left_its_tree_has_it() {
    if !is_root() {
        return;
    }
    let left = Left(format!("18{:08}", std::process::id()));
    let launcher = launcher_with(1_800_000_010, 1_800_000_010);
    let leaver = shell(&format!("setsid sleep {} >/dev/null 2>&1 & echo", left.0));
    let leaver = leaver.sandbox(Sandbox::None);
    let started = leaver.start_as(&launcher, Scope(1)).expect("it starts");
    eventually("it has left", || !with_argument(&left.0).is_empty());
    assert_eq!(started.finish().exit, Exit::Code(0));
    launcher.close(Scope(1));
    let next = Spec::new("/bin/true").sandbox(Sandbox::None);
    let start = || next.start_as(&launcher, Scope(2));
    assert!(start().is_err(), "a process has the only id");
    drop(left);
    assert!(comes_true(|| start().map(Started::finish).is_ok()));
}

//! Children in cgroups, in the tiers A and B, where this machine lets the tests make cgroups.

use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use super::Cgroups;
use super::directory::Directory;
use super::mounted::Mounted;
use crate::confinement::{Confinement, FsRoot, FsRules, Sandbox, Tier};
use crate::launch::{
    ChildStdio, Exit, Identity, Launcher, Plan, Process, Program, Scope, WorkingDirectory,
};
use crate::limits::Limits;
use crate::sandbox::NativeLauncher;

/// Returns the cgroups of this machine; none, with the reason, where there are none.
fn cgroups() -> Option<Cgroups> {
    let cgroups = Cgroups::default();
    match cgroups.controllers() {
        Ok(controllers) if controllers.memory && controllers.tasks && controllers.cpu => {
            Some(cgroups)
        }
        other => {
            println!("skipped: cgroups with these controllers: {other:?}");
            None
        }
    }
}

/// Returns the cgroup of this process in which its host's directory is.
fn parent() -> Option<PathBuf> {
    let mounted = Mounted::all().expect("a /proc");
    // With version 2 the host may have moved into a cgroup below the one in which its directory is.
    let parents = mounted.into_iter().flat_map(|mounted| {
        let above = mounted.own.parent().map(PathBuf::from);
        [Some(mounted.own), above].into_iter().flatten()
    });
    let prefix = format!("capspawn-{}-", std::process::id());
    let holds_own = |parent: &PathBuf| {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name());
        names
            .into_iter()
            .any(|name| name.as_encoded_bytes().starts_with(prefix.as_bytes()))
    };
    parents.into_iter().find(holds_own)
}

fn plan(text: &str, limits: Limits) -> Plan {
    let root = |path| FsRoot::resolve(path).expect("it exists");
    let read = ["/usr", "/bin", "/lib", "/lib64"].map(root).into();
    let program = Program::open("/bin/sh").expect("it exists");
    let cwd = WorkingDirectory::open("/").expect("it exists");
    let plan = Plan::new("sh", program, cwd);
    Plan {
        argv: vec!["sh".into(), "-c".into(), text.into()],
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        limits,
        confinement: Arc::new(Confinement {
            fs: FsRules {
                read,
                ..FsRules::default()
            },
            sandbox: Sandbox::BestEffort,
            ..Confinement::default()
        }),
        ..plan
    }
}

fn limits(memory_bytes: u64) -> Limits {
    Limits {
        memory_bytes: Some(memory_bytes),
        ..Limits::default()
    }
}

/// Runs `f` with a launcher of each tier.
fn in_both_tiers(f: impl Fn(&NativeLauncher)) {
    for tier in [Tier::A, Tier::B] {
        println!("tier {tier:?}");
        f(&NativeLauncher::builder().tier(tier).build());
    }
}

fn start(launcher: &NativeLauncher, plan: &Plan) -> Box<dyn Process> {
    let started = launcher.launch(Scope(0), plan, ChildStdio::default());
    started.expect("it starts")
}

/// Waits for the leader's end, without reaping it.
fn exit(process: &dyn Process) -> Exit {
    use rustix::event::{PollFd, PollFlags, poll};
    let fd = process.exit_fd();
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], None).expect("it can be polled");
    process.try_exit().expect("a state").expect("it has ended")
}

#[test]
fn a_child_is_counted_from_before_it_executes() {
    if cgroups().is_none() {
        return;
    }
    in_both_tiers(|launcher| {
        let plan = plan("(exit 0); (exit 0); exit 3", limits(64 << 20));
        let child = start(launcher, &plan);
        assert_eq!(exit(&*child), Exit::Code(3));
        let counters = child.counters();
        assert_eq!(counters.usage.peak_tasks, Some(2));
        assert!(counters.tasks_enforced && !counters.out_of_memory);
        let memory = counters.usage.peak_memory_bytes.expect("it is counted");
        assert!((1..64 << 20).contains(&memory), "{memory}");
        assert!(counters.usage.cpu.is_some_and(|cpu| !cpu.is_zero()));
        child.reap().expect("it has ended");
    });
}

/// Python that holds 64 MiB which no resident page of a process shows.
const HIDDEN: &str = "import mmap\n\
    for _ in range(4):\n \
    \u{20}m = mmap.mmap(-1, 16 << 20)\n \
    \u{20}for o in range(0, len(m), 4096): m[o] = 1\n \
    \u{20}m.madvise(mmap.MADV_DONTNEED)\n \
    \u{20}globals().setdefault('kept', []).append(m)\n\
    print('held')\n";

#[test]
fn the_kernel_ends_a_tree_at_its_memory_limit() {
    if cgroups().is_none() {
        return;
    }
    in_both_tiers(|launcher| {
        for (bytes, expected) in [(256 << 20, Exit::Code(0)), (48 << 20, Exit::Signal(9))] {
            let mut hidden = plan("exec /usr/bin/python3 -ISc \"$0\"", limits(bytes));
            hidden.argv.push(HIDDEN.into());
            let child = start(launcher, &hidden);
            assert_eq!(exit(&*child), expected, "{bytes} bytes");
            let counters = child.counters();
            assert_eq!(counters.out_of_memory, expected != Exit::Code(0));
            let peak = counters.usage.peak_memory_bytes.expect("it is counted");
            assert!(peak > 40 << 20 && peak <= bytes, "{peak} of {bytes}");
            child.reap().expect("it has ended");
        }
    });
}

#[test]
fn pages_of_files_are_given_up_before_a_tree_is_ended() {
    if cgroups().is_none() {
        return;
    }
    let folder = tempfile::tempdir_in("/var/tmp").expect("a directory");
    let kind = rustix::fs::statfs(folder.path()).expect("it exists").f_type;
    if [libc::TMPFS_MAGIC, libc::OVERLAYFS_SUPER_MAGIC].contains(&kind) {
        println!("not shown: the files of this directory may be in memory alone");
        return;
    }
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(), open).expect("its mode");
    in_both_tiers(|launcher| {
        let text = "dd if=/dev/zero of=f bs=1M count=100 2>/dev/null && exec cat f > /dev/null";
        let mut files = plan(text, limits(24 << 20));
        let mut confinement = Confinement::clone(&files.confinement);
        let root = FsRoot::resolve(folder.path()).expect("it exists");
        confinement.fs.write.push(root);
        files.confinement = Arc::new(confinement);
        files.limits.file_size_bytes = None;
        files.cwd = WorkingDirectory::open(folder.path()).expect("it exists");
        files.cwd.named = true;
        let child = start(launcher, &files);
        assert_eq!(exit(&*child), Exit::Code(0));
        assert!(!child.counters().out_of_memory);
        child.reap().expect("it has ended");
    });
}

/// Whether the kernel can forget how much memory a cgroup has used at most. In version 2 it can from
/// Linux 6.12 on.
fn forgets_peaks() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a /proc");
    let mut numbers = release.split('.').map_while(|it| it.parse::<u32>().ok());
    let version = (numbers.next(), numbers.next());
    let has_version_1 = Mounted::all()
        .expect("a /proc")
        .iter()
        .any(|it| it.has_v1("memory"));
    has_version_1 || version >= (Some(6), Some(12))
}

#[test]
fn an_empty_cgroup_is_used_again_and_one_that_had_more_tasks_is_not() {
    let Some(cgroups) = cgroups() else { return };
    let assign = || {
        let assigned = cgroups.assign(&limits(64 << 20), Identity::host(), true);
        assigned.expect("it can be made").expect("there are some")
    };
    let (first, second) = (assign(), assign());
    let [one, two] = [&first, &second].map(|leaf| leaf.name().to_string());
    assert_ne!(one, two);
    first.counters();
    drop(first);
    let again = assign();
    if !forgets_peaks() {
        println!("a cgroup whose peak the kernel does not forget is not used again");
        assert!(again.name() != one && again.name() != two);
        return;
    }
    assert_eq!(again.name(), one);
    assert_eq!(
        again.counters().usage.cpu.map(|cpu| cpu.as_nanos()),
        Some(0)
    );
    drop((again, second));
    drop(cgroups);
    let launcher = NativeLauncher::builder().tier(Tier::B).build();
    for (text, expected) in [("exec true", 1), ("(exit 0); exit 0", 2), ("exec true", 1)] {
        let child = start(&launcher, &plan(text, limits(64 << 20)));
        assert_eq!(exit(&*child), Exit::Code(0));
        assert_eq!(child.counters().usage.peak_tasks, Some(expected), "{text}");
        child.reap().expect("it has ended");
    }
}

#[test]
fn a_directory_goes_with_its_host_or_with_the_next_one() {
    let Some(_cgroups) = cgroups() else { return };
    let parent = parent().expect("the host has made its directory there");
    let abandoned = parent.join("capspawn-4194305-0");
    std::fs::create_dir_all(abandoned.join("7")).expect("it can be made");
    let alive = parent.join("capspawn-4194306-0");
    std::fs::create_dir(&alive).expect("it can be made");
    let lock = std::fs::File::open(&alive).expect("it exists");
    flock(&lock, FlockOperation::LockExclusive).expect("nobody else has locked it");
    let made = Directory::make(&parent).expect("it can be made");
    assert!(!abandoned.exists());
    assert!(alive.exists());
    std::fs::remove_dir(&alive).expect("it is empty");
    let path = parent.join(made.name());
    assert!(path.exists());
    drop(made);
    assert!(!path.exists());
}

/// With version 2 the first moves the host into a cgroup of its own, where the second finds it.
#[test]
fn two_launchers_of_one_process_have_cgroups_at_the_same_time() {
    if cgroups().is_none() {
        return;
    }
    let is_counted = |child: &dyn Process| {
        let counters = child.counters();
        counters.tasks_enforced && counters.usage.peak_tasks == Some(1)
    };
    let waits = plan("read line; exit 3", limits(64 << 20));
    let endless = plan("exec sleep 600", limits(64 << 20));
    let launcher = || NativeLauncher::builder().tier(Tier::B).build();
    let (first, second) = (launcher(), launcher());
    let held = start(&second, &endless);
    for _ in 0..3 {
        let child = start(&first, &waits);
        assert_eq!(exit(&*child), Exit::Code(3));
        assert!(is_counted(&*child) && is_counted(&*held));
        child.reap().expect("it has ended");
    }
    // The one that came first goes first, while the other has a child.
    drop(first);
    assert!(is_counted(&*held));
    let child = start(&second, &waits);
    assert_eq!(exit(&*child), Exit::Code(3));
    assert!(is_counted(&*child));
    child.reap().expect("it has ended");
    let third = launcher();
    let child = start(&third, &waits);
    assert_eq!(exit(&*child), Exit::Code(3));
    assert!(is_counted(&*child));
    child.reap().expect("it has ended");
    held.signal_tree(crate::Signal::Kill).expect("it runs");
    assert_eq!(exit(&*held), Exit::Signal(9));
    held.reap().expect("it has ended");
}

#[test]
fn a_launcher_without_cgroups_has_no_counters_of_the_kernel() {
    for (without, is_counted) in [(false, cgroups().is_some()), (true, false)] {
        let builder = NativeLauncher::builder().tier(Tier::B);
        let launcher = match without {
            true => builder.without_cgroups().build(),
            false => builder.build(),
        };
        let child = start(&launcher, &plan("exit 0", limits(64 << 20)));
        assert_eq!(exit(&*child), Exit::Code(0));
        let counters = child.counters();
        assert_eq!(counters.tasks_enforced, is_counted);
        assert_eq!(counters.usage.peak_memory_bytes.is_some(), is_counted);
        child.reap().expect("it has ended");
    }
}

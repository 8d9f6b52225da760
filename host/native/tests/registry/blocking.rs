//! What may block does not hold up an async caller, and a wait that is due needs no timer.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use capspawn_native::confinement::{Confinement, Enforcement};
use capspawn_native::launch::{ChildStdio, LaunchError, Launcher, Plan, Process, Scope};
use capspawn_native::limits::MAX_DECISIONS_PER_OWNER;
use capspawn_native::sandbox::NativeLauncher;
use capspawn_native::{
    Child, Command, EventKind, ExitStatus, Quota, Registry, RegistryBuilder, SpawnError, Stdin,
};
use parking_lot::Mutex;

use crate::support::*;

/// A launcher whose launches of [`HANGS`] wait, one after another, until each is released.
#[derive(Debug)]
struct Hanging {
    native: NativeLauncher,
    released: Mutex<Receiver<()>>,
}

impl Launcher for Hanging {
    fn enforcement(&self, confinement: &Confinement) -> Arc<Enforcement> {
        self.native.enforcement(confinement)
    }

    fn launch(
        &self,
        scope: Scope,
        plan: &Plan,
        stdio: ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError> {
        if plan.argv.iter().any(|argument| argument == HANGS) {
            let _ = self.released.lock().recv();
        }
        self.native.launch(scope, plan, stdio)
    }
}

/// The script whose launch hangs.
const HANGS: &str = "read line; exit 3";

/// A registry in which each launch of [`HANGS`] waits until something is sent, or the sender is dropped.
fn hanging() -> (Registry, mpsc::Sender<()>) {
    hanging_in(Registry::builder())
}

fn hanging_in(builder: RegistryBuilder) -> (Registry, mpsc::Sender<()>) {
    let (release, released) = mpsc::channel();
    let launcher = Hanging {
        native: NativeLauncher::new(),
        released: Mutex::new(released),
    };
    let registry = build(builder.launcher(Arc::new(launcher)));
    (registry, release)
}

type Spawning<'a> = Pin<Box<dyn Future<Output = Result<Child, SpawnError>> + 'a>>;

/// Polls `spawning` once.
fn poll_once(spawning: &mut Spawning<'_>) -> Poll<Result<Child, SpawnError>> {
    spawning
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_launch_that_hangs_leaves_a_runtime_of_one_thread_to_others() {
    let (registry, release) = hanging();
    let [first, second] = ["one", "two"].map(|name| registry.guest(grant(name, ""), ""));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let request = sh(HANGS);
        let mut hangs = pin!(first.spawn_with_approval(&request));
        tokio::select! {
            biased;
            _ = &mut hangs => panic!("nobody has released it"),
            // Timers run, and so does another guest.
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
        let request = sh("exit 4");
        let child = second.spawn_with_approval(&request).await;
        let status = child.expect("it starts").wait(None).await;
        assert_eq!(status, Some(ExitStatus::Exited(4)));
        release.send(()).expect("it waits");
        let child = hangs.await.expect("it starts");
        assert_eq!(child.wait(None).await, Some(ExitStatus::Exited(3)));
    });
}

#[test]
fn a_launch_that_nobody_waits_for_any_more_leaves_no_child() {
    let (registry, release) = hanging();
    let guest = registry.guest(grant("test", ""), "");
    {
        let request = sh(HANGS);
        let mut context = Context::from_waker(Waker::noop());
        let hangs = pin!(guest.spawn_with_approval(&request));
        assert!(matches!(hangs.poll(&mut context), Poll::Pending));
    }
    // The guest is gone too, before its child has started.
    drop(guest);
    release.send(()).expect("it waits");
    eventually("the end of the child", || registry.is_empty());
    assert!(registry.shutdown(TEST_TIMEOUT));
}

#[test]
fn a_wait_that_is_due_returns_at_the_first_poll() {
    let guest = guest();
    let child = guest.spawn(&sh("exec sleep 600")).expect("it starts");
    let mut context = Context::from_waker(Waker::noop());
    let mut poll = |timeout| pin!(child.wait(timeout)).poll(&mut context);
    assert_eq!(poll(Some(Duration::ZERO)), Poll::Ready(None));
    let hour = Some(Duration::from_secs(3600));
    assert!(poll(hour).is_pending(), "it runs");
    child.kill(Duration::ZERO);
    ended(&child);
    for timeout in [Some(Duration::ZERO), hour, None] {
        assert!(poll(timeout).is_ready(), "{timeout:?}");
    }
}

/// 16 links that each lead up and down 700 times, and thousands of such paths.
#[test]
fn a_request_of_many_paths_through_links_is_decided_or_refused() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().canonicalize().expect("it exists");
    std::fs::create_dir(path.join("d")).expect("an empty folder");
    for number in 0..15 {
        let target = format!("{}l{}", "d/../".repeat(700), number + 1);
        symlink(target, path.join(format!("l{number}"))).expect("a new name");
    }
    symlink("d", path.join("l15")).expect("a new name");
    let grants = load(&format!(
        r#"
        version = 1
        [[component.test.command]]
        name = "true"
        program = "/bin/true"
        sandbox = "none"
        fs = {{ read = ["{0}"] }}
        cwd = {{ default = "{0}", roots = ["{0}"] }}
        args = [{{ path = {{ under = ["{0}"] }}, repeat = "1.." }}]
        "#,
        path.display()
    ));
    let guest = registry().guest(grants.component("test"), "");
    // One such path, however often, costs what one path costs.
    let same = Command::new("true").args(vec!["l0/x"; 30_000]);
    ended(&guest.spawn(&same).expect("the path is below the root"));
    // Each of these leads through two other places.
    let others = (0..60_000).map(|number| format!("{number}/x"));
    match guest.spawn(&Command::new("true").args(others)) {
        Err(SpawnError::TooManyLookups | SpawnError::Shortage(_)) => {}
        other => panic!("it takes more than 65,536 look-ups: {other:?}"),
    }
    let few = (0..1000).map(|number| format!("d/{number}"));
    ended(
        &guest
            .spawn(&Command::new("true").args(few))
            .expect("below the root"),
    );
}

/// 64 requests of 16 MiB were a gigabyte of the host's memory.
#[test]
fn requests_that_wait_for_a_thread_are_charged_to_their_owner() {
    const MIB: usize = 1 << 20;
    let (registry, release) = hanging();
    let guest = registry.guest(grant("test", "max-held-memory = \"4MiB\""), "");
    let request = Command {
        stdin: Stdin::Bytes(vec![0; 3 * MIB].into()),
        ..sh(HANGS)
    };
    let mut first: Spawning = Box::pin(guest.spawn_with_approval(&request));
    assert!(poll_once(&mut first).is_pending());
    assert!(registry.holdings("test", "").bytes >= 3 * MIB);
    let mut second: Spawning = Box::pin(guest.spawn_with_approval(&request));
    match poll_once(&mut second) {
        Poll::Ready(Err(SpawnError::Quota(Quota::HeldMemory))) => {}
        other => panic!("it does not fit beside the first: {other:?}"),
    }
    // A small one does.
    let small = sh("exit 0");
    let child = bare_runtime().block_on(guest.spawn_with_approval(&small));
    assert_eq!(ended(&child.expect("it fits")), ExitStatus::Exited(0));
    drop(release);
    // The child is charged for the same bytes, once.
    let child = bare_runtime().block_on(first).expect("it starts");
    assert!(registry.holdings("test", "").bytes < 4 * MIB);
    drop(child);
    drop(second);
    eventually("nothing held", || registry.holdings("test", "").bytes == 0);
}

#[test]
fn a_request_that_waits_makes_room_as_its_start_does() {
    let registry = registry();
    let guest = registry.guest(grant("test", "max-held-memory = \"1MiB\""), "");
    let old = guest.spawn(&sh("head -c 900000 /dev/zero")).expect("room");
    let (_, out, _) = output(&old);
    assert_eq!(out.data.len(), 900_000);
    let request = Command {
        stdin: Stdin::Bytes(vec![0; 500_000].into()),
        ..sh("exit 5")
    };
    let child = bare_runtime().block_on(guest.spawn_with_approval(&request));
    assert_eq!(
        ended(&child.expect("the old one makes room")),
        ExitStatus::Exited(5)
    );
}

#[test]
fn an_owner_whose_launches_hang_takes_so_many_threads_and_no_more() {
    let (registry, release) = hanging();
    let [first, second] = ["one", "two"].map(|name| registry.guest(grant(name, ""), ""));
    let request = sh(HANGS);
    let mut hanging: Vec<Spawning> = (0..MAX_DECISIONS_PER_OWNER)
        .map(|_| Box::pin(first.spawn_with_approval(&request)) as Spawning)
        .collect();
    for spawning in &mut hanging {
        assert!(poll_once(spawning).is_pending());
    }
    let quick = sh("exit 4");
    let mut waits: Spawning = Box::pin(first.spawn_with_approval(&quick));
    assert!(poll_once(&mut waits).is_pending());
    // Another owner is served.
    let other = bare_runtime().block_on(second.spawn_with_approval(&quick));
    assert_eq!(ended(&other.expect("it starts")), ExitStatus::Exited(4));
    assert!(poll_once(&mut waits).is_pending(), "all its threads hang");
    // One that ends leaves its thread to the next.
    release.send(()).expect("they wait");
    let child = bare_runtime().block_on(waits).expect("it starts");
    assert_eq!(ended(&child), ExitStatus::Exited(4));
    drop(release);
    for spawning in hanging {
        drop(bare_runtime().block_on(spawning).expect("it starts"));
    }
}

#[test]
fn a_refusal_that_nobody_waits_for_any_more_is_an_event() {
    let (sender, events) = mpsc::channel();
    let sender = Mutex::new(sender);
    let (registry, release) = hanging_in(Registry::builder().on_event(move |event| {
        let _ = sender.lock().send(event.clone());
    }));
    let guest = registry.guest(grant("test", ""), "");
    // It waits for a thread behind others, and its program is not granted.
    let (request, denied) = (sh(HANGS), Command::new("absent"));
    {
        let mut spawning: Spawning = Box::pin(guest.spawn_with_approval(&denied));
        assert!(poll_once(&mut spawning).is_pending());
    }
    let event = events.recv_timeout(TEST_TIMEOUT).expect("an event");
    assert!(matches!(event.kind, EventKind::Denied { .. }), "{event:?}");
    // One that is waited for has one event, not two.
    let refused = bare_runtime().block_on(guest.spawn_with_approval(&denied));
    assert!(matches!(refused, Err(SpawnError::Denied(_))), "{refused:?}");
    drop(release);
    let child = bare_runtime().block_on(guest.spawn_with_approval(&request));
    child.expect("it is granted");
    let kinds = std::iter::from_fn(|| events.recv_timeout(TEST_TIMEOUT).ok());
    let mut kinds = kinds.map(|event| event.kind);
    assert!(matches!(kinds.next(), Some(EventKind::Denied { .. })));
    assert!(matches!(kinds.next(), Some(EventKind::Spawn { .. })));
}

//! What may block does not hold up an async caller, and a wait that is due needs no timer.

use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use capspawn_native::confinement::{Confinement, Enforcement};
use capspawn_native::launch::{ChildStdio, LaunchError, Launcher, Plan, Process, Scope};
use capspawn_native::sandbox::NativeLauncher;
use capspawn_native::{ExitStatus, Registry};
use parking_lot::Mutex;

use crate::support::*;

/// A launcher whose launch of [`HANGS`] waits until it is released.
#[derive(Debug)]
struct Hanging {
    native: NativeLauncher,
    released: Mutex<Option<Receiver<()>>>,
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
            let released = self.released.lock().take();
            let _ = released.map(|released| released.recv());
        }
        self.native.launch(scope, plan, stdio)
    }
}

/// The script whose launch hangs.
const HANGS: &str = "read line; exit 3";

/// A registry in which the launch of [`HANGS`] waits until something is sent.
fn hanging() -> (Registry, mpsc::Sender<()>) {
    let (release, released) = mpsc::channel();
    let launcher = Hanging {
        native: NativeLauncher::new(),
        released: Mutex::new(Some(released)),
    };
    let registry = build(Registry::builder().launcher(Arc::new(launcher)));
    (registry, release)
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
    use capspawn_native::{Command, SpawnError};
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

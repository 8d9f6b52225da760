//! Children that do what the test makes them do, without a process.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use capspawn_native::Signal;
use capspawn_native::confinement::{Confinement, Enforcement};
use capspawn_native::launch::{
    ChildStdio, Exit, LaunchError, Launcher, Plan, Process, Scope, Stage,
};

/// Launches actors, and hands over the last one.
#[derive(Debug, Default)]
pub(crate) struct Troupe {
    last: Mutex<Option<Arc<Actor>>>,
}

impl Troupe {
    /// Returns the actor that was launched last.
    pub(crate) fn last(&self) -> Arc<Actor> {
        lock(&self.last).take().expect("one was launched")
    }
}

impl Launcher for Troupe {
    fn enforcement(&self, confinement: &Confinement) -> Arc<Enforcement> {
        let reason = "an actor has nothing to confine";
        Arc::new(Enforcement::none(confinement, reason, "none"))
    }

    fn launch(
        &self,
        _scope: Scope,
        _plan: &Plan,
        stdio: ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError> {
        let pipe = rustix::pipe::pipe();
        let (ended, runs) = pipe.map_err(|errno| LaunchError::new(Stage::Spawn, errno.into()))?;
        let actor = Arc::new(Actor {
            ended,
            life: Mutex::new(Some(Life { stdio, _runs: runs })),
            exit: Mutex::new(None),
            said_bytes: AtomicUsize::new(0),
        });
        *lock(&self.last) = Some(Arc::clone(&actor));
        Ok(Box::new(Handle(actor)))
    }
}

/// One child.
#[derive(Debug)]
pub(crate) struct Actor {
    /// Readable once it has ended.
    ended: OwnedFd,
    life: Mutex<Option<Life>>,
    exit: Mutex<Option<Exit>>,
    said_bytes: AtomicUsize,
}

/// What a running actor has open.
#[derive(Debug)]
struct Life {
    stdio: ChildStdio,
    _runs: OwnedFd,
}

/// Returns the guard; a test that fails elsewhere has not damaged what it protects.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Actor {
    /// Whether it runs.
    pub(crate) fn runs(&self) -> bool {
        lock(&self.life).is_some()
    }

    /// Writes to standard output, if that is open.
    pub(crate) fn say(&self, bytes: &[u8]) -> bool {
        let life = lock(&self.life);
        let stdout = life.as_ref().and_then(|life| life.stdio.stdout.as_ref());
        let Some(stdout) = stdout else { return false };
        let copy = stdout.try_clone().expect("a descriptor is left");
        let said = File::from(copy).write_all(bytes).is_ok();
        self.said_bytes.fetch_add(bytes.len(), Ordering::Relaxed);
        said
    }

    /// The bytes that it has written.
    pub(crate) fn said(&self) -> usize {
        self.said_bytes.load(Ordering::Relaxed)
    }

    /// Reads standard input to its end, if that is open.
    pub(crate) fn drink(&self) -> bool {
        let stdin = lock(&self.life)
            .as_mut()
            .and_then(|life| life.stdio.stdin.take());
        let Some(stdin) = stdin else { return false };
        io::copy(&mut File::from(stdin).take(u64::MAX), &mut io::sink()).is_ok()
    }

    /// Ends, unless it has ended already.
    pub(crate) fn end(&self, exit: Exit) {
        if let Some(life) = lock(&self.life).take() {
            *lock(&self.exit) = Some(exit);
            drop(life.stdio);
        }
    }
}

/// The registry's handle of an actor.
#[derive(Debug)]
struct Handle(Arc<Actor>);

impl Process for Handle {
    fn pid(&self) -> u32 {
        // No process has so high a number.
        1 << 30
    }

    fn exit_fd(&self) -> BorrowedFd<'_> {
        self.0.ended.as_fd()
    }

    fn try_exit(&self) -> io::Result<Option<Exit>> {
        Ok(*lock(&self.0.exit))
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        self.signal_tree(signal)
    }

    fn signal_tree(&self, signal: Signal) -> io::Result<()> {
        if matches!(signal, Signal::Kill | Signal::Terminate) {
            self.0
                .end(Exit::Signal(if signal == Signal::Kill { 9 } else { 15 }));
        }
        Ok(())
    }

    fn reap(&self) -> io::Result<()> {
        Ok(())
    }
}

//! What watches one child from its start until nothing of it is left.
//!
//! One task a child, on the registry's own thread: exit, kill and deadline meet
//! here and nowhere else, and the status is written once. When the leader has
//! ended, what it wrote is read before its status shows; then its pipes may
//! deliver for [`DRAIN_GRACE`]; then the rest of the tree is killed; and only
//! then the leader is reaped, so that until the last signal its process id and
//! group cannot belong to anybody else.
//!
//! The runtime of whoever spawned would be the simpler place for the task, and
//! the wrong one: dropping it would leave children that run for ever.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::capture::Capture;
use crate::entry::{Entry, FAR, Phase};
use crate::launch::{Exit, Process};
use crate::limits::DRAIN_GRACE;
use crate::pipes::HostStdio;
use crate::registry::Shared;
use crate::sandbox::sys::watch;
use crate::status::{ExitStatus, KillReason};
use crate::stream::abandoned;

/// Bytes read at once: the size of a pipe.
const READ_BYTES: usize = 64 * 1024;

/// What is read before the status shows, at most: a pipe's content and as much
/// again. Bounds the time that a chatty grandchild can hold the status back.
const LAST_LOOK_BYTES: u64 = 2 * 64 * 1024;

/// How often to look whether a killed child that cannot be watched has ended.
const UNWATCHED_LOOK: Duration = Duration::from_millis(1);

/// A child in the supervisor's care.
pub(crate) struct Supervised {
    pub(crate) entry: Arc<Entry>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) process: Arc<dyn Process>,
}

impl Supervised {
    /// Watches the child to its end.
    pub(crate) async fn run(self, stdio: HostStdio, exit_fd: rustix::io::Result<OwnedFd>) {
        let closing = Closing(&self);
        if let Err(error) = self.watch(stdio, exit_fd).await {
            // The descriptors could not be watched: end what cannot be supervised.
            tracing::error!(child = self.entry.id, %error, "supervision failed");
            self.entry.kill(KillReason::Host, Duration::ZERO);
            self.ended_unwatched().await;
        }
        drop(closing);
    }

    /// Waits for the leader's end without a descriptor to be woken by. One that is
    /// reaped too early stays a zombie.
    async fn ended_unwatched(&self) {
        while let Ok(None) = self.process.try_exit() {
            tokio::time::sleep(UNWATCHED_LOOK).await;
        }
    }

    async fn watch(
        &self,
        stdio: HostStdio,
        exit_fd: rustix::io::Result<OwnedFd>,
    ) -> io::Result<()> {
        let stdout = Pump::new(self, stdio.stdout, |entry| &entry.stdout)?;
        let stderr = Pump::new(self, stdio.stderr, |entry| &entry.stderr)?;
        let exit_fd = watch(exit_fd?, Interest::READABLE)?;
        let io = async {
            tokio::join!(stdout.run(), stderr.run(), feed(stdio.stdin));
        };
        tokio::pin!(io);
        let mut io_done = false;
        let exit = {
            let exit = self.exit(&exit_fd);
            tokio::pin!(exit);
            loop {
                tokio::select! {
                    biased;
                    exit = &mut exit => break exit,
                    () = &mut io, if !io_done => io_done = true,
                }
            }
        };
        stdout.last_look();
        stderr.last_look();
        let status = match exit {
            Ok(exit) => self.entry.status_of(exit),
            Err(error) => {
                tracing::error!(child = self.entry.id, %error, "lost a child");
                ExitStatus::Killed(KillReason::Host)
            }
        };
        self.ended(status);
        // Standard input is of no interest any more: wait for the output alone.
        let [out, err] = stdio.piped;
        let drained =
            async { tokio::join!(stdout.run(), stderr.run(), abandoned(out), abandoned(err)) };
        let _ = tokio::time::timeout(DRAIN_GRACE, drained).await;
        stdout.cut();
        stderr.cut();
        self.entry.kill_tree_and_reap();
        stdout.last_look();
        stderr.last_look();
        Ok(())
    }

    /// Waits for the leader's end, and ends it when its time has come.
    async fn exit(&self, exit_fd: &AsyncFd<OwnedFd>) -> io::Result<Exit> {
        let mut killed = false;
        loop {
            let (deadline, reason) = self.entry.next_deadline();
            let deadline = if killed {
                Instant::now() + FAR
            } else {
                deadline
            };
            tokio::select! {
                biased;
                ready = exit_fd.readable() => {
                    let mut ready = ready?;
                    if let Some(exit) = self.process.try_exit()? {
                        return Ok(exit);
                    }
                    ready.clear_ready();
                }
                () = self.entry.wake.notified() => {}
                () = tokio::time::sleep_until(deadline.into()) => {
                    self.entry.kill(reason, Duration::ZERO);
                    killed = true;
                }
            }
        }
    }

    fn ended(&self, status: ExitStatus) {
        self.entry.holder.close(self.entry.id);
        self.shared.ended(&self.entry);
        self.entry.advance(Phase::Ended(status, SystemTime::now()));
    }
}

/// Writes what standard input did not take at once. Dropping the descriptor at
/// its end is the child's end of file.
async fn feed(stdin: Option<(OwnedFd, Vec<u8>)>) {
    let Some((fd, bytes)) = stdin else { return };
    let Ok(writer) = watch(fd, Interest::WRITABLE) else {
        return;
    };
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let Ok(mut ready) = writer.writable().await else {
            return;
        };
        match ready.try_io(|fd| Ok(rustix::io::write(fd, rest)?)) {
            Ok(Ok(written)) => rest = &rest[written..],
            // The child closed its end: it wants no more.
            Ok(Err(_)) => return,
            Err(_would_block) => {}
        }
    }
}

/// Ends an entry however its task ends: also by a panic.
struct Closing<'a>(&'a Supervised);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let child = self.0;
        if child.entry.phase().ended().is_none() {
            child.entry.kill_tree_and_reap();
            child.ended(ExitStatus::Killed(KillReason::Host));
        }
        child.entry.kill_tree_and_reap();
        if let Some((status, at)) = child.entry.phase().ended() {
            child.shared.completed(&child.entry, status, at);
            child.entry.advance(Phase::Complete(status, at));
        }
    }
}

/// Reads one stream into its capture.
struct Pump<'a> {
    child: &'a Supervised,
    pipe: Option<AsyncFd<OwnedFd>>,
    capture: &'a Mutex<Capture>,
    complete: AtomicBool,
    /// The end that comes now is not the stream's own: its writers were killed.
    cut: AtomicBool,
}

impl<'a> Pump<'a> {
    fn new(
        child: &'a Supervised,
        pipe: Option<OwnedFd>,
        capture: fn(&Entry) -> &Mutex<Capture>,
    ) -> io::Result<Self> {
        let pipe = pipe.map(|fd| watch(fd, Interest::READABLE)).transpose()?;
        let pump = Self {
            child,
            complete: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            capture: capture(&child.entry),
            pipe,
        };
        if pump.pipe.is_none() {
            pump.finish();
        }
        Ok(pump)
    }

    fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Relaxed)
    }

    fn finish(&self) {
        self.complete.store(true, Ordering::Relaxed);
        if !self.cut.load(Ordering::Relaxed) {
            self.capture.lock().finish();
        }
    }

    fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    /// Reads until the stream ends.
    async fn run(&self) {
        let Some(pipe) = &self.pipe else { return };
        while !self.is_complete() {
            let Ok(mut ready) = pipe.readable().await else {
                return;
            };
            if let Ok(result) = ready.try_io(|fd| self.read(fd.get_ref())) {
                if result.is_err() {
                    return;
                }
                // One chatty child must not keep the others' events waiting.
                tokio::task::consume_budget().await;
            }
        }
    }

    /// Reads what is there now.
    fn last_look(&self) {
        let Some(pipe) = &self.pipe else { return };
        let mut looked = 0;
        while !self.is_complete() && looked < LAST_LOOK_BYTES {
            match self.read(pipe.get_ref()) {
                Ok(read) => looked += read,
                Err(_) => return,
            }
        }
    }

    /// Reads once; zero is the end.
    fn read(&self, fd: &OwnedFd) -> io::Result<u64> {
        let mut scratch = self.child.shared.scratch.lock();
        scratch.resize(READ_BYTES, 0);
        let read = rustix::io::read(fd, scratch.as_mut_slice())?;
        if read == 0 {
            self.finish();
            return Ok(0);
        }
        self.child.shared.make_room();
        self.capture
            .lock()
            .append(&scratch[..read], &self.child.shared.retained);
        drop(scratch);
        self.child.entry.count_output(read as u64);
        Ok(read as u64)
    }
}

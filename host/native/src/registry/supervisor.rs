//! Supervises one child from its start until its whole process tree is gone.
//!
//! Each child has one task, on the registry's own thread. Only this task handles exit,
//! kill and deadline, and the status is written once. After the leader
//! has ended, its output is read before its status is published; its pipes may
//! deliver for [`DRAIN_GRACE`]; the rest of the tree is killed; and the leader is
//! reaped last, so that its process id and group cannot be reused while a signal
//! may still be sent to them.
//!
//! Rejected: running the task on the runtime of the caller that spawned the child.
//! Dropping that runtime would leave children that run for ever.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tracing::{Instrument as _, Span, field};

use super::core::Core;
use super::pump::{Pump, feed};
use crate::child::ending::{FAR, Phase};
use crate::child::pipe_end::writers_gone;
use crate::child::pipes::HostStdio;
use crate::child::record::Record;
use crate::escape::quoted;
use crate::launch::{Exit, Process};
use crate::limits::DRAIN_GRACE;
use crate::sandbox::sys::register_fd;
use crate::status::{ExitStatus, KillReason};

/// How often to check for the end of a killed child whose pidfd cannot be registered.
const UNREGISTERED_CHECK: Duration = Duration::from_millis(1);

/// A child and what its supervision needs.
pub(crate) struct Supervised {
    record: Arc<Record>,
    core: Arc<Core>,
    process: Arc<dyn Process>,
    span: Span,
}

impl Supervised {
    /// The child's span is a child of the span in which this is called.
    pub(crate) fn new(record: Arc<Record>, core: Arc<Core>, process: Arc<dyn Process>) -> Self {
        let span = span(&record, process.pid());
        Self {
            record,
            core,
            process,
            span,
        }
    }

    /// Supervises the child until its tree is gone.
    pub(crate) async fn run(self, stdio: HostStdio, exit_fd: rustix::io::Result<OwnedFd>) {
        let span = self.span.clone();
        self.run_in_span(stdio, exit_fd).instrument(span).await;
    }

    async fn run_in_span(self, stdio: HostStdio, exit_fd: rustix::io::Result<OwnedFd>) {
        let finish = FinishGuard(&self);
        if let Err(error) = self.supervise(stdio, exit_fd).await {
            // The descriptors could not be registered: a child that cannot be supervised is killed.
            tracing::error!(child = self.record.id(), %error, "supervision failed");
            self.record.kill(KillReason::Host, Duration::ZERO);
            self.wait_unregistered().await;
        }
        drop(finish);
    }

    /// Waits for the leader's end by polling. Reaping before the end would leave a
    /// zombie.
    async fn wait_unregistered(&self) {
        while let Ok(None) = self.process.try_exit() {
            tokio::time::sleep(UNREGISTERED_CHECK).await;
        }
    }

    async fn supervise(
        &self,
        stdio: HostStdio,
        exit_fd: rustix::io::Result<OwnedFd>,
    ) -> io::Result<()> {
        let stdout = Pump::new(&self.core, &self.record, stdio.stdout, Record::stdout)?;
        let stderr = Pump::new(&self.core, &self.record, stdio.stderr, Record::stderr)?;
        let exit_fd = register_fd(exit_fd?, Interest::READABLE)?;
        let io = async {
            tokio::join!(
                stdout.run(),
                stderr.run(),
                feed(stdio.stdin, self.core.clock())
            );
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
        stdout.drain();
        stderr.drain();
        let status = match exit {
            Ok(exit) => self.record.status_of(exit),
            Err(error) => {
                tracing::error!(child = self.record.id(), %error, "a child was ended by its launcher, or its status is lost");
                self.record.set_reason(error.to_string());
                ExitStatus::Killed(KillReason::Host)
            }
        };
        self.ended(status);
        // Standard input no longer matters: wait for the output only.
        let [out, err] = stdio.piped;
        let drained = async {
            tokio::join!(
                stdout.run(),
                stderr.run(),
                writers_gone(out),
                writers_gone(err)
            )
        };
        tokio::select! {
            biased;
            _ = drained => {}
            () = self.core.clock().sleep(DRAIN_GRACE) => {}
        }
        stdout.mark_truncated();
        stderr.mark_truncated();
        self.record.kill_tree_and_reap();
        stdout.drain();
        stderr.drain();
        Ok(())
    }

    /// Waits for the leader's end, and kills the tree at its deadline.
    async fn exit(&self, exit_fd: &AsyncFd<OwnedFd>) -> io::Result<Exit> {
        let mut killed = false;
        loop {
            let (deadline, reason) = self.record.next_deadline();
            let deadline = if killed {
                self.core.clock().now() + FAR
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
                () = self.record.deadline_changed() => {}
                () = self.core.clock().sleep_until(deadline) => {
                    self.record.kill(reason, Duration::ZERO);
                    killed = true;
                }
            }
        }
    }

    fn ended(&self, status: ExitStatus) {
        self.core.end(&self.record);
        self.record
            .advance(Phase::Ended(status, self.core.clock().wall()));
    }
}

/// Returns the span of a child: from its start until its tree is gone. Target, name and fields stay, because filters
/// and dashboards of embedders name them.
fn span(record: &Record, pid: u32) -> Span {
    tracing::info_span!(
        target: "capspawn::child",
        "child",
        component = %quoted(&**record.owner().component()),
        tenant = %quoted(&**record.owner().tenant()),
        guest = record.guest().0,
        child = record.id(),
        command = %quoted(record.rule()),
        pid,
        confinement = record.confinement(),
        status = field::Empty,
        seconds = field::Empty,
    )
}

/// Completes a record however its task ends, even by a panic.
struct FinishGuard<'a>(&'a Supervised);

impl Drop for FinishGuard<'_> {
    fn drop(&mut self) {
        let child = self.0;
        if child.record.phase().ended().is_none() {
            child.record.kill_tree_and_reap();
            child.ended(ExitStatus::Killed(KillReason::Host));
        }
        child.record.kill_tree_and_reap();
        if let Some((status, at)) = child.record.phase().ended() {
            let seconds = at.duration_since(child.record.started_at());
            child.span.record("status", field::display(status));
            child
                .span
                .record("seconds", seconds.unwrap_or_default().as_secs_f64());
            child.core.complete(&child.record, status, at);
            child.record.advance(Phase::Complete(status, at));
        }
    }
}

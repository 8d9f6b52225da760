//! The thread of one recorded child: moves its streams, and writes down what passes.
//!
//! One thread sees all streams, the exit and the signals, so that their order is known. The exit is shown to the registry
//! once all output is on its way that the child had written by then: a caller that waits and then reads finds what it would
//! find without a recording.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use capspawn_native::launch::{ChildStdio, Plan, Process};
use capspawn_native::{Stdin, Stdio};
use rustix::event::{PollFd, PollFlags, poll};

use super::journal::Output;
use super::pipe::{Pipe, Step};
use super::writer::CallLog;
use crate::descriptor::new_pipe;
use crate::format::Status;

/// The most steps of each stream before the exit is looked at again: 64, which move 2 MiB, more than a pipe holds. A process
/// that writes without end would otherwise hide the exit.
const MAX_STEPS: usize = 64;

/// The streams of one child, between it and the guest.
#[derive(Debug)]
pub(super) struct Relay {
    stdin: Pipe,
    outputs: [Pipe; 2],
}

impl Relay {
    /// Puts a pipe into each stream: `guests` are the ends that the registry made for the child. Returns the ends that the
    /// child gets instead.
    pub(super) fn new(plan: &Plan, guests: ChildStdio) -> io::Result<(Self, ChildStdio)> {
        let mut child = ChildStdio::default();
        let mut relay = Self {
            stdin: Pipe::closed(),
            outputs: [Pipe::closed(), Pipe::closed()],
        };
        if let Some(stdin) = guests.stdin {
            let (reads, writes) = new_pipe()?;
            relay.stdin = Pipe::new(stdin, writes)?;
            child.stdin = Some(reads);
        }
        let mut output = |guest: Option<OwnedFd>, which: Output| -> io::Result<Option<OwnedFd>> {
            let Some(guest) = guest else {
                return Ok(None);
            };
            let (reads, writes) = new_pipe()?;
            relay.outputs[which as usize] = Pipe::new(reads, guest)?;
            Ok(Some(writes))
        };
        // One pipe for both, so that the order of what is written stays.
        let streams = &plan.streams;
        match (&streams.stdout, &streams.stderr) {
            (_, Stdio::Merged) => {
                child.stdout = output(guests.stdout, Output::Stdout)?;
                child.stderr = child.stdout.as_ref().map(OwnedFd::try_clone).transpose()?;
            }
            (Stdio::Merged, _) => {
                child.stderr = output(guests.stderr, Output::Stderr)?;
                child.stdout = child.stderr.as_ref().map(OwnedFd::try_clone).transpose()?;
            }
            _ => {
                child.stdout = output(guests.stdout, Output::Stdout)?;
                child.stderr = output(guests.stderr, Output::Stderr)?;
            }
        }
        Ok((relay, child))
    }

    /// Moves bytes until all streams are closed and the leader of `process` has ended. Dropping `shows_exit` shows the end.
    pub(super) fn run(mut self, process: &dyn Process, log: &Arc<CallLog>, shows_exit: OwnedFd) {
        let started = Instant::now();
        let mut shows_exit = Some(shows_exit);
        while shows_exit.is_some() || self.is_open() {
            self.wait(shows_exit.is_some().then_some(process));
            self.move_all(log);
            if shows_exit.is_none() {
                continue;
            }
            let status = match process.try_exit() {
                Ok(None) => continue,
                Ok(Some(exit)) => exit.into(),
                Err(error) => Status::Lost(error.to_string()),
            };
            // What it wrote before it ended.
            self.move_all(log);
            if self.stdin.is_unread() {
                log.with(|journal| journal.abandon_input());
            }
            let out_of_memory = process.counters().out_of_memory;
            log.end(status, out_of_memory, whole_millis(started.elapsed()));
            shows_exit = None;
        }
    }

    fn is_open(&self) -> bool {
        !self.stdin.is_closed() || self.outputs.iter().any(|pipe| !pipe.is_closed())
    }

    /// Waits until something can be moved, or `process` has ended.
    fn wait(&self, process: Option<&dyn Process>) {
        let mut watched = Vec::with_capacity(7);
        for pipe in [&self.stdin, &self.outputs[0], &self.outputs[1]] {
            pipe.watch(&mut watched);
        }
        let exit = process.map(|process| process.exit_fd());
        if let Some(exit) = &exit {
            watched.push(PollFd::from_borrowed_fd(exit.as_fd(), PollFlags::IN));
        }
        // A failure is an interruption: the next step finds out what is ready.
        let _ = poll(&mut watched, None);
    }

    /// Moves what can be moved now, input first.
    fn move_all(&mut self, log: &CallLog) {
        for _ in 0..MAX_STEPS {
            let mut has_moved = false;
            let is_unread = self.stdin.is_unread();
            match self
                .stdin
                .step(|_| {}, |bytes| log.with(|it| it.input(bytes)))
            {
                Step::Moved => has_moved = true,
                Step::Ended => log.with(|journal| journal.end_input()),
                Step::ReaderGone if is_unread => log.with(|journal| journal.abandon_input()),
                Step::ReaderGone | Step::Waits => {}
            }
            let is_awaited = !self.stdin.is_pending();
            for (pipe, output) in self.outputs.iter_mut().zip(Output::BOTH) {
                let on_read = |bytes: &[u8]| log.with(|it| it.output(output, bytes, is_awaited));
                has_moved |= pipe.step(on_read, |_| {}) == Step::Moved;
            }
            if !has_moved {
                return;
            }
        }
    }
}

/// Whether the guest itself writes standard input, and so may wait for answers.
pub(super) fn is_dialogue(plan: &Plan) -> bool {
    plan.streams.stdin == Stdin::Piped
}

fn whole_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

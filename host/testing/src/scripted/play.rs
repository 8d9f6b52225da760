//! Plays a script.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use capspawn_native::Signal;
use capspawn_native::clock::Clock;
use capspawn_native::launch::Exit;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::child::{Child, Fate};
use super::fault::{Call, Fault};
use super::io::Streams;
use crate::script::{Behaviour, End, Output, Step};

/// How much a flood writes at once.
const FLOOD_BYTES: usize = 64 * 1024;

/// How long a flood pauses after that, so that virtual time passes.
const FLOOD_PAUSE: Duration = Duration::from_millis(1);

/// The most that is remembered of a child's standard input: 1 MiB.
const MAX_STDIN_BYTES: usize = 1024 * 1024;

/// The code with which a child exits whose test has not foreseen what it read.
const FAULT: Exit = Exit::Code(1);

/// Plays `behaviour` until the child and what it leaves behind have ended. Returns what the child has read.
pub(super) async fn play(
    child: Arc<Child>,
    behaviour: Behaviour,
    mut streams: Streams,
    clock: &Clock,
    call: &Call,
    faults: &Mutex<Vec<Fault>>,
) -> Vec<u8> {
    let mut fate = child.subscribe();
    let mut actor = Actor {
        child: &child,
        streams: &mut streams,
        clock,
        call,
        faults,
        unread: Vec::new(),
        read: Vec::new(),
    };
    let (exit, out_of_memory) = {
        let played = actor.act(&behaviour);
        tokio::pin!(played);
        loop {
            let now = *fate.borrow_and_update();
            match now.doomed {
                // A stopped process ends when it is resumed.
                Some(exit) if !now.stopped => break (exit, false),
                _ => {}
            }
            tokio::select! {
                biased;
                changed = fate.changed() => if changed.is_err() { break (FAULT, false) },
                ended = &mut played, if !now.stopped => break ended,
            }
        }
    };
    let read = std::mem::take(&mut actor.read);
    // As the kernel does: descriptors are closed before anybody sees the end.
    streams.stdin = None;
    let Some(grandchild) = behaviour.grandchild else {
        drop(streams);
        child.end(exit, out_of_memory);
        return read;
    };
    child.end(exit, out_of_memory);
    let live = async {
        clock.sleep(grandchild.duration).await;
        if let Some(stdout) = &mut streams.stdout {
            // Nobody may read it any more.
            let _ = stdout.write(&grandchild.writes).await;
        }
    };
    tokio::select! {
        biased;
        () = tree_killed(&mut fate) => {}
        () = live => {}
    }
    read
}

async fn tree_killed(fate: &mut watch::Receiver<Fate>) {
    // The sender lives as long as the child, which the caller has.
    let _ = fate.wait_for(|fate| fate.tree_killed).await;
}

/// A child that acts.
struct Actor<'a> {
    child: &'a Child,
    streams: &'a mut Streams,
    clock: &'a Clock,
    call: &'a Call,
    faults: &'a Mutex<Vec<Fault>>,
    /// What was read and belongs to no step yet.
    unread: Vec<u8>,
    /// What was read in all.
    read: Vec<u8>,
}

impl Actor<'_> {
    /// Does every step, and ends. Returns how, and whether the memory limit was the reason.
    async fn act(&mut self, behaviour: &Behaviour) -> (Exit, bool) {
        for step in &behaviour.steps {
            match self.step(step).await {
                Ok(()) => {}
                Err(exit) => return (exit, false),
            }
        }
        self.clock.sleep(behaviour.after).await;
        match behaviour.end {
            End::Exit(exit) => (exit, false),
            End::OutOfMemory => (Exit::Signal(Signal::Kill.number()), true),
            End::Never => std::future::pending().await,
        }
    }

    async fn step(&mut self, step: &Step) -> Result<(), Exit> {
        match step {
            Step::Write(output, bytes) => self.write(*output, bytes).await?,
            Step::Pause(duration) => self.clock.sleep(*duration).await,
            Step::Expect(text) => self.expect(text).await?,
            Step::Read(expected) => self.read_to_end(expected.as_deref()).await?,
            Step::Echo => {
                let unread = std::mem::take(&mut self.unread);
                self.write(Output::Stdout, &unread).await?;
                while let Some(bytes) = self.read().await {
                    self.write(Output::Stdout, &bytes).await?;
                }
            }
            Step::Flood(bytes) => {
                let count = (FLOOD_BYTES / bytes.len().max(1)).max(1);
                let bytes = bytes.repeat(count);
                loop {
                    self.write(Output::Stdout, &bytes).await?;
                    self.clock.sleep(FLOOD_PAUSE).await;
                }
            }
            Step::CloseStdin => self.streams.stdin = None,
            Step::Close(output) => *self.streams.output(*output) = None,
        }
        Ok(())
    }

    /// Writes; a reader that is gone ends the child unless it ignores that.
    async fn write(&mut self, output: Output, bytes: &[u8]) -> Result<(), Exit> {
        let Some(stream) = self.streams.output(output) else {
            return Ok(());
        };
        match stream.write(bytes).await {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self
                .child
                .disposition(Signal::BrokenPipe)
                .map_or(Ok(()), Err),
            Err(_) => Err(FAULT),
            Ok(()) => Ok(()),
        }
    }

    /// Reads what comes next; none at the end of the input.
    async fn read(&mut self) -> Option<Vec<u8>> {
        let bytes = self.streams.stdin.as_mut()?.read().await.ok()?;
        let room = MAX_STDIN_BYTES.saturating_sub(self.read.len());
        self.read.extend(&bytes[..bytes.len().min(room)]);
        (!bytes.is_empty()).then_some(bytes)
    }

    async fn expect(&mut self, text: &[u8]) -> Result<(), Exit> {
        loop {
            if let Some(at) = find(&self.unread, text) {
                self.unread.drain(..at + text.len());
                return Ok(());
            }
            match self.read().await {
                Some(bytes) => self.unread.extend(bytes),
                None => return Err(self.fault(text, &self.unread)),
            }
        }
    }

    async fn read_to_end(&mut self, expected: Option<&[u8]>) -> Result<(), Exit> {
        let mut all = std::mem::take(&mut self.unread);
        while let Some(bytes) = self.read().await {
            // A child that does not look at its input may get any amount of it.
            if expected.is_some() {
                all.extend(bytes);
            }
        }
        match expected {
            Some(expected) if expected != all => Err(self.fault(expected, &all)),
            _ => Ok(()),
        }
    }

    fn fault(&self, expected: &[u8], found: &[u8]) -> Exit {
        let fault = Fault::input(self.call, expected, found);
        self.faults.lock().push(fault);
        FAULT
    }
}

/// Returns where `text` begins in `bytes`.
fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    if text.is_empty() {
        return Some(0);
    }
    bytes.windows(text.len()).position(|window| window == text)
}

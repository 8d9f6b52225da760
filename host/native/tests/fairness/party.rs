//! One owner of the host: its guest, its children and streams, and the answers that it gets.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use capspawn_native::grant::Grant;
use capspawn_native::launch::Exit;
use capspawn_native::{
    Child, Command, Guest, PipeReader, PipeWriter, Quota, Registry, SpawnError, Stdin, Stdio,
    Waiter,
};
use test_kit::eventually;

use crate::actor::{Actor, Troupe};
use crate::operation::{In, Operation, Out};

/// Standard input that fills a pipe, and 2 KiB more.
const INPUT_BYTES: usize = (64 + 2) << 10;

/// No child writes more into a stream that is not captured: if nobody read it, the test would block.
const MAX_PIPED_BYTES: usize = 50_000;

/// What a party sees of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Refused, because the host as a whole is full.
    HostCapacity,
    /// Anything else, as text.
    Text(String),
}

/// A child, while its handle is held.
struct Own {
    child: Child,
    actor: Arc<Actor>,
    is_captured: bool,
    /// Standard input of which the host has a part.
    has_input: bool,
}

/// A key to a detached child.
struct Key {
    text: String,
    actor: Arc<Actor>,
    is_captured: bool,
}

/// A stream that was taken.
enum Stream {
    Reader(PipeReader),
    Writer { _open: PipeWriter },
}

pub(crate) struct Party {
    registry: Registry,
    grant: Arc<Grant>,
    tenant: &'static str,
    troupe: Arc<Troupe>,
    guest: Option<Guest>,
    children: Vec<Own>,
    streams: Vec<Stream>,
    /// Each with what is known of its child.
    keys: Vec<Key>,
    runtime: tokio::runtime::Runtime,
}

fn index(number: usize, count: usize) -> Option<usize> {
    let last = count.checked_sub(1)?;
    Some(if number == usize::MAX {
        last
    } else {
        number % count
    })
}

fn text(answer: impl Into<String>) -> Answer {
    Answer::Text(answer.into())
}

fn refused(error: &SpawnError) -> Answer {
    match error {
        SpawnError::Quota(Quota::HostCapacity) | SpawnError::Shortage(_) => Answer::HostCapacity,
        other => text(other.to_string()),
    }
}

impl Party {
    pub(crate) fn new(
        registry: &Registry,
        grant: Arc<Grant>,
        tenant: &'static str,
        troupe: &Arc<Troupe>,
    ) -> Self {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build();
        Self {
            guest: Some(registry.guest(grant.clone(), tenant)),
            registry: registry.clone(),
            grant,
            tenant,
            troupe: Arc::clone(troupe),
            children: Vec::new(),
            streams: Vec::new(),
            keys: Vec::new(),
            runtime: runtime.expect("the runtime starts"),
        }
    }

    /// The keys that this party has.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.text.clone()).collect()
    }

    /// Performs `operation`, waits until the registry has noticed, and returns the answer.
    pub(crate) fn perform(&mut self, operation: Operation, foreign: &[String]) -> Answer {
        let runtime = self.runtime.handle().clone();
        let _entered = runtime.enter();
        match operation {
            Operation::Spawn {
                stdin,
                stdout,
                args,
            } => self.spawn(stdin, stdout, args),
            Operation::Attach { key } => self.attach(key),
            Operation::AttachForeign { key } => {
                match index(key, foreign.len()).map(|at| self.guest().attach(&foreign[at])) {
                    Some(Ok(_)) => panic!("the child of another"),
                    Some(Err(error)) => refused(&error),
                    None => text("no key"),
                }
            }
            Operation::Replace => self.replace(),
            Operation::ReadStream { stream } => self.read_stream(stream),
            Operation::DropStream { stream } => {
                if let Some(at) = index(stream, self.streams.len()) {
                    drop(self.streams.swap_remove(at));
                }
                text("dropped")
            }
            Operation::Say { child, .. }
            | Operation::Drink { child }
            | Operation::End { child }
            | Operation::Read { child }
            | Operation::TakeStdin { child }
            | Operation::TakeStdout { child }
            | Operation::Kill { child }
            | Operation::Detach { child }
            | Operation::Drop { child } => match index(child, self.children.len()) {
                Some(at) => self.with_child(at, operation),
                None => text("no child"),
            },
        }
    }

    fn guest(&self) -> &Guest {
        self.guest.as_ref().expect("it is replaced at once")
    }

    fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    fn spawn(&mut self, stdin: In, stdout: Out, args: usize) -> Answer {
        let command = Command {
            args: (0..args / 4).map(|_| "arg".into()).collect(),
            stdin: match stdin {
                In::Null => Stdin::Null,
                In::Piped => Stdin::Piped,
                In::Bytes => Stdin::Bytes(vec![b'x'; INPUT_BYTES].into()),
            },
            stdout: match stdout {
                Out::Null => Stdio::Null,
                Out::Piped => Stdio::Piped,
                Out::Captured => Stdio::Captured,
            },
            ..Command::new("actor")
        };
        match self.guest().spawn(&command) {
            Ok(child) => {
                if stdout != Out::Captured {
                    // The supervisor has begun.
                    eventually("its supervision", || child.captured(0, 0).0.complete);
                }
                self.children.push(Own {
                    child,
                    actor: self.troupe.last(),
                    is_captured: stdout == Out::Captured,
                    has_input: stdin == In::Bytes,
                });
                text("spawned")
            }
            Err(error) => refused(&error),
        }
    }

    /// Waits until the child's tree is gone and its streams are closed.
    fn completed(&self, mut waiter: Waiter) {
        self.block_on(async {
            let done = tokio::time::timeout(test_kit::TEST_TIMEOUT, waiter.completed());
            done.await.expect("the registry notices the end");
        });
    }

    fn attach(&mut self, key: usize) -> Answer {
        let Some(at) = index(key, self.keys.len()) else {
            return text("no key");
        };
        let key = self.keys.swap_remove(at);
        match self.guest().attach(&key.text) {
            Ok(child) => {
                self.children.push(Own {
                    child,
                    actor: key.actor,
                    is_captured: key.is_captured,
                    has_input: false,
                });
                text("attached")
            }
            Err(error) => refused(&error),
        }
    }

    /// The children of the old guest end with it, the detached ones excepted.
    fn replace(&mut self) -> Answer {
        self.guest = None;
        for own in &self.children {
            if !own.actor.runs() {
                self.completed(own.child.waiter());
            }
        }
        self.guest = Some(self.registry.guest(self.grant.clone(), self.tenant));
        text("replaced")
    }

    fn read_stream(&mut self, stream: usize) -> Answer {
        let Some(at) = index(stream, self.streams.len()) else {
            return text("no stream");
        };
        match &self.streams[at] {
            Stream::Writer { .. } => text("a writer"),
            Stream::Reader(reader) => {
                let read = reader.try_read_vec(1000);
                text(format!("{:?}", read.map_err(|error| error.kind())))
            }
        }
    }

    fn with_child(&mut self, at: usize, operation: Operation) -> Answer {
        let own = &mut self.children[at];
        match operation {
            Operation::Say { bytes, .. } => {
                let fits = own.is_captured || own.actor.said() + bytes <= MAX_PIPED_BYTES;
                if !fits || !own.actor.say(&vec![b's'; bytes]) {
                    return text("said nothing");
                }
                if own.is_captured {
                    let seen = || {
                        let (stdout, _) = own.child.captured(0, 0);
                        stdout.data.len() as u64 + stdout.dropped
                    };
                    eventually("the output", || seen() == own.actor.said() as u64);
                }
                text("said")
            }
            Operation::Drink { .. } => {
                let held = || self.registry.holdings("test", self.tenant).bytes;
                let before = held();
                if !std::mem::take(&mut own.has_input) || !own.actor.drink() {
                    return text("drank nothing");
                }
                eventually("the charge of standard input", || {
                    held() + INPUT_BYTES <= before
                });
                text("drank")
            }
            Operation::End { .. } => {
                let ran = own.actor.runs();
                own.actor.end(Exit::Code(3));
                let waiter = own.child.waiter();
                self.completed(waiter);
                text(format!("ended {ran}"))
            }
            Operation::Kill { .. } => {
                own.child.kill(Duration::ZERO);
                let waiter = own.child.waiter();
                self.completed(waiter);
                text("killed")
            }
            Operation::Read { .. } => {
                let (stdout, stderr) = own.child.captured(0, 0);
                let args = own.child.info().args;
                text(format!(
                    "{:?} {stdout:?} {stderr:?} {args:?}",
                    own.child.poll()
                ))
            }
            Operation::TakeStdin { .. } => match own.child.take_stdin() {
                Ok(Some(_open)) => {
                    self.streams.push(Stream::Writer { _open });
                    text("took")
                }
                other => text(format!("{:?}", other.map(|_| ()))),
            },
            Operation::TakeStdout { .. } => match own.child.take_stdout() {
                Ok(Some(reader)) => {
                    self.streams.push(Stream::Reader(reader));
                    text("took")
                }
                other => text(format!("{:?}", other.map(|_| ()))),
            },
            Operation::Detach { .. } => match own.child.detach() {
                Ok(key) => {
                    if self.keys.iter().all(|known| known.text != key) {
                        self.keys.push(Key {
                            text: key,
                            actor: Arc::clone(&own.actor),
                            is_captured: own.is_captured,
                        });
                    }
                    text("detached")
                }
                Err(error) => refused(&error),
            },
            _ => {
                let own = self.children.swap_remove(at);
                let waiter = own.child.waiter();
                drop(own.child);
                if !own.actor.runs() {
                    self.completed(waiter);
                }
                text("dropped")
            }
        }
    }
}

impl Drop for Party {
    /// The detached children end too: nothing may be left of a party.
    fn drop(&mut self) {
        let runtime = self.runtime.handle().clone();
        let _entered = runtime.enter();
        for key in std::mem::take(&mut self.keys) {
            drop(self.guest().attach(&key.text));
        }
        self.streams.clear();
        self.children.clear();
    }
}

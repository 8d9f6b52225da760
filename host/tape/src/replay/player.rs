//! The thread of one child that is played: does what the tape has, and compares what it receives.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use capspawn_native::Signal;
use capspawn_native::escape::quoted;
use capspawn_native::launch::Exit;

use super::child::Shared;
use super::script::{Ending, Output, Step};
use super::session::line;
use super::streams::{Read, Streams};
use crate::difference::{Difference, Divergence};
use crate::format::{Content, Cut, Input, Status};
use crate::text::sha256;

/// One child that is played.
pub(super) struct Player {
    pub(super) shared: Arc<Shared>,
    pub(super) streams: Streams,
    /// The bytes that were written to each output, and whether its reader is there.
    outputs: [(u64, bool); 2],
}

impl Player {
    pub(super) fn new(shared: Arc<Shared>, streams: Streams) -> Self {
        Self {
            shared,
            streams,
            outputs: [(0, true); 2],
        }
    }

    /// Plays to the end. Dropping `shows_exit` shows it.
    pub(super) fn play(mut self, steps: Vec<Step>, ending: Ending, shows_exit: OwnedFd) {
        let played = steps.into_iter().try_for_each(|step| self.step(step));
        let exit = match played {
            Ok(()) => self.end(ending),
            Err(divergence) => {
                let text = divergence.to_string();
                self.shared.session.report(*divergence);
                Err(text)
            }
        };
        let Self {
            shared, streams, ..
        } = self;
        // The output is at its end before the exit shows.
        drop(streams);
        shared.set_exit(exit);
        drop(shows_exit);
    }

    fn end(&self, ending: Ending) -> Result<Exit, String> {
        let Ending::Exit(end) = ending else {
            while !self.shared.is_killed() {
                self.streams.await_signal();
            }
            return Ok(Exit::Signal(Signal::Kill.number()));
        };
        let shared = &self.shared;
        shared
            .session
            .await_turn(shared.index, || shared.is_killed());
        if end.out_of_memory {
            shared.set_out_of_memory();
        }
        match end.status {
            Status::Code(code) => Ok(Exit::Code(code)),
            Status::Signal(number) => Ok(Exit::Signal(number)),
            Status::Lost(reason) => Err(reason),
        }
    }

    fn step(&mut self, step: Step) -> Result<(), Box<Divergence>> {
        match step {
            Step::Receive(input) => self.receive(&input),
            Step::Await(number) => self.await_signal(number),
            Step::Write(output, bytes) => {
                self.write(output, &bytes);
                Ok(())
            }
            Step::ReceiveEnd => self.receive_end(),
            Step::Cut(cut) => self.cut(cut),
        }
    }

    fn receive(&self, expected: &Input) -> Result<(), Box<Divergence>> {
        let whole = usize::try_from(expected.bytes).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        while found.len() < whole {
            match self.streams.read(whole - found.len()) {
                Read::Bytes(bytes) => found.extend(bytes),
                Read::End => break,
                Read::Nothing => {
                    // It may have been sent with the input, which is read first.
                    if let Some(number) = self.shared.next_signal() {
                        let found = format!("signal {number}");
                        return Err(self.differs("stdin", Some(expected.to_string()), Some(found)));
                    }
                    self.streams.await_input();
                }
            }
        }
        let found = expected.like(&found);
        if found == *expected {
            return Ok(());
        }
        Err(self.differs("stdin", Some(expected.to_string()), Some(found.to_string())))
    }

    fn receive_end(&self) -> Result<(), Box<Divergence>> {
        loop {
            let found = match self.streams.read(usize::MAX) {
                Read::End => return Ok(()),
                Read::Bytes(bytes) => format!("{} bytes more", bytes.len()),
                Read::Nothing => match self.shared.next_signal() {
                    Some(number) => format!("signal {number}"),
                    None => {
                        self.streams.await_input();
                        continue;
                    }
                },
            };
            return Err(self.differs("stdin", Some("its end".to_owned()), Some(found)));
        }
    }

    fn await_signal(&self, expected: u8) -> Result<(), Box<Divergence>> {
        loop {
            match self.shared.next_signal() {
                Some(number) if number == expected => return Ok(()),
                Some(number) => {
                    let [expected, found] =
                        [expected, number].map(|it| Some(format!("signal {it}")));
                    return Err(self.differs("signal", expected, found));
                }
                None => self.streams.await_signal(),
            }
        }
    }

    fn write(&mut self, output: Output, bytes: &[u8]) {
        let (written, has_reader) = &mut self.outputs[output as usize];
        *written += bytes.len() as u64;
        if *has_reader {
            let shared = &self.shared;
            *has_reader = self.streams.write(output, bytes, || shared.is_killed());
        }
    }

    fn cut(&self, cut: Cut) -> Result<(), Box<Divergence>> {
        let (kept, has_reader) = match cut.stream.as_str() {
            "stdout" => self.outputs[Output::Stdout as usize],
            _ => self.outputs[Output::Stderr as usize],
        };
        // Who has left does not miss the rest.
        if !has_reader {
            return Ok(());
        }
        let (call, request, line) = self.place();
        Err(Box::new(Divergence::Cut {
            call,
            request,
            line,
            stream: cut.stream,
            kept,
            bytes: cut.bytes,
            sha256: cut.sha256,
        }))
    }

    fn place(&self) -> (usize, String, String) {
        let index = self.shared.index;
        let call = &self.shared.session.tape.calls[index];
        (index + 1, call.request.line(), line(call.line))
    }

    fn differs(
        &self,
        field: &str,
        expected: Option<String>,
        found: Option<String>,
    ) -> Box<Divergence> {
        let (call, request, line) = self.place();
        Box::new(Divergence::Child {
            call,
            request,
            line,
            difference: Box::new(Difference::new(field, expected, found)),
        })
    }
}

impl Input {
    /// Returns `bytes` in the form of this input.
    fn like(&self, bytes: &[u8]) -> Self {
        let content = match (&self.content, std::str::from_utf8(bytes)) {
            (Content::Sha256(_), _) => Content::Sha256(sha256(bytes)),
            (_, Ok(text)) => Content::Text(text.to_owned()),
            (_, Err(_)) => Content::Hex(crate::text::Hex(bytes.to_vec())),
        };
        Self {
            bytes: bytes.len() as u64,
            content,
        }
    }
}

impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes, ", self.bytes)?;
        match &self.content {
            Content::Sha256(hash) => write!(f, "sha256 {hash}"),
            Content::Text(text) => quoted(text).fmt(f),
            Content::Hex(hex) => write!(f, "hex {}", String::from(hex.clone())),
        }
    }
}

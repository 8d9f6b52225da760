//! What a player does, step by step.

use crate::dirs::Dirs;
use crate::format::{Cut, End, Event, Failure, Input};
use crate::tape::Call;

/// The output that a step writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    Stdout,
    Stderr,
}

/// One step of a child.
#[derive(Debug)]
pub(super) enum Step {
    /// Reads this from standard input.
    Receive(Input),
    /// Waits for this signal.
    Await(u8),
    Write(Output, Vec<u8>),
    /// Reads the end of standard input.
    ReceiveEnd,
    /// Fails: the tape lacks the rest of a stream.
    Cut(Cut),
}

/// How a script ends.
#[derive(Debug)]
pub(super) enum Ending {
    Exit(End),
    /// The tape does not have it: the child runs until it is killed.
    Unknown,
}

/// What one call does.
#[derive(Debug)]
pub(super) enum Script {
    Runs(Vec<Step>, Ending),
    Fails(Failure),
}

impl Script {
    pub(super) fn new(call: &Call, dirs: &Dirs) -> Self {
        let mut steps = Vec::new();
        for event in &call.events {
            match event {
                Event::Stdin(input) => steps.push(Step::Receive(input.clone())),
                Event::Signal { number } => steps.push(Step::Await(*number)),
                Event::Stdout(piece) => write(&mut steps, Output::Stdout, piece.bytes()),
                Event::Stderr(piece) => write(&mut steps, Output::Stderr, piece.bytes()),
                Event::StdinEnd => steps.push(Step::ReceiveEnd),
                Event::Cut(cut) => steps.push(Step::Cut(cut.clone())),
                Event::Exit(end) => {
                    return Self::Runs(shown(steps, dirs), Ending::Exit(end.clone()));
                }
                Event::Failed(failure) => return Self::Fails(failure.clone()),
                Event::Start(_) | Event::Unfinished(_) => {}
            }
        }
        Self::Runs(shown(steps, dirs), Ending::Unknown)
    }
}

/// Adds bytes to the last write, which they follow, or as one of their own.
fn write(steps: &mut Vec<Step>, output: Output, bytes: &[u8]) {
    match steps.last_mut() {
        Some(Step::Write(last, written)) if *last == output => written.extend_from_slice(bytes),
        _ => steps.push(Step::Write(output, bytes.to_vec())),
    }
}

/// Puts the directories in place of their names, which may lie across two lines of the tape.
fn shown(mut steps: Vec<Step>, dirs: &Dirs) -> Vec<Step> {
    for step in &mut steps {
        if let Step::Write(_, bytes) = step {
            *bytes = dirs.show(bytes);
        }
    }
    steps
}

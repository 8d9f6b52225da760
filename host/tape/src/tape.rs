//! A tape, read and checked.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use capspawn_native::{Signal, escape};

use crate::format::{Event, Header, Line, VERSION};
use crate::request::{Request, Values};
use crate::text::sha256;

/// The digits of the hash of a call: 16, which no accident hits.
const CHECK_DIGITS: usize = 16;

/// What launches were requested, and what their children did.
///
/// Made by a [`Recorder`](crate::Recorder), as a file of JSON lines.
#[derive(Debug, Clone)]
pub struct Tape {
    pub(crate) header: Header,
    pub(crate) calls: Vec<Call>,
}

/// One launch, and what followed it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The number of its first line in the file.
    pub(crate) line: usize,
    pub(crate) request: Request,
    /// What follows the start, the end included.
    pub(crate) events: Vec<Event>,
}

impl Call {
    /// Returns the place of the end among the ends of all children; none if nothing has ended, or was killed: in which order
    /// killed children end is an accident.
    pub(crate) fn order(&self, number: usize) -> Option<usize> {
        let number_of_kill = Signal::Kill.number();
        let is_kill =
            |it: &Event| matches!(it, Event::Signal { number } if *number == number_of_kill);
        match self.events.last() {
            _ if self.events.iter().any(is_kill) => None,
            Some(Event::Exit(end)) => Some(end.order.unwrap_or(number)),
            _ => None,
        }
    }
}

/// A tape that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TapeError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line is none of a tape.
    #[error("line {line}: {reason}")]
    Line {
        /// Its number, from 1 on.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A line of a call was changed after it had been recorded.
    #[error(
        "line {line}, call {call} ({request}): a line of this call was changed after it was recorded: record it again, \
         or remove its \"check\" to use it as it is"
    )]
    Changed {
        /// The number of the call's first line.
        line: usize,
        /// The number of the call.
        call: usize,
        /// The request.
        request: String,
    },
}

impl Tape {
    /// Reads the tape at `path`.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is not a tape, or was changed since.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, TapeError> {
        Self::parse(&fs::read_to_string(path)?)
    }

    /// Reads the tape with this text.
    ///
    /// # Errors
    ///
    /// The text is not a tape, or was changed since.
    pub fn parse(text: &str) -> Result<Self, TapeError> {
        let mut lines = text.lines().zip(1..);
        let header = lines
            .next()
            .ok_or_else(|| at(1, "an empty file is no tape"))?;
        let header: Header = serde_json::from_str(header.0)
            .map_err(|error| at(1, format!("not the first line of a tape: {error}")))?;
        if header.version != VERSION {
            let version = header.version;
            return Err(at(
                1,
                format!("a tape of version {version}; this program reads version {VERSION}"),
            ));
        }
        let mut calls: Vec<Call> = Vec::new();
        // The lines of the last call, if its end is still to come.
        let mut open: Option<Vec<Line>> = None;
        for (text, number) in lines {
            let line: Line = serde_json::from_str(text).map_err(|error| at(number, error))?;
            match (&mut open, line.event) {
                (None, Event::Start(request)) => {
                    if line.call != calls.len() + 1 {
                        let reason =
                            format!("call {}: expected call {}", line.call, calls.len() + 1);
                        return Err(at(number, reason));
                    }
                    calls.push(Call {
                        line: number,
                        request: (*request).clone(),
                        events: Vec::new(),
                    });
                    let event = Event::Start(request);
                    open = Some(vec![Line {
                        call: line.call,
                        event,
                    }]);
                }
                (Some(_), Event::Start(_)) => {
                    return Err(at(number, format!("call {} has no end yet", calls.len())));
                }
                (None, _) => {
                    return Err(at(
                        number,
                        format!("call {} has ended or not begun", line.call),
                    ));
                }
                (Some(lines), mut event) => {
                    let Some(call) = calls.last_mut().filter(|_| line.call == lines[0].call) else {
                        let reason = format!(
                            "a line of call {} among those of call {}",
                            line.call, lines[0].call
                        );
                        return Err(at(number, reason));
                    };
                    let check = event.check().map(Option::take);
                    call.events.push(event.clone());
                    lines.push(Line {
                        call: line.call,
                        event,
                    });
                    if let Some(check) = check {
                        if check.is_some_and(|check| check != self::check(lines)) {
                            return Err(TapeError::Changed {
                                line: call.line,
                                call: line.call,
                                request: call.request.line(),
                            });
                        }
                        open = None;
                    }
                }
            }
        }
        if open.is_some() {
            let line = text.lines().count();
            return Err(at(
                line,
                format!("the file ends within call {}", calls.len()),
            ));
        }
        check_order(&calls)?;
        Ok(Self { header, calls })
    }

    /// Returns how many launches the tape has, failed ones included.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Returns whether the tape has no launch.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Returns what hides the values of variables and standard input.
    pub fn values(&self) -> Values {
        self.header.values
    }

    /// Returns the names of the directories that the tape leaves open; see [`Dirs`](crate::Dirs).
    pub fn dirs(&self) -> &[String] {
        &self.header.dirs
    }
}

fn at(line: usize, reason: impl ToString) -> TapeError {
    TapeError::Line {
        line,
        reason: reason.to_string(),
    }
}

/// Refuses ends of which two have the same place, or a place that is none.
fn check_order(calls: &[Call]) -> Result<(), TapeError> {
    let ends = || {
        calls
            .iter()
            .zip(1..)
            .filter_map(|(call, number)| Some((call, number, call.order(number)?)))
    };
    let mut seen = vec![None; calls.len() + 1];
    for (call, number, order) in ends() {
        let place = seen.get_mut(order).filter(|_| order > 0);
        match place {
            None => {
                let reason = format!(
                    "call {number} has order {order}, and there are {} calls",
                    calls.len()
                );
                return Err(at(call.line, reason));
            }
            Some(Some(other)) => {
                let reason = format!("call {number} has order {order}, as call {other} has");
                return Err(at(call.line, reason));
            }
            Some(place) => *place = Some(number),
        }
    }
    Ok(())
}

/// Returns `line` as a tape has it, without the line feed.
pub(crate) fn json(line: &impl serde::Serialize) -> String {
    // Plain data: no map in it has a key that is not a string.
    escape::json(line).unwrap_or_default()
}

/// Returns the hash of a call's lines, of which the last has none yet.
pub(crate) fn check(lines: &[Line]) -> String {
    let text = lines.iter().fold(String::new(), |mut text, line| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", json(line));
        text
    });
    sha256(text.as_bytes())[..CHECK_DIGITS].to_owned()
}

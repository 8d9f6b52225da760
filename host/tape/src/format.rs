//! The lines of a tape.
//!
//! One JSON object a line, and the lines of one call together, in the order of the launches: two recordings of the same run
//! differ only in what the run itself does differently. Rejected: one line for each event in the order of time, in which
//! concurrent children change places from one recording to the next.

use capspawn_native::launch::{Exit, Stage};
use serde::{Deserialize, Serialize};

use crate::request::{Request, Values};
use crate::text::Piece;

/// The version of the format.
pub(crate) const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    #[serde(rename = "capspawn-tape")]
    pub(crate) version: u32,
    /// What hides the values of variables and standard input.
    pub(crate) values: Values,
    /// The names of the directories that are replaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) dirs: Vec<String>,
}

/// Each further line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The number of the launch, from 1 on.
    pub(crate) call: usize,
    #[serde(flatten)]
    pub(crate) event: Event,
}

/// What happened in one call. The first event is a start, the last one an exit or a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event {
    /// A launch was requested.
    Start(Box<Request>),
    /// The child received this, whole, before what follows.
    Stdin(Input),
    /// The host sent a signal of this number while the child ran.
    Signal { number: u8 },
    /// The child wrote to its standard output.
    Stdout(Piece),
    /// The child wrote to its standard error.
    Stderr(Piece),
    /// The child's standard input was at its end before the child had ended.
    StdinEnd,
    /// The lines above have only the beginning of a stream.
    Cut(Cut),
    /// The child ended.
    Exit(End),
    /// No child was started.
    Failed(Failure),
    /// The recording ended before the child.
    Unfinished(Unfinished),
}

/// A part of standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Input {
    pub(crate) bytes: u64,
    #[serde(flatten)]
    pub(crate) content: Content,
}

/// What a part of standard input is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Content {
    Sha256(String),
    Text(String),
    Hex(crate::text::Hex),
}

/// All of a stream of which a tape has the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cut {
    pub(crate) stream: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

/// How a child ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct End {
    #[serde(flatten)]
    pub(crate) status: Status,
    /// The kernel ended it at its memory limit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) out_of_memory: bool,
    /// Its place among the ends of all children, from 1 on; none if it is the number of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) order: Option<usize>,
    /// How long the child ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) millis: Option<u64>,
    /// The beginning of the hash of the call's lines, without this field. Absent in a call that was written by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) check: Option<String>,
}

/// A child's status, as its launcher reported it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    Code(i32),
    Signal(u8),
    /// The launcher ended the child, or lost it, for this reason.
    Lost(String),
}

impl From<Exit> for Status {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Code(code) => Self::Code(code),
            Exit::Signal(number) => Self::Signal(number),
        }
    }
}

/// Why a launch failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// The step, as [`Stage`]'s `Debug` writes it.
    pub(crate) stage: String,
    /// The system's error number, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) errno: Option<i32>,
    /// The error's text.
    pub(crate) error: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) check: Option<String>,
}

/// A call of which the recording has no end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unfinished {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) check: Option<String>,
}

/// Every step of a launch, by its name in tapes.
const STAGES: [Stage; 21] = [
    Stage::Key,
    Stage::Pipe,
    Stage::OpenFile,
    Stage::OpenProgram,
    Stage::Spawn,
    Stage::Signals,
    Stage::Setsid,
    Stage::Announce,
    Stage::Cgroup,
    Stage::Stdio,
    Stage::Descriptors,
    Stage::WorkingDirectory,
    Stage::Limits,
    Stage::Identity,
    Stage::Privileges,
    Stage::Ruleset,
    Stage::Filter,
    Stage::Exec,
    Stage::Namespaces,
    Stage::Root,
    Stage::Request,
];

impl Event {
    /// Returns the place of the hash, if this is the last event of a call.
    pub(crate) fn check(&mut self) -> Option<&mut Option<String>> {
        match self {
            Self::Exit(end) => Some(&mut end.check),
            Self::Failed(failure) => Some(&mut failure.check),
            Self::Unfinished(unfinished) => Some(&mut unfinished.check),
            _ => None,
        }
    }
}

impl Failure {
    /// Returns the step that failed.
    pub(crate) fn stage(&self) -> Option<Stage> {
        STAGES
            .into_iter()
            .find(|it| format!("{it:?}") == self.stage)
    }
}

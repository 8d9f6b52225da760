//! What the children of a test were, and what the test has not foreseen of them.

use std::ffi::OsString;
use std::fmt;
use std::fmt::Write as _;
use std::path::PathBuf;

use capspawn_native::escape::{quoted, quoted_list};
use capspawn_native::launch::Plan;

use crate::script::Entry;

/// The most bytes of an input that a fault shows.
const MAX_SHOWN_BYTES: usize = 200;

/// One launch, as the grant has decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The command's name, as the guest asked for it.
    pub command: String,
    /// The program's path, with which the launcher would execute it.
    pub program: PathBuf,
    /// The whole argument vector, `argv[0]` and the grant's fixed arguments included.
    pub argv: Vec<OsString>,
    /// The names of the variables of its environment, in the alphabet's order.
    pub env_names: Vec<String>,
    /// Where it starts.
    pub cwd: PathBuf,
    /// What it has read of its standard input until it ended: the first MiB.
    pub stdin: Vec<u8>,
}

impl Call {
    /// Returns the call that `plan` makes.
    pub fn new(plan: &Plan) -> Self {
        let mut env_names: Vec<_> = plan.env.iter().map(|(name, _)| name.clone()).collect();
        env_names.sort();
        Self {
            command: plan.request.program.clone(),
            program: plan.program.path.clone(),
            argv: plan.argv.clone(),
            env_names,
            cwd: plan.cwd.path.clone(),
            stdin: Vec::new(),
        }
    }

    /// Returns the arguments without `argv[0]`.
    pub fn args(&self) -> &[OsString] {
        self.argv.get(1..).unwrap_or_default()
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.command, quoted_list(self.args()))
    }
}

/// What a test has not foreseen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A call for which there is no script: the call, the nearest script, and the first difference.
    Unexpected(String),
    /// Standard input that is not what the script expects.
    Input(String),
}

impl Fault {
    pub(super) fn input(call: &Call, expected: &[u8], found: &[u8]) -> Self {
        Self::Input(format!(
            "unexpected standard input of {call}\n  expected: {}\n  found:    {}",
            shown(expected),
            shown(found)
        ))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected(text) | Self::Input(text) => f.write_str(text),
        }
    }
}

fn shown(bytes: &[u8]) -> String {
    let part = &bytes[..bytes.len().min(MAX_SHOWN_BYTES)];
    let text = String::from_utf8_lossy(part);
    let rest = bytes.len() - part.len();
    if rest > 0 {
        format!("{} and {rest} more bytes", quoted(&*text))
    } else {
        quoted(&*text).to_string()
    }
}

/// Describes a call for which no script is, by the script that comes nearest.
pub(super) fn unexpected(entries: &[Entry], plan: &Plan, call: &Call) -> String {
    let mut text = format!("no script for {call}");
    let args = call.args();
    let own = entries.iter().filter(|entry| entry.is_for(plan));
    // Of equally near ones the first: `max_by_key` returns the last.
    let Some(nearest) = own.rev().max_by_key(|entry| {
        let is_whole = entry.args.matches(args);
        (is_whole, entry.args.common(args))
    }) else {
        let mut names: Vec<_> = entries.iter().map(|it| it.command.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let _ = match &names[..] {
            [] => write!(text, "\n  there are no scripts"),
            names => write!(text, "\n  there are scripts for: {}", names.join(", ")),
        };
        return text;
    };
    let _ = write!(text, "\n  nearest script: {nearest}");
    let reason = if let Some(difference) = nearest.args.difference(args) {
        difference
    } else if nearest.is_used_up() {
        "it is used up".to_owned()
    } else {
        "its condition (`when`) does not hold".to_owned()
    };
    let _ = write!(text, "\n  {reason}");
    text
}

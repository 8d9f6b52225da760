//! The options of `capspawn run` about tapes.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args as ClapArgs;

/// What is recorded or replayed.
#[derive(Debug, Default, ClapArgs)]
pub(crate) struct TapeArgs {
    /// Write what the programs were asked and what they answered to TAPE, which --replay plays
    ///
    /// JSON lines: each request, and the output and the status of its program. Values of variables and standard
    /// input are in it as hashes. A file of that name is replaced.
    #[arg(
        long,
        value_name = "TAPE",
        conflicts_with = "replay",
        help_heading = "Tapes"
    )]
    pub(crate) record: Option<PathBuf>,

    /// Record the values of variables and standard input themselves, secrets among them, not their hashes
    #[arg(long, requires = "record", help_heading = "Tapes")]
    pub(crate) record_values: bool,

    /// Do not record how long programs ran: two recordings of the same run are then the same file
    #[arg(long, requires = "record", help_heading = "Tapes")]
    pub(crate) record_no_times: bool,

    /// The most that is recorded of each output of a program (`64KiB`, `4MiB`) [default: 256KiB]
    ///
    /// Of a longer output the tape has the beginning, the length and a hash, and a replay reports that the rest is
    /// missing.
    #[arg(
        long,
        value_name = "SIZE",
        value_parser = capspawn_native::grant::parse_size,
        requires = "record",
        help_heading = "Tapes"
    )]
    pub(crate) record_max_output: Option<u64>,

    /// Answer the component's requests from TAPE; no program is started
    ///
    /// The grant decides as usual. If a request or its standard input is not the one on the tape, it fails; what
    /// differs is printed at the end, and the exit code is 3.
    #[arg(long, value_name = "TAPE", help_heading = "Tapes")]
    pub(crate) replay: Option<PathBuf>,

    /// Find each request anywhere on the tape, for a component that starts programs concurrently
    #[arg(long, requires = "replay", help_heading = "Tapes")]
    pub(crate) replay_any_order: bool,

    /// A directory that the tape shows as $NAME, so that it can be another one when the tape is replayed
    #[arg(long = "tape-dir", value_name = "NAME=DIR", help_heading = "Tapes")]
    pub(crate) dirs: Vec<NamedDir>,
}

/// A directory with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedDir {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
}

impl FromStr for NamedDir {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, dir)) if !name.is_empty() && !dir.is_empty() => Ok(Self {
                name: name.to_owned(),
                dir: dir.into(),
            }),
            _ => Err("expected NAME=DIR"),
        }
    }
}

//! `--record` and `--replay`: the launcher that writes or plays a tape.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use capspawn::launch::Launcher;
use capspawn::sandbox::NativeLauncher;
use capspawn_tape::{Dirs, Order, Recorder, Replayer, Tape, Values};

use crate::output;
use crate::tape_args::TapeArgs;

/// Exit code of a run that differs from its tape.
const DIVERGED: u8 = 3;

/// The tape of a run, if it has one.
#[derive(Debug)]
pub(crate) enum TapeUse {
    /// Programs are started, and nothing is recorded.
    None,
    /// Programs are started and recorded. The file is created when the component is about to start.
    Record(PathBuf, Dirs, Option<Arc<Recorder>>),
    /// No program is started.
    Replay(Arc<Replayer>),
}

impl TapeUse {
    /// Reads the tape of `--replay`.
    ///
    /// # Errors
    ///
    /// It is not a tape, or a directory of `--tape-dir` is none of it.
    pub(crate) fn new(args: &TapeArgs) -> Result<Self> {
        let dirs = dirs(args)?;
        if let Some(path) = &args.record {
            return Ok(Self::Record(path.clone(), dirs, None));
        }
        let Some(path) = &args.replay else {
            if !args.dirs.is_empty() {
                bail!(
                    "--tape-dir names a directory for a tape: add --record TAPE or --replay TAPE"
                );
            }
            return Ok(Self::None);
        };
        let tape = Tape::load(path);
        let tape = tape.with_context(|| format!("cannot replay {}", path.display()))?;
        let order = match args.replay_any_order {
            true => Order::Any,
            false => Order::Strict,
        };
        let replayer = Replayer::builder(tape).dirs(dirs).order(order).build();
        let replayer = replayer.with_context(|| {
            format!(
                "cannot replay {}: --tape-dir NAME=DIR sets directories",
                path.display()
            )
        })?;
        Ok(Self::Replay(Arc::new(replayer)))
    }

    /// Whether programs are started.
    pub(crate) fn starts_programs(&self) -> bool {
        !matches!(self, Self::Replay(_))
    }

    /// Returns the launcher of the run, and creates the tape of `--record`. `native` starts programs.
    ///
    /// # Errors
    ///
    /// The tape cannot be created.
    pub(crate) fn launcher(
        &mut self,
        args: &TapeArgs,
        native: Option<Arc<NativeLauncher>>,
    ) -> Result<Arc<dyn Launcher>> {
        match (self, native) {
            (Self::Replay(replayer), _) => Ok(replayer.clone()),
            (Self::None, Some(native)) => Ok(native),
            (Self::Record(path, dirs, recorder), Some(native)) => {
                let mut builder = Recorder::builder(native)
                    .dirs(dirs.clone())
                    .times(!args.record_no_times);
                if args.record_values {
                    builder = builder.values(Values::Plain);
                }
                if let Some(bytes) = args.record_max_output {
                    builder = builder.max_stream_bytes(bytes);
                }
                let created = builder.create(&*path);
                let created = created.with_context(|| cannot_write(path))?;
                Ok(recorder.insert(Arc::new(created)).clone())
            }
            (_, None) => bail!("no launcher starts programs"),
        }
    }

    /// Completes the tape, or compares the run with it. Returns the exit code of a run that differs.
    ///
    /// # Errors
    ///
    /// The tape could not be written.
    pub(crate) fn finish(&self) -> Result<Option<u8>> {
        match self {
            Self::Record(path, _, Some(recorder)) => {
                recorder.finish().with_context(|| cannot_write(path))?;
                Ok(None)
            }
            Self::Replay(replayer) => Ok(differences(replayer)),
            Self::None | Self::Record(..) => Ok(None),
        }
    }
}

/// Prints the first difference of a replay, which the others may follow from.
fn differences(replayer: &Replayer) -> Option<u8> {
    let all = replayer.divergences();
    let (first, others) = all.split_first()?;
    output::note("the run differs from its tape:");
    first.to_string().lines().for_each(output::note);
    if !others.is_empty() {
        output::note(&format!("differences after this one: {}", others.len()));
    }
    Some(DIVERGED)
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write the tape {}", path.display())
}

/// Returns the directories of `--tape-dir`, which may be relative to the current one.
fn dirs(args: &TapeArgs) -> Result<Dirs> {
    let mut dirs = Dirs::default();
    for named in &args.dirs {
        let dir = std::path::absolute(&named.dir);
        let dir = dir.with_context(|| format!("--tape-dir {}", named.dir.display()))?;
        dirs.add(&named.name, dir).context("--tape-dir")?;
    }
    Ok(dirs)
}

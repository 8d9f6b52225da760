//! `capspawn learn`: runs a program or a component once, watches it, and proposes a grant for it.
//!
//! A grant is written from what a program needs, which its author knows and its operator has to find out. Here the
//! program runs in a session that shows it all files but known secrets, under an observer; then what it used is folded
//! into few directories and written as a grant, into a file that may have one already.
//!
//! Rejected: to learn under the grant as it is, and to add what was refused. A program stops at the first refusal, so that
//! each run would learn one thing.

mod args;
mod fold;
mod limits;
mod merge;
mod observe;
mod pattern;
mod propose;
mod secrets;
mod sight;
mod text;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

pub(crate) use self::args::LearnArgs;
use crate::output;

/// Runs what the options name, and prints or merges the proposal. Returns the code of the program.
pub(crate) fn learn(args: &LearnArgs) -> Result<u8> {
    let mut document = match &args.into {
        Some(path) => read(path)?,
        None => String::new(),
    };
    let sight = sight::Sight::new(args)?;
    output::note(&sight.warning());
    if sight.holds_program {
        output::note(
            "the program lies below the working directory, so it may not write there: name the directories that it writes to with --write",
        );
    }
    let seen = observe::run(args, &sight)?;
    let proposal = propose::propose(args, &sight, &seen);
    for note in &proposal.notes {
        output::note(note);
    }
    if proposal.commands.is_empty() {
        output::note("nothing was started: there is nothing to propose");
        return Ok(seen.code);
    }
    document = merge::merge(document, &proposal).context("cannot merge the proposal")?;
    match &args.into {
        None => output::print(&document)?,
        Some(path) => {
            write(path, &document)?;
            let path = path.display();
            output::note(&format!(
                "{path} allows it now: read it, and run `capspawn check {path}`"
            ));
        }
    }
    Ok(seen.code)
}

/// Reads a grant file; one that does not exist is empty.
fn read(path: &Path) -> Result<String> {
    let name = path.display();
    match fs::read_to_string(path) {
        Ok(text) => match text.parse::<toml::Table>() {
            Ok(_) => Ok(text),
            Err(error) => bail!(
                "{name} is not TOML, so nothing can be merged into it: {}",
                error.message()
            ),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {name}")),
    }
}

/// Replaces the file at once: a reader finds the old grant or the new one.
fn write(path: &Path, text: &str) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    fs::write(&new, text)
        .and_then(|()| match fs::metadata(path) {
            Ok(old) => fs::set_permissions(&new, old.permissions()),
            Err(_) => Ok(()),
        })
        .and_then(|()| fs::rename(&new, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

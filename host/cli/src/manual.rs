//! `capspawn help`, `capspawn completions` and `capspawn man`: the manual, from the definition of the command line.

use std::fs;

use anyhow::{Context as _, Result, bail};
use clap::{Command, CommandFactory as _};

use crate::args::{Args, CompletionsArgs, HelpArgs, ManArgs};
use crate::{output, reference, schemas, similar};

/// Prints a manual.
pub(crate) fn help(args: &HelpArgs) -> Result<u8> {
    let topic = args.topic.as_deref();
    if args.markdown && topic != Some("grants") {
        bail!("--markdown is for the keys of grants: `capspawn help grants --markdown`");
    }
    match topic {
        Some("grants") => reference::print(args.name.as_deref(), args.markdown)?,
        Some("json") => schemas::print(args.name.as_deref())?,
        topic => {
            let mut command = find(topic)?;
            // In colours where clap prints them.
            command
                .print_long_help()
                .context("cannot write to standard output")?;
        }
    }
    Ok(0)
}

/// Prints the completions of a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<u8> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "capspawn", &mut text);
    output::print(&String::from_utf8(text)?)?;
    Ok(0)
}

/// Prints a man page, or writes all of them.
pub(crate) fn man(args: &ManArgs) -> Result<u8> {
    let Some(folder) = &args.dir else {
        output::print(&page(find(args.command.as_deref())?)?)?;
        return Ok(0);
    };
    let context = || format!("cannot write man pages to {}", folder.display());
    fs::create_dir_all(folder).with_context(context)?;
    let root = Args::command();
    let names = root.get_subcommands().map(|it| Some(it.get_name()));
    for name in [None].into_iter().chain(names) {
        let command = find(name)?;
        let file = folder.join(format!("{}.1", command.get_name()));
        fs::write(file, page(command)?).with_context(context)?;
    }
    Ok(0)
}

/// Returns a command by its name, with its name as a man page has it.
fn find(name: Option<&str>) -> Result<Command> {
    let mut root = Args::command();
    root.build();
    let Some(name) = name else { return Ok(root) };
    match root.find_subcommand(name) {
        Some(command) => {
            // clap keeps names as static strings. The process prints a page and ends.
            let (whole, shown) = (format!("capspawn-{name}"), format!("capspawn {name}"));
            Ok(command.clone().name(whole.leak() as &str).bin_name(shown))
        }
        None => {
            let names = root.get_subcommands().map(Command::get_name);
            let hint = similar::did_you_mean(name, names.chain(["grants", "json"]));
            bail!("capspawn has no command {name:?}{hint}. `capspawn help` lists the commands")
        }
    }
}

fn page(command: Command) -> Result<String> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text)?;
    Ok(String::from_utf8(text)?)
}

//! The options of the commands that help to write a grant and to use the command: `init`, `help`, `completions`, `man`.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap_complete::Shell;

use super::Variable;

pub(super) const INIT_ABOUT: &str = "Print a grant for a well-known program, to start from";

pub(super) const INIT_LONG_ABOUT: &str = "\
Print a grant file for a well-known program to standard output: a recipe, with the paths of this host. \
Each recipe is tested with the real program: what it allows and what it refuses. The folder that the \
program works on is the current one unless `--set workspace=DIR` names another. Files in it in which \
secrets usually are, such as `.env` and `.ssh`, are denied.";

pub(super) const INIT_FOOTER: &str = "\
Exit codes:
  0  the grant was printed
  2  there is no such recipe or value, or a program of the recipe is not installed

Examples:
  capspawn init --list
  capspawn init git-read-only --set component=exec --set workspace=/srv/site > grants.toml
  capspawn check grants.toml";

pub(super) const HELP_ABOUT: &str =
    "Show the manual of a command, the keys of grants, or the schemas of JSON output";

pub(super) const HELP_LONG_ABOUT: &str = "\
Show a manual: without a topic that of capspawn, with the name of a command that of the command. \
`help grants` lists every key of a grant file, with its type, its default, an example and the reason \
for it; `help grants KEY` one key, or those below it. `help json` lists the schemas of the JSON that \
capspawn prints, and `help json NAME` prints one.";

pub(super) const HELP_FOOTER: &str = "\
Examples:
  capspawn help grants limits.memory
  capspawn help grants env
  capspawn help json check";

pub(super) const COMPLETIONS_ABOUT: &str = "Print the completions of a shell";

pub(super) const COMPLETIONS_FOOTER: &str = "\
Examples:
  capspawn completions bash > ~/.local/share/bash-completion/completions/capspawn
  capspawn completions zsh > \"${fpath[1]}/_capspawn\"
  capspawn completions fish > ~/.config/fish/completions/capspawn.fish";

pub(super) const MAN_ABOUT: &str = "Print a man page, or write all of them to a folder";

pub(super) const MAN_FOOTER: &str = "\
Examples:
  capspawn man | man -l -
  capspawn man --dir ~/.local/share/man/man1 && man capspawn-run";

/// `capspawn init`.
#[derive(Debug, ClapArgs)]
pub(crate) struct InitArgs {
    /// List the recipes, with the values that each takes
    #[arg(long)]
    pub(crate) list: bool,

    /// A value of the recipe: `workspace=DIR`, `component=NAME`, or one that --list shows
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(crate) set: Vec<Variable>,

    /// The recipe
    #[arg(value_name = "RECIPE", required_unless_present = "list")]
    pub(crate) recipe: Option<String>,
}

/// `capspawn help`.
#[derive(Debug, ClapArgs)]
pub(crate) struct HelpArgs {
    /// With `grants`: print the tables of host/GRANTS.md
    #[arg(long)]
    pub(crate) markdown: bool,

    /// A command, `grants` or `json`
    #[arg(value_name = "TOPIC")]
    pub(crate) topic: Option<String>,

    /// With `grants` a key, with `json` the name of an output
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// `capspawn completions`.
#[derive(Debug, ClapArgs)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// `capspawn man`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ManArgs {
    /// Write the pages of all commands to this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// The command whose page is printed [default: that of capspawn]
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    pub(crate) command: Option<String>,
}

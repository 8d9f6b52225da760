//! The options of `capspawn learn`.

use std::path::PathBuf;
use std::time::Duration;

use capspawn_native::confinement::Network;
use clap::Args as ClapArgs;

use crate::args::{DirMapping, SandboxArgs, Variable};

/// `capspawn learn`.
#[derive(Debug, ClapArgs)]
pub(crate) struct LearnArgs {
    /// Merge the proposal into this grant file, which is made if there is none
    ///
    /// Comments and order stay. A command that the file has already is widened: where arguments differ, they become
    /// `int`, `path` or `one-of`. Without this option the proposal is printed.
    #[arg(long, value_name = "FILE", help_heading = "The proposal")]
    pub(crate) into: Option<PathBuf>,

    /// The component's section of the proposal [default: COMPONENT's file name without `.wasm`, or `exec`]
    #[arg(long, value_name = "NAME", help_heading = "The proposal")]
    pub(crate) component: Option<String>,

    /// The name of the command in the proposal [default: the program's file name]
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "guest",
        help_heading = "The proposal"
    )]
    pub(crate) name: Option<String>,

    /// Also let it write below DIR, in addition to the working directory
    #[arg(
        long = "write",
        value_name = "DIR",
        help_heading = "What it may do meanwhile"
    )]
    pub(crate) write: Vec<PathBuf>,

    /// Let it write nothing, not even below the working directory
    #[arg(
        long,
        conflicts_with = "write",
        help_heading = "What it may do meanwhile"
    )]
    pub(crate) read_only: bool,

    /// The network that it sees: none, loopback or host
    #[arg(
        long,
        value_name = "NETWORK",
        default_value = "none",
        help_heading = "What it may do meanwhile"
    )]
    pub(crate) network: Network,

    /// End it after TIME (`30s`, `10min`)
    #[arg(
        long,
        value_name = "TIME",
        value_parser = capspawn_native::grant::parse_duration,
        default_value = "10min",
        help_heading = "What it may do meanwhile"
    )]
    pub(crate) timeout: Duration,

    /// A variable for the program's environment, or for that of the component itself
    ///
    /// A program also gets HOME and PATH of this command; they are proposed if it used files there.
    #[arg(
        long = "env",
        value_name = "NAME=VALUE",
        help_heading = "What it may do meanwhile"
    )]
    pub(crate) env: Vec<Variable>,

    /// A directory that the component itself may read and write; see `capspawn run --help`
    #[arg(
        long = "dir",
        value_name = "HOST[::GUEST][:ro]",
        help_heading = "What it may do meanwhile"
    )]
    pub(crate) dirs: Vec<DirMapping>,

    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,

    /// The component to run; without one, ARGS are a program and its arguments
    #[arg(value_name = "COMPONENT.wasm")]
    pub(crate) guest: Option<PathBuf>,

    /// The component's arguments; or the absolute path of a program, and its arguments
    #[arg(value_name = "ARGS", last = true)]
    pub(crate) args: Vec<String>,
}

//! The command line and its manual.

mod operator;

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use capspawn_native::grant::Identity;
use capspawn_native::launch::OwnerUids;
use capspawn_native::sandbox::Tier;
use clap::{Args as ClapArgs, Parser};

pub(crate) use self::operator::{CompletionsArgs, HelpArgs, InitArgs, ManArgs};
use crate::learn::LearnArgs;
use crate::tape_args::TapeArgs;

const ABOUT: &str = "Run WebAssembly components that may start the programs that a grant allows";

const LONG_ABOUT: &str = "\
Run WebAssembly components that may start the programs that a grant allows.

A component that imports `capspawn:process` requests a command by its name in a grant file, with \
an argument vector. There is no shell, no search path and no inherited environment. A request that \
the grant does not allow is denied: the component learns which part of its request was refused, and \
the operator learns why.";

const FOOTER: &str = "\
Exit codes:
  2      capspawn itself failed: a bad option, grant file or component; nothing was started
  `capspawn run` otherwise exits with the component's code; each command's --help has its codes

Example:
  capspawn run --grants grants.toml exec.wasm -- uname -sr";

const RUN_ABOUT: &str = "Run a component with the commands that a grant allows";

const RUN_LONG_ABOUT: &str = "\
Run a component (a `wasi:cli` command of version 0.2 or 0.3) with the commands that a grant allows.

The component gets this command's standard streams, the arguments after `--`, and the directories \
and variables of --dir and --env. It has no network. The programs that it starts get none of these: \
they get what the grant gives them. When the component ends or a signal ends capspawn, capspawn \
kills every child that still runs, detached children included.";

const RUN_FOOTER: &str = "\
Exit codes:
  N      the component exited with code N; 1 if it reported failure without a code
  2      capspawn itself failed: a bad option, grant file or component, or --run-as or --owner-uids without root;
         nothing was started
  3      the run differs from the tape of --replay; the first difference is on standard error
  124    the component did not end within --timeout
  134    the component trapped
  128+N  signal N ended capspawn (130 is an interrupt from the keyboard)

Files:
  GRANTS      TOML; `capspawn help grants` lists every key. A component without a section in it may run nothing.
  EVENTS      One JSON object a line: event (spawn, approved, denied, quota, failed, suppressed,
              lost, detached, attached, exit), time, component, tenant, guest, command, args; an exit
              also has the status and the bytes of each stream. Long requests are cut. It may be a
              pipe: events that cannot be written at once are lost, and counted.
  TAPE        One JSON object a line: what programs were asked and what they answered. It can be kept in
              git, and replayed without the programs.
  wasmtime's cache directory keeps compiled components: the first run of a large component
  takes seconds, the next one does not.

Open files:
  capspawn raises its own soft limit (`ulimit -n`) to the hard one, because each running child takes
  up to five descriptors of it. Children have the limit of the grant (`limits.open-files`).

Environment:
  CAPSPAWN_LOG    A filter for the log on standard error, such as `debug` or `capspawn=trace`.
                  Without it nothing is logged.

Examples:
  Run git through the example component `exec`, which runs its arguments:
      capspawn run --grants grants.toml exec.wasm -- git --version

  Use the section `[component.\"builder\"]`, give the component a directory, record its events:
      capspawn run --grants grants.toml --component builder --dir ./site::/site \\
          --events events.jsonl build.wasm -- --all

  Record a run, and repeat it without git:
      capspawn run --grants grants.toml --record git.tape exec.wasm -- git --version
      capspawn run --grants grants.toml --replay git.tape exec.wasm -- git --version

  See what a component requests; without a grant file every request is denied:
      capspawn run tool.wasm";

const LEARN_ABOUT: &str = "Run a program or a component once, and propose a grant for what it used";

const LEARN_LONG_ABOUT: &str = "\
Run a program, or a component with the programs that it starts, and propose a grant for what they used: \
arguments, files, variables, network and limits with a margin.

A learning run confines less than a grant: the programs may read all files but known places of secrets, \
and write below the working directory if their user may. They get no network without --network. Secrets (keys, tokens, \
`.ssh`, `.env` and the like) are hidden, listed if they were asked for, and never proposed. Learn only from programs that \
you trust. The grant is a proposal: what it allows is what one run did.";

const LEARN_FOOTER: &str = "\
Exit codes:
  N      the program or the component exited with code N
  1      it was killed, or ended by a signal
  2      capspawn itself failed; nothing is proposed

Files:
  COMPONENT may name its commands as it likes if PATH has a program of that name; other names are denied.
  The tier must be A or B; in tier B secrets are not hidden, and the run is refused.

Examples:
  Propose a grant, and print it:
      capspawn learn -- /usr/bin/git status

  Learn from two runs into one file: what differs becomes a pattern:
      capspawn learn --into grants.toml -- /usr/bin/git log -n5
      capspawn learn --into grants.toml -- /usr/bin/git log -n20

  Learn what a component's programs need:
      capspawn learn --into grants.toml build.wasm -- --all";

const CHECK_ABOUT: &str = "Check a grant file, and show what it allows";

const CHECK_LONG_ABOUT: &str = "\
Load a grant file, test its `match` and `not-match` examples, and show what each component may run, \
read, write and reach, and at most how much. A line with `warning:` is about a setting with which a \
command cannot run, or which few operators would choose knowingly. With --against, show what an edit \
allows more or less instead. No program is started.";

const CHECK_FOOTER: &str = "\
Exit codes:
  0  the grant file is valid; with --against, it allows nothing more than OLD
  1  with --against: it allows more than OLD, or whether it does cannot be decided
  2  a grant file is not valid: each error is printed on a line with its position

Examples:
  Review an edit before it is committed:
      git show HEAD:grants.toml | capspawn check --against - grants.toml";

const EXPLAIN_ABOUT: &str = "Show the decision on one request, and the reason";

const EXPLAIN_LONG_ABOUT: &str = "\
Show how a grant file decides one request: the decision, the rule, and the program, arguments, \
environment, working directory and confinement that would be used. `capspawn run` decides with the \
same code. No program is started.";

const EXPLAIN_FOOTER: &str = "\
Exit codes:
  0  allowed
  2  the grant file is not valid
  3  denied; an unknown component or command is denied too
  4  allowed once the operator approves (`capspawn run --ask`)

Example:
  capspawn explain grants.toml exec git -- log --oneline";

const DOCTOR_ABOUT: &str = "Show what this host's sandbox enforces";

const DOCTOR_LONG_ABOUT: &str = "\
Show what this host enforces for a child with `sandbox = \"required\"` and no network. The first \
line is the tier: the mechanisms that confine children. Each further line is one dimension of the \
confinement: the mechanism that enforces it and the gap that it leaves, or the reason why nothing \
enforces it and what would help. capspawn finds this out by probing, in a confined process that ends \
at once.";

const DOCTOR_FOOTER: &str = "\
Exit codes:
  0  this host can enforce `required`
  1  it cannot: commands with `sandbox = \"required\"` do not start on this host
  2  a bad option, or --run-as or --owner-uids without root

Example:
  Show what a host without user namespaces would enforce:
      capspawn doctor --tier B";

/// The command line of `capspawn`.
#[derive(Debug, Parser)]
#[command(
    name = "capspawn",
    version,
    about = ABOUT,
    long_about = LONG_ABOUT,
    after_help = FOOTER,
    disable_help_subcommand = true
)]
pub(crate) struct Args {
    /// The command to run.
    #[command(subcommand)]
    pub(crate) command: Subcommand,
}

/// The commands of `capspawn`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    #[command(about = RUN_ABOUT, long_about = RUN_LONG_ABOUT, after_help = RUN_FOOTER)]
    Run(RunArgs),
    #[command(about = LEARN_ABOUT, long_about = LEARN_LONG_ABOUT, after_help = LEARN_FOOTER)]
    Learn(LearnArgs),
    #[command(about = CHECK_ABOUT, long_about = CHECK_LONG_ABOUT, after_help = CHECK_FOOTER)]
    Check(CheckArgs),
    #[command(about = EXPLAIN_ABOUT, long_about = EXPLAIN_LONG_ABOUT, after_help = EXPLAIN_FOOTER)]
    Explain(ExplainArgs),
    #[command(about = DOCTOR_ABOUT, long_about = DOCTOR_LONG_ABOUT, after_help = DOCTOR_FOOTER)]
    Doctor(DoctorArgs),
    #[command(about = operator::INIT_ABOUT, long_about = operator::INIT_LONG_ABOUT, after_help = operator::INIT_FOOTER)]
    Init(InitArgs),
    #[command(about = operator::HELP_ABOUT, long_about = operator::HELP_LONG_ABOUT, after_help = operator::HELP_FOOTER)]
    Help(HelpArgs),
    #[command(about = operator::COMPLETIONS_ABOUT, after_help = operator::COMPLETIONS_FOOTER)]
    Completions(CompletionsArgs),
    #[command(about = operator::MAN_ABOUT, after_help = operator::MAN_FOOTER)]
    Man(ManArgs),
}

/// `capspawn run`.
#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    /// The grant file; without one every request is denied
    #[arg(long, value_name = "FILE", help_heading = "Commands of the component")]
    pub(crate) grants: Option<PathBuf>,

    /// The component's section in the grant file [default: GUEST's file name without `.wasm`]
    #[arg(long, value_name = "NAME", help_heading = "Commands of the component")]
    pub(crate) component: Option<String>,

    /// Ask on the terminal about commands with `decision = "ask"`; without this they are denied
    ///
    /// The question shows the program, its arguments and its confinement. `y` starts the program;
    /// `a` also allows the same request later in this run: with the same arguments, directory, names
    /// of variables and standard input. Any other line, no answer within a minute, or no terminal
    /// (/dev/tty) denies the request.
    #[arg(long, requires = "grants", help_heading = "Commands of the component")]
    pub(crate) ask: bool,

    /// A directory that the component itself may read and write, as GUEST or under the same path
    ///
    /// With `:ro` at the end it may only read it. If capspawn runs as root, the files that the
    /// component makes there belong to the user and group of `--run-as`, as those of its children
    /// do, so that both can change them. Where the file system does not support that, a message
    /// states it.
    ///
    /// One that it may write must not contain a program that the grant names: the component could
    /// replace it.
    #[arg(
        long = "dir",
        value_name = "HOST[::GUEST][:ro]",
        help_heading = "Resources of the component"
    )]
    pub(crate) dirs: Vec<DirMapping>,

    /// A variable for the component's own environment, which is otherwise empty
    #[arg(
        long = "env",
        value_name = "NAME=VALUE",
        help_heading = "Resources of the component"
    )]
    pub(crate) env: Vec<Variable>,

    /// End the component and its children after TIME (`250ms`, `30s`, `10min`)
    ///
    /// Without this option the component may run for any time. In either case each of its memories
    /// may grow to 1 GiB. The grant limits the programs that it starts.
    #[arg(
        long,
        value_name = "TIME",
        value_parser = capspawn_native::grant::parse_duration,
        help_heading = "Resources of the component"
    )]
    pub(crate) timeout: Option<Duration>,

    /// Append every spawn, approval, denial, quota refusal, failed start, detach, attach and exit to FILE
    #[arg(long, value_name = "FILE", help_heading = "Events")]
    pub(crate) events: Option<PathBuf>,

    /// Report what was refused to each child that fails, with the line of the grant that would allow it
    ///
    /// Files, connections, system calls and limits, each once, the likely cause first; and every request that the
    /// grant denied. Children are confined as without this option, and slower: the host sees each path that they name.
    /// What it reports is what a child showed, and no proof against one that wants to mislead. Not in tier C.
    #[arg(long, help_heading = "Events")]
    pub(crate) why: bool,

    #[command(flatten)]
    pub(crate) tape: TapeArgs,
    /// Print a table of all children at the end: command, status, time, memory, output, and the refused requests
    #[arg(long, help_heading = "Events")]
    pub(crate) summary: bool,

    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,

    /// The component, a file that exports `wasi:cli/run`, version 0.2 or 0.3
    #[arg(value_name = "GUEST.wasm")]
    pub(crate) guest: PathBuf,

    /// The component's arguments
    #[arg(value_name = "ARGS", last = true)]
    pub(crate) args: Vec<String>,
}

/// `capspawn check`.
#[derive(Debug, ClapArgs)]
pub(crate) struct CheckArgs {
    /// Print one JSON object (`capspawn help json` has its schema)
    #[arg(long)]
    pub(crate) json: bool,

    /// Show what GRANTS allows more or less than the earlier version OLD; `-` is standard input
    ///
    /// What the files mean is compared, not their texts: commands, patterns, roots, networks,
    /// variables, limits. A change that cannot be decided counts as widening and is marked so.
    /// Relative paths in OLD are relative to the folder of GRANTS.
    #[arg(long, value_name = "OLD")]
    pub(crate) against: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) run_as: RunAsArgs,

    /// The grant file
    #[arg(value_name = "GRANTS")]
    pub(crate) file: PathBuf,
}

/// `capspawn explain`.
#[derive(Debug, ClapArgs)]
pub(crate) struct ExplainArgs {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// A variable that the request sets
    #[arg(long = "env", value_name = "NAME=VALUE", help_heading = "The request")]
    pub(crate) env: Vec<Variable>,

    /// The working directory that the request names
    #[arg(long, value_name = "DIR", help_heading = "The request")]
    pub(crate) cwd: Option<String>,

    /// The argv[0] that the request names
    #[arg(long, value_name = "ARG0", help_heading = "The request")]
    pub(crate) arg0: Option<String>,

    #[command(flatten)]
    pub(crate) run_as: RunAsArgs,

    /// The grant file
    #[arg(value_name = "GRANTS")]
    pub(crate) file: PathBuf,

    /// The component that makes the request
    #[arg(value_name = "COMPONENT")]
    pub(crate) component: String,

    /// The command's name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// The command's arguments
    #[arg(value_name = "ARGS", last = true)]
    pub(crate) args: Vec<OsString>,
}

/// `capspawn doctor`.
#[derive(Debug, ClapArgs)]
pub(crate) struct DoctorArgs {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,
}

/// The options that say how children are confined.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct SandboxArgs {
    /// Confine children in this tier and in no other [default: the best that this host supports]
    ///
    /// A is a session of namespaces with a private root, B is Landlock and seccomp, C is seccomp
    /// alone, which does not confine files. If this host does not support the tier, no confined
    /// child starts, not even with `sandbox = "best-effort"`.
    #[arg(long, value_name = "A|B|C", help_heading = "Confinement of children")]
    pub(crate) tier: Option<Tier>,

    #[command(flatten)]
    pub(crate) run_as: RunAsArgs,

    /// The user ids of which the children of each component get one [default: 60600-61111]
    ///
    /// Components then share nothing that the kernel counts by user, and their children can
    /// neither signal nor trace each other. The group, and the owner of the files that children
    /// create in write roots, are those of `--run-as`. Only root can set this option. Without it,
    /// `--run-as` gives the children of all components the same user.
    #[arg(
        long,
        value_name = "FIRST-LAST",
        help_heading = "Confinement of children"
    )]
    pub(crate) owner_uids: Option<OwnerUids>,
}

/// The user and group that children run as.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct RunAsArgs {
    /// The user and group that children run as, and that own their files [default: 65534:65534]
    ///
    /// Two numbers. `run` and `doctor` accept this option only as root. Without root, children run
    /// as the user that started capspawn. By default, the children of each component run as a user
    /// of their own in this group, see `--owner-uids` of `run` and `doctor`, and this user owns the
    /// files that they create in write roots. Write roots must be writable for it.
    #[arg(long, value_name = "UID:GID", help_heading = "Confinement of children")]
    pub(crate) run_as: Option<Identity>,
}

impl RunAsArgs {
    /// Returns the user and group that children run as.
    pub(crate) fn identity(&self) -> Identity {
        self.run_as.unwrap_or_default()
    }
}

/// A directory of the host, and its path in the component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirMapping {
    pub(crate) host: String,
    pub(crate) guest: String,
    pub(crate) read_only: bool,
}

impl FromStr for DirMapping {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `a::ro` names the guest's directory `ro`.
        let without = text.strip_suffix(":ro").filter(|it| !it.ends_with(':'));
        let text = without.unwrap_or(text);
        let (host, guest) = text.split_once("::").unwrap_or((text, text));
        if host.is_empty() || guest.is_empty() {
            return Err(
                "expected HOST or HOST::GUEST, with or without `:ro`, and neither may be empty",
            );
        }
        Ok(Self {
            host: host.to_owned(),
            guest: guest.to_owned(),
            read_only: without.is_some(),
        })
    }
}

/// An environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl FromStr for Variable {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("expected NAME=VALUE"),
        }
    }
}

#[cfg(test)]
mod tests;

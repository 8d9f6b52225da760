//! The command line, and its manual.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use capspawn_native::grant::Identity;
use capspawn_native::sandbox::Tier;
use clap::{Args as ClapArgs, Parser};

const ABOUT: &str = "Run WebAssembly components that may start programs, as far as a grant allows";

const LONG_ABOUT: &str = "\
Run WebAssembly components that may start programs, as far as a grant allows.

A component that imports `capspawn:process` asks for a command by its name in a grant file, with \
an argument vector. There is no shell, no search path and no inherited environment. What the grant \
does not allow is denied, the component is told which part of its request was refused, and the \
operator is told why.";

const FOOTER: &str = "\
Exit codes:
  2      capspawn itself failed: a bad option, grant file or component; nothing was started
  `capspawn run` otherwise exits with the component's code: see `capspawn run --help`

Example:
  capspawn run --grants grants.toml exec.wasm -- uname -sr";

const RUN_ABOUT: &str = "Run a component with the commands that a grant allows";

const RUN_LONG_ABOUT: &str = "\
Run a component (a `wasi:cli` command) with the commands that a grant allows.

The component has this command's standard streams, the arguments after `--`, and the directories \
and variables that are named here; it has no network. Programs that it starts get none of \
these: what they get, the grant says. When the component ends, or capspawn is interrupted, \
whatever it still runs is killed, what it detached included.";

const RUN_FOOTER: &str = "\
Exit codes:
  N      the component exited with N; 1 where it only said that it failed
  2      capspawn itself failed: a bad option, grant file or component, a `--run-as` without root;
         nothing was started
  124    the component did not end within --timeout
  134    the component trapped
  128+N  capspawn was ended by signal N (130 is an interrupt from the keyboard)

Files:
  GRANTS      TOML, described in the README. A component without a section in it may run nothing.
  EVENTS      One JSON object a line: event (spawn, denied, quota, failed, detached,
              attached, exit), time, component,
              command, args; an exit has its status and the bytes of each stream.
  wasmtime's cache directory keeps compiled components: the first run of a large one takes
  seconds, the next does not.

Environment:
  CAPSPAWN_LOG    What to log to standard error, such as `debug` or `capspawn=trace`.

Examples:
  Run git through the example component `exec`, which runs its arguments:
      capspawn run --grants grants.toml exec.wasm -- git --version

  The section `[component.\"builder\"]`, a directory of its own, and a record of what it did:
      capspawn run --grants grants.toml --component builder --dir ./site::/site \\
          --events events.jsonl build.wasm -- --all

  See what a component asks for; without grants every request is denied:
      capspawn run tool.wasm";

const CHECK_ABOUT: &str = "Check a grant file, and show what it allows";

const CHECK_LONG_ABOUT: &str = "\
Load a grant file, try its `match` and `not-match` examples, and show what each component may run. \
Nothing is started.";

const CHECK_FOOTER: &str = "\
Exit codes:
  0  the file can be used
  2  it cannot: each error is a line with its place";

const EXPLAIN_ABOUT: &str = "Show the decision on one request, and why";

const EXPLAIN_LONG_ABOUT: &str = "\
Show what a grant file says to one request: the decision, the rule, and the program, arguments, \
environment, working directory and confinement that would be used. It is the code that decides \
for `capspawn run`. Nothing is started.";

const EXPLAIN_FOOTER: &str = "\
Exit codes:
  0  allowed
  2  the file cannot be used
  3  denied; so is an unknown component or command
  4  allowed if somebody approves

Example:
  capspawn explain grants.toml exec git -- log --oneline";

const DOCTOR_ABOUT: &str = "Show what this host's sandbox enforces";

const DOCTOR_LONG_ABOUT: &str = "\
Show what this host enforces for a child under `sandbox = \"required\"` without network, dimension by \
dimension: by what, with what gap, or why not and what would help. The first line is the tier, the \
means by which children are confined. It is found out by trying, in a confined process that ends \
at once.";

const DOCTOR_FOOTER: &str = "\
Exit codes:
  0  `required` can be met
  1  it cannot: such grants start nothing here
  2  a bad option, or a `--run-as` without root

Examples:
  What would hold where user namespaces are refused:
      capspawn doctor --tier B";

/// The command line of `capspawn`.
#[derive(Debug, Parser)]
#[command(name = "capspawn", version, about = ABOUT, long_about = LONG_ABOUT, after_help = FOOTER)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Subcommand,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    #[command(about = RUN_ABOUT, long_about = RUN_LONG_ABOUT, after_help = RUN_FOOTER)]
    Run(RunArgs),
    #[command(about = CHECK_ABOUT, long_about = CHECK_LONG_ABOUT, after_help = CHECK_FOOTER)]
    Check(CheckArgs),
    #[command(about = EXPLAIN_ABOUT, long_about = EXPLAIN_LONG_ABOUT, after_help = EXPLAIN_FOOTER)]
    Explain(ExplainArgs),
    #[command(about = DOCTOR_ABOUT, long_about = DOCTOR_LONG_ABOUT, after_help = DOCTOR_FOOTER)]
    Doctor(DoctorArgs),
}

/// `capspawn run`.
#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    /// The grant file; without one every request is denied
    #[arg(long, value_name = "FILE", help_heading = "What the component may run")]
    pub(crate) grants: Option<PathBuf>,

    /// The component's section in the grant file [default: GUEST's name without `.wasm`]
    #[arg(long, value_name = "NAME", help_heading = "What the component may run")]
    pub(crate) component: Option<String>,

    /// Ask on the terminal before what the grant says `ask` of; without this it is denied
    ///
    /// The question shows the program, its arguments and its confinement. `y` starts it, `a` also
    /// does so whenever this run asks for the same again; any other line, no answer within a
    /// minute, and no terminal (/dev/tty) deny it.
    #[arg(long, requires = "grants", help_heading = "What the component may run")]
    pub(crate) ask: bool,

    /// A directory that the component itself may read and write, at GUEST or under the same path
    #[arg(
        long = "dir",
        value_name = "HOST[::GUEST]",
        help_heading = "What the component has"
    )]
    pub(crate) dirs: Vec<DirMapping>,

    /// A variable of the component's own environment, which starts empty
    #[arg(
        long = "env",
        value_name = "NAME=VALUE",
        help_heading = "What the component has"
    )]
    pub(crate) env: Vec<Variable>,

    /// End the component, and whatever it still runs, after TIME (`250ms`, `30s`, `10min`)
    ///
    /// Without it the component may run for as long as it likes. In either case it may use 1 GiB
    /// of memory; what it starts, the grant bounds.
    #[arg(
        long,
        value_name = "TIME",
        value_parser = capspawn_native::grant::parse_duration,
        help_heading = "What the component has"
    )]
    pub(crate) timeout: Option<Duration>,

    /// Append every spawn, denial, quota refusal, detach, attach and exit to FILE
    #[arg(long, value_name = "FILE", help_heading = "What the operator sees")]
    pub(crate) events: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,

    /// The component, a file that exports `wasi:cli/run`
    #[arg(value_name = "GUEST.wasm")]
    pub(crate) guest: PathBuf,

    /// The component's arguments
    #[arg(value_name = "ARGS", last = true)]
    pub(crate) args: Vec<String>,
}

/// `capspawn check`.
#[derive(Debug, ClapArgs)]
pub(crate) struct CheckArgs {
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

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

    /// A variable that the component asks for
    #[arg(long = "env", value_name = "NAME=VALUE", help_heading = "The request")]
    pub(crate) env: Vec<Variable>,

    /// The working directory that it asks for
    #[arg(long, value_name = "DIR", help_heading = "The request")]
    pub(crate) cwd: Option<String>,

    #[command(flatten)]
    pub(crate) run_as: RunAsArgs,

    /// The grant file
    #[arg(value_name = "GRANTS")]
    pub(crate) file: PathBuf,

    /// The component that asks
    #[arg(value_name = "COMPONENT")]
    pub(crate) component: String,

    /// The command's name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// Its arguments
    #[arg(value_name = "ARGS", last = true)]
    pub(crate) args: Vec<String>,
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

/// How children are confined.
#[derive(Debug, ClapArgs)]
pub(crate) struct SandboxArgs {
    /// Confine children by this tier and by no other [default: the best that the host has]
    ///
    /// A is a session of namespaces with a private root, B Landlock and seccomp, C seccomp alone,
    /// which does not confine files. Where the host does not have the tier, no confined child
    /// starts, `sandbox = "best-effort"` included.
    #[arg(long, value_name = "A|B|C", help_heading = "How children are confined")]
    pub(crate) tier: Option<Tier>,

    #[command(flatten)]
    pub(crate) run_as: RunAsArgs,
}

/// Whom children run as.
#[derive(Debug, ClapArgs)]
pub(crate) struct RunAsArgs {
    /// Whom children of a root host run as [default: 65534:65534]
    ///
    /// Two numbers. To start children as somebody takes root; a host that is not root starts them
    /// as its own user.
    #[arg(
        long,
        value_name = "UID:GID",
        help_heading = "How children are confined"
    )]
    pub(crate) run_as: Option<Identity>,
}

impl RunAsArgs {
    /// Whom children run as.
    pub(crate) fn identity(&self) -> Identity {
        self.run_as.unwrap_or_default()
    }
}

/// A directory on the host, and its path in the component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirMapping {
    pub(crate) host: String,
    pub(crate) guest: String,
}

impl FromStr for DirMapping {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, guest) = text.split_once("::").unwrap_or((text, text));
        if host.is_empty() || guest.is_empty() {
            return Err("write HOST or HOST::GUEST, neither of them empty");
        }
        Ok(Self {
            host: host.to_owned(),
            guest: guest.to_owned(),
        })
    }
}

/// A variable of the component.
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
            _ => Err("write NAME=VALUE"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }

    #[test]
    fn arguments_after_the_dashes_are_the_components() {
        let args = Args::parse_from(["capspawn", "run", "a.wasm", "--", "--grants", "-x"]);
        let Subcommand::Run(run) = args.command else {
            panic!("another command")
        };
        assert_eq!(run.args, ["--grants", "-x"]);
        assert_eq!(run.grants, None);
    }

    #[test]
    fn the_sandbox_is_chosen_by_tier_and_identity() {
        let parse = |more: &[&str]| {
            let args = Args::try_parse_from([&["capspawn", "doctor"], more].concat())?;
            let Subcommand::Doctor(doctor) = args.command else {
                panic!("another command")
            };
            Ok::<_, clap::Error>((doctor.sandbox.tier, doctor.sandbox.run_as.run_as))
        };
        let all = parse(&["--tier", "B", "--run-as", "1000:100"]).expect("both are sound");
        let identity = Identity {
            uid: 1000,
            gid: 100,
        };
        assert_eq!(all, (Some(Tier::B), Some(identity)));
        assert_eq!(parse(&[]).expect("neither is needed"), (None, None));
        for bad in [["--tier", "D"], ["--run-as", "nobody"], ["--run-as", "1"]] {
            parse(&bad).expect_err("it is neither");
        }
    }

    #[test]
    fn a_directory_may_have_another_name_in_the_guest() {
        let mapping = |host: &str, guest: &str| DirMapping {
            host: host.into(),
            guest: guest.into(),
        };
        assert_eq!("a".parse(), Ok(mapping("a", "a")));
        assert_eq!("/a::/b".parse(), Ok(mapping("/a", "/b")));
        for bad in ["", "::", "a::", "::b"] {
            assert!(bad.parse::<DirMapping>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_variable_has_a_name_and_may_have_an_empty_value() {
        let variable = "A=b=c".parse();
        assert_eq!(
            variable,
            Ok(Variable {
                name: "A".into(),
                value: "b=c".into()
            })
        );
        let empty = "A=".parse();
        assert_eq!(
            empty,
            Ok(Variable {
                name: "A".into(),
                value: String::new()
            })
        );
        for bad in ["", "A", "=b"] {
            assert!(bad.parse::<Variable>().is_err(), "{bad:?}");
        }
    }
}

//! The JSON schema of a grant, for editors and for embedders' own settings.
//!
//! These types describe the format and nothing else. Grants are read through
//! [`super::table`], which keeps places and collects mistakes; a test compares the keys of
//! both. The words of `sandbox`, `network` and `decision` come from the types that are read.

#![expect(
    dead_code,
    reason = "schemars reads the types; no value of them is constructed"
)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::document::Effect;
use crate::confinement::{Network, Sandbox};

/// Returns the JSON schema (draft 2020-12) of a grant file.
pub fn schema() -> serde_json::Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings
        .into_generator()
        .into_root_schema_for::<GrantFile>()
        .to_value()
}

/// What components may run. A command that is absent is denied; a setting that is absent
/// has its built-in default.
#[derive(JsonSchema)]
#[schemars(
    rename = "capspawn grant",
    rename_all = "kebab-case",
    deny_unknown_fields
)]
struct GrantFile {
    /// The version of the format: 1.
    #[schemars(range(min = 1, max = 1))]
    version: u64,
    /// The settings of every component.
    #[schemars(default)]
    defaults: Layer,
    /// The components, by the name that the host gives them, or by `sha256:` and the hash
    /// of their bytes.
    #[schemars(default)]
    component: BTreeMap<String, Component>,
}

#[derive(JsonSchema, Default)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Layer {
    #[schemars(flatten)]
    settings: Settings,
}

/// The settings that the defaults, a component and a command can each have. Lists add up,
/// single values replace.
#[derive(JsonSchema, Default)]
#[schemars(rename_all = "kebab-case")]
struct Settings {
    /// What to do where the host cannot enforce the confinement: start nothing, confine as
    /// far as possible and report, or do not confine at all.
    sandbox: Option<Word<Sandbox>>,
    /// The network that children see.
    network: Option<Word<Network>>,
    /// Whether the guest may see the process ids of its children, which are the host's;
    /// false if absent.
    disclose_pid: Option<bool>,
    /// Whether the guest may provide standard input, which some programs run like an
    /// argument; true if absent.
    stdin: Option<bool>,
    /// Whether the guest may connect the standard streams with files below `fs.read` and
    /// `fs.write`; false if absent.
    redirect: Option<bool>,
    /// Whether the guest may use arguments, and values of variables, that are not UTF-8;
    /// false if absent.
    allow_bytes: Option<bool>,
    env: Option<Env>,
    fs: Option<Fs>,
    limits: Option<Limits>,
    capture: Option<Capture>,
    cwd: Option<Cwd>,
}

/// One of the words for the values of `T`.
struct Word<T>(PhantomData<T>);

trait Words {
    fn words() -> [&'static str; 3];
}

impl Words for Sandbox {
    fn words() -> [&'static str; 3] {
        Self::ALL.map(Self::name)
    }
}

impl Words for Network {
    fn words() -> [&'static str; 3] {
        Self::ALL.map(Self::name)
    }
}

impl Words for Effect {
    fn words() -> [&'static str; 3] {
        Self::ALL.map(Self::name)
    }
}

impl<T: Words> JsonSchema for Word<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": T::words() })
    }
}

/// The variables of the child's environment. It has no others.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Env {
    /// Variables that every child has.
    set: Option<BTreeMap<String, String>>,
    /// Names of variables that are copied from the host when the grant is loaded.
    inherit: Option<Vec<String>>,
    /// Names of variables that a guest may set; a `*` at the end covers every name with that
    /// prefix, except variables that make programs load or run something else.
    allow: Option<Vec<String>>,
}

/// Roots in the host's file system. Relative paths are relative to the grant file.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Fs {
    /// Files and folders that children may read and execute.
    read: Option<Vec<String>>,
    /// Files and folders that children may write too.
    write: Option<Vec<String>>,
    /// Files and folders excluded from the above.
    deny: Option<Vec<String>>,
}

/// The limits of a child, each with its unit, or `unlimited`.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Limits {
    /// Time until the child is killed, such as `30s`; never unlimited.
    wall: Option<String>,
    /// Processor time, such as `10s`.
    cpu: Option<String>,
    /// Memory, such as `256MiB`.
    memory: Option<String>,
    /// Tasks, threads included.
    processes: Option<CountOrUnlimited>,
    /// Open files of one process.
    open_files: Option<CountOrUnlimited>,
    /// Size of a written file, such as `64MiB`.
    file_size: Option<String>,
    /// Size of the private `/tmp`, such as `64MiB`; never unlimited.
    tmpfs: Option<String>,
    /// Output of both streams together, such as `1GiB`.
    output: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum CountOrUnlimited {
    Count(u64),
    Word(Unlimited),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum Unlimited {
    Unlimited,
}

/// How much output the host keeps.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Capture {
    /// Standard output, such as `1MiB`.
    stdout: Option<String>,
    /// Standard error, such as `64KiB`.
    stderr: Option<String>,
}

/// The directory in which children start.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Cwd {
    /// The directory unless the guest chooses one; the first of the roots if absent.
    default: Option<String>,
    /// The folders in which the guest may choose a directory; the default alone if absent.
    roots: Option<Vec<String>>,
}

/// What one component may do.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Component {
    /// Children that may run at once.
    #[schemars(default)]
    max_live: Option<u32>,
    /// Children in total.
    #[schemars(default)]
    max_total: Option<u64>,
    /// Children per time, such as `20/min`.
    #[schemars(default)]
    rate: Option<String>,
    /// Children that the host holds, running and ended.
    #[schemars(default)]
    max_held_children: Option<u32>,
    /// Captured output, arguments and unread standard input that the host holds, such as `64MiB`.
    #[schemars(default)]
    max_held_memory: Option<String>,
    /// Descriptors that the host holds: pipes, and streams that outlive their child.
    #[schemars(default)]
    max_held_descriptors: Option<u32>,
    #[schemars(default)]
    detach: Option<Detach>,
    #[schemars(flatten)]
    settings: Settings,
    #[schemars(default)]
    command: Vec<Command>,
}

/// Whether children may outlive the guest.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Detach {
    #[schemars(default)]
    allow: bool,
    /// The longest time after the end of the guest, such as `10min`.
    max_life: Option<String>,
}

/// One program and the arguments that a guest may give it.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Command {
    /// The name by which the guest requests the command.
    name: String,
    /// The absolute path of the program; `*`, together with the name `*`, is any program.
    program: String,
    /// The SHA-256 that the program's file must have, in hexadecimal.
    #[schemars(default)]
    sha256: Option<String>,
    /// `argv[0]`; the program's path if absent.
    #[schemars(default)]
    arg0: Option<String>,
    /// Names that the guest may use as `argv[0]` instead; a `*` at the end covers any rest.
    #[schemars(default)]
    allow_arg0: Vec<String>,
    /// Arguments before the guest's.
    #[schemars(default)]
    fixed: Vec<String>,
    /// The patterns that the guest's arguments must match; no arguments if absent.
    #[schemars(default)]
    args: Vec<Pattern>,
    /// Whether to allow, to ask for approval, or to deny; `allow` if absent.
    #[schemars(default)]
    decision: Option<Word<Effect>>,
    /// Must be true for an interpreter or a shell whose `args` have a `*` or `**`.
    #[schemars(default)]
    interpreter: bool,
    /// Argument vectors that `args` must match, checked when the grant is loaded.
    #[schemars(default)]
    r#match: Vec<Vec<String>>,
    /// Argument vectors that `args` must not match, checked when the grant is loaded.
    #[schemars(default)]
    not_match: Vec<Vec<String>>,
    #[schemars(flatten)]
    settings: Settings,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Pattern {
    /// `*` is any one argument, `**` is all remaining arguments, anything else is itself.
    /// Neither takes an argument that begins with `-` or `@`.
    Word(String),
    Table(PatternTable),
}

/// Exactly one of `literal`, `any`, `rest`, `one-of`, `int`, `path`, `re`.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct PatternTable {
    literal: Option<String>,
    any: Option<bool>,
    rest: Option<bool>,
    one_of: Option<Vec<String>>,
    /// The minimum and the maximum of an integer.
    int: Option<(i64, i64)>,
    path: Option<Path>,
    /// A regular expression for the whole argument.
    re: Option<String>,
    /// With `int` or `path`: the text before it in the same argument.
    prefix: Option<String>,
    /// How many arguments the pattern takes: `m..n`, both included, or `m..`.
    repeat: Option<String>,
    optional: Option<bool>,
    /// With `any`, `rest` or `re`: also takes arguments that begin with `-` or `@`.
    allow_dash: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Path {
    under: Vec<String>,
    access: Option<Access>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum Access {
    Read,
    Write,
}

#[cfg(test)]
mod tests;

//! A row: a program, its job, what its grant allows, and what is expected.

use std::collections::BTreeMap;
use std::fmt;

use capspawn_native::sandbox::Tier;
use serde::Deserialize;

/// A file of rows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rows {
    #[serde(rename = "row")]
    pub(crate) rows: Vec<Row>,
}

/// A program and its job. Scripts and arguments are run in the workspace, a new folder.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) program: String,
    pub(crate) job: String,
    /// Whether only the full set has the row: its packages are large, or it takes long.
    #[serde(default)]
    pub(crate) full: bool,
    /// Commands that have to be installed, each with its package of Debian.
    #[serde(default)]
    pub(crate) needs: BTreeMap<String, String>,
    /// Programs from elsewhere than Debian.
    #[serde(default)]
    pub(crate) tools: Vec<Tool>,
    /// `fs.read` of the grant, beyond the defaults and the tools.
    #[serde(default)]
    pub(crate) read: Vec<String>,
    /// `network` of the grant.
    pub(crate) network: Option<String>,
    /// `limits` of the grant, beyond [`WALL`](crate::job::WALL).
    #[serde(default)]
    pub(crate) limits: BTreeMap<String, Size>,
    /// `env.set` of the grant, beyond `PATH`, `HOME` and `LANG`. `$NAME` is the folder of a tool, and
    /// `$WORKSPACE` that of the job.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Files of the workspace. One whose text begins with `#!` can be executed.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
    /// A shell script that runs before the job, outside the sandbox.
    pub(crate) prepare: Option<String>,
    /// The job, as a shell script that ends at the first command that fails.
    pub(crate) script: Option<String>,
    /// The job, as a program and its arguments.
    #[serde(default)]
    pub(crate) argv: Vec<String>,
    /// Parts of lines that the job prints. None may end within a word or number.
    #[serde(default)]
    pub(crate) prints: String,
    /// What is different in tier A; nothing, if absent.
    #[serde(rename = "A")]
    pub(crate) tier_a: Option<Limit>,
    /// What is different in tier B.
    #[serde(rename = "B")]
    pub(crate) tier_b: Option<Limit>,
}

/// How a job fails, and why.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Limit {
    /// The name of a reason in `reasons.toml`.
    pub(crate) limit: String,
    /// How the job ends, as events state it, such as `exited with 1` or `killed: memory`; with
    /// several ways, each of them.
    #[serde(default)]
    pub(crate) ends: Vec<String>,
    /// Parts of lines that the job prints then.
    #[serde(default)]
    pub(crate) prints: String,
}

/// Where programs come from that Debian does not have, or has in an old version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tool {
    /// `PYTHON`: packages of PyPI.
    Python,
    /// `NPM`: packages of npm.
    Npm,
    /// `CRATES`: sources of crates.
    Crates,
    /// `RUST`: the toolchain that builds these tests.
    Rust,
}

/// A limit of a grant: a number, or a text with a unit.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Size {
    Number(u64),
    Text(String),
}

impl fmt::Display for Size {
    /// As grant files have it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

impl Row {
    /// What is different in `tier`. Tier C confines less than B, and has no column.
    pub(crate) fn limit(&self, tier: Tier) -> Option<&Limit> {
        match tier {
            Tier::A => self.tier_a.as_ref(),
            Tier::B | Tier::C => self.tier_b.as_ref(),
        }
    }

    /// The program with its arguments.
    pub(crate) fn argv(&self) -> Vec<&str> {
        match &self.script {
            Some(script) => vec!["/bin/sh", "-ec", script],
            None => self.argv.iter().map(String::as_str).collect(),
        }
    }
}

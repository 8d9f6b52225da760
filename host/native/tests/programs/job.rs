//! A job in the sandbox, under a grant as an operator would write it, and what became of it.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use capspawn_native::grant::Grants;
use capspawn_native::launch::Launcher as _;
use capspawn_native::sandbox::{Confinement, NativeLauncher, Tier};
use capspawn_native::{Command, ExitStatus, Registry};
use test_kit::required_tier;
use tokio::runtime::Builder;

use crate::installed::Installed;
use crate::row::Row;
use crate::workspace::Workspace;

/// `limits.wall` of each grant, unless [`WALL_VARIABLE`] has another one: the machine that runs the tests may be busy.
pub(crate) const WALL: &str = "110s";

/// The variable with `limits.wall` of each grant, for a machine that is so busy that a job takes minutes.
const WALL_VARIABLE: &str = "CAPSPAWN_PROGRAMS_WALL";

/// How a job ended, and what it printed on both streams.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) how: String,
    pub(crate) output: String,
}

/// The tier in which jobs run.
pub(crate) fn tier() -> Tier {
    static TIER: LazyLock<Tier> = LazyLock::new(|| {
        let report = launcher().enforcement(&Confinement::default());
        report.tier().expect("the launcher has probed the machine")
    });
    *TIER
}

fn launcher() -> NativeLauncher {
    let launcher = NativeLauncher::builder();
    match required_tier() {
        Some(tier) => launcher.tier(tier),
        None => launcher,
    }
    .build()
}

/// Runs the job of `row` in the sandbox.
pub(crate) fn confined(row: &Row, installed: &Installed) -> Ended {
    static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
        let registry = Registry::builder().launcher(Arc::new(launcher()));
        registry.build().expect("the registry starts")
    });
    let workspace = Workspace::new(row, installed);
    let text = grant(row, installed, &workspace);
    let grants = Grants::from_toml_str(&text, Path::new("/"));
    let grants = grants.unwrap_or_else(|error| panic!("{}: {error}\n{text}", row.program));
    let guest = REGISTRY.guest(grants.component("row"), &row.job);
    let argv = row.argv();
    let command = Command::new(argv[0]).args(argv[1..].iter().copied());
    let child = match guest.spawn(&command) {
        Ok(child) => child,
        Err(error) => {
            return Ended {
                how: format!("did not start: {error}"),
                output: String::new(),
            };
        }
    };
    let runtime = Builder::new_current_thread().build();
    let runtime = runtime.expect("the runtime starts");
    let (status, stdout, stderr) = runtime.block_on(child.output());
    let printed = [stdout.data, stderr.data].concat();
    Ended {
        how: status.to_string(),
        output: String::from_utf8_lossy(&printed).into_owned(),
    }
}

/// Runs the job of `row` without a sandbox.
pub(crate) fn unconfined(row: &Row, installed: &Installed) -> Ended {
    let workspace = Workspace::new(row, installed);
    let (status, output) = workspace.outside(&row.argv());
    let code = status.code().map(ExitStatus::Exited);
    Ended {
        how: code.map_or_else(|| status.to_string(), |it| it.to_string()),
        output,
    }
}

/// What an operator would write for the program: it may write the workspace, and read it and
/// its tools.
fn grant(row: &Row, installed: &Installed, workspace: &Workspace<'_>) -> String {
    let tools = installed.tools.values().map(|it| it.display().to_string());
    let read: Vec<String> = tools.chain(row.read.iter().cloned()).collect();
    let home = workspace.path().display();
    let network = row.network.as_deref().unwrap_or("none");
    let set = workspace.variables().into_iter();
    let set: Vec<String> = set
        .map(|(name, value)| format!("{name} = {value:?}"))
        .collect();
    let limits = row
        .limits
        .iter()
        .map(|(key, value)| format!("{key} = {value}"));
    let limits: Vec<String> = limits.collect();
    let wall = std::env::var(WALL_VARIABLE).unwrap_or_else(|_| WALL.to_owned());
    format!(
        r#"
        version = 1
        [defaults]
        env = {{ set = {{ {set} }} }}
        limits = {{ wall = "{wall}", {limits} }}
        network = "{network}"
        [component.row]
        cwd = {{ default = "{home}", roots = ["{home}"] }}
        fs = {{ write = ["{home}"], read = {read:?} }}
        [[component.row.command]]
        name = "*"
        program = "*"
        args = [{{ rest = true, allow-dash = true }}]
        interpreter = true
        "#,
        set = set.join(", "),
        limits = limits.join(", "),
    )
}

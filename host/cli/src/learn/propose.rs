//! From what was seen to what a grant should have.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use capspawn::Grants;
use capspawn_native::confinement::Network;
use capspawn_native::launch::{Access, Observation, Outcome, Subject};

use super::fold::{Folding, Roots, outermost};
use super::limits::Limits;
use super::observe::{Seen, SeenChild, component_name};
use super::sight::Sight;
use crate::learn_args::LearnArgs;
use crate::output::quoted;

/// The search path of a child to which a grant gives none.
const DEFAULT_PATH: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];
/// The most lines of a list that is only shown.
const SHOWN: usize = 8;

/// What a grant should have.
#[derive(Debug)]
pub(crate) struct Proposal {
    /// The component's section.
    pub(crate) component: String,
    /// Its commands.
    pub(crate) commands: Vec<Proposed>,
    /// What the operator should know.
    pub(crate) notes: Vec<String>,
}

/// A command of a proposal.
#[derive(Debug)]
pub(crate) struct Proposed {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) cwd: Option<PathBuf>,
    /// Variables that the grant sets.
    pub(crate) set: BTreeMap<String, String>,
    /// Variables that the component passed.
    pub(crate) allow: Vec<String>,
    pub(crate) roots: Roots,
    pub(crate) network: Network,
    pub(crate) limits: Limits,
}

/// Makes the proposal.
pub(crate) fn propose(args: &LearnArgs, sight: &Sight, seen: &Seen) -> Proposal {
    let system = built_in();
    let mut notes = seen.refused.clone();
    let mut commands = Vec::new();
    for child in &seen.children {
        let cwd = child
            .cwd
            .as_deref()
            .filter(|cwd| Some(*cwd) == sight.cwd.as_deref());
        let folding = Folding {
            cwd: cwd.or(sight.cwd.as_deref()),
            home: sight.home.as_deref(),
            system: &system,
        };
        let mut roots = folding.fold(&child.observations);
        // A child starts there, whether or not it uses a file.
        let is_shown = |cwd: &Path| {
            roots
                .write
                .iter()
                .chain(&roots.read)
                .any(|root| cwd.starts_with(root))
        };
        if let Some(cwd) = cwd
            && !is_shown(cwd)
        {
            roots.read.insert(cwd.to_owned());
        }
        let granted = |secret: &&PathBuf| {
            let mut all = roots.read.iter().chain(&roots.write);
            all.any(|root| secret.starts_with(root)) && secret.exists()
        };
        let secrets = sight.hidden.iter().chain(&roots.secrets).filter(granted);
        roots.deny = outermost(secrets.cloned().collect());
        notes.extend(warnings(&child.name, &roots));
        notes.extend(refused(child));
        commands.push(Proposed {
            name: child.name.clone(),
            program: child.program.clone(),
            args: child.args.clone(),
            cwd: cwd.map(Path::to_owned),
            set: match args.guest {
                None => variables(args, sight, child),
                Some(_) => BTreeMap::new(),
            },
            allow: child.env_names.clone(),
            network: network(child),
            limits: Limits::of(child),
            roots,
        });
    }
    Proposal {
        component: component_name(args),
        commands,
        notes,
    }
}

/// Returns the built-in `fs.read` of this host.
fn built_in() -> Vec<PathBuf> {
    let text = "version = 1\n[[component.a.command]]\nname = \"a\"\nprogram = \"/bin/sh\"\n";
    let Ok(grants) = Grants::from_toml_str(text, Path::new("/")) else {
        return Vec::new();
    };
    let grant = grants.component("a");
    let roots = grant.commands().flat_map(|command| {
        let read = command.confinement.fs.read.clone();
        read.into_iter().flat_map(|root| [root.written, root.real])
    });
    roots.collect()
}

/// Returns what was asked for and is not granted.
fn warnings(name: &str, roots: &Roots) -> Vec<String> {
    let shown = |paths: &mut dyn Iterator<Item = &PathBuf>, count: usize| {
        let mut text: Vec<_> = paths.take(SHOWN).map(quoted).collect();
        if count > SHOWN {
            text.push(format!("and {} more", count - SHOWN));
        }
        text.join(", ")
    };
    let mut lines = Vec::new();
    if !roots.secrets.is_empty() {
        let list = shown(&mut roots.secrets.iter(), roots.secrets.len());
        lines.push(format!(
            "{name} asked for secrets, which are not granted: {list}"
        ));
    }
    if !roots.unwritten.is_empty() {
        let list = shown(&mut roots.unwritten.iter(), roots.unwritten.len());
        lines.push(format!(
            "{name} could not change: {list}; if it needs to, learn again with --write and the directory"
        ));
    }
    lines
}

/// Returns what a child lacked and no root gives.
fn refused(child: &SeenChild) -> Vec<String> {
    let is_missing = |it: &&Observation| {
        it.outcome == Outcome::Refused && !matches!(it.subject, Subject::File { .. })
    };
    let line = |it: &Observation| match &it.subject {
        // The C library looks for its cache of names by one.
        Subject::Connection { address } if address.contains("UNIX") || address.contains("nscd") => {
            None
        }
        Subject::Connection { address } => Some(format!(
            "{} asked for the network ({address}); if it needs it, learn again with `--network host`",
            child.name
        )),
        Subject::Call { name } => Some(format!(
            "{} tried the system call {name}, which no grant allows to a confined program",
            child.name
        )),
        _ => None,
    };
    child
        .observations
        .iter()
        .filter(is_missing)
        .filter_map(line)
        .take(SHOWN)
        .collect()
}

/// Returns the least network that has all connections.
fn network(child: &SeenChild) -> Network {
    let of = |it: &Observation| match (&it.subject, it.outcome) {
        (Subject::Connection { address }, Outcome::Permitted) if !address.contains("nscd") => {
            Some(Network::Host)
        }
        (Subject::Connection { .. }, Outcome::Private) => Some(Network::Loopback),
        _ => None,
    };
    let found: Vec<_> = child.observations.iter().filter_map(of).collect();
    [Network::Host, Network::Loopback]
        .into_iter()
        .find(|network| found.contains(network))
        .unwrap_or(Network::None)
}

/// Returns the variables of a program that the proposal sets: those of the options, and of the others those whose value
/// leads to what it used.
fn variables(args: &LearnArgs, sight: &Sight, child: &SeenChild) -> BTreeMap<String, String> {
    let mut set = BTreeMap::new();
    let used = |dir: &Path| {
        child.observations.iter().any(|it| match &it.subject {
            Subject::File { path, .. } => path.starts_with(dir),
            _ => false,
        })
    };
    let in_cwd = |home: &Path| sight.cwd.as_ref().is_some_and(|cwd| cwd.starts_with(home));
    if let Some(home) = &sight.home {
        // Of the home directory itself, not only of a project in it.
        let outside = child.observations.iter().any(|it| match &it.subject {
            Subject::File { path, .. } => {
                path.starts_with(home)
                    && !sight
                        .cwd
                        .as_ref()
                        .is_some_and(|cwd| path.starts_with(cwd) || cwd.starts_with(path))
            }
            _ => false,
        });
        if if in_cwd(home) { outside } else { used(home) } {
            set.insert("HOME".to_owned(), home.to_string_lossy().into_owned());
        }
    }
    if let Ok(path) = std::env::var("PATH") {
        let other = path
            .split(':')
            .filter(|dir| !DEFAULT_PATH.contains(dir) && dir.starts_with('/'));
        let executed = |dir: &str| {
            child.observations.iter().any(|it| match &it.subject {
                Subject::File { path, access, .. } => {
                    it.outcome == Outcome::Permitted
                        && *access == Access::Execute
                        && path.starts_with(dir)
                }
                _ => false,
            })
        };
        if other.clone().any(executed) {
            set.insert("PATH".to_owned(), path);
        }
    }
    for variable in &args.env {
        set.insert(variable.name.clone(), variable.value.clone());
    }
    set
}

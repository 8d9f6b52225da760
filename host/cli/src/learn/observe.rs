//! One learning run: of a program, or of a component that starts some.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use capspawn::{Event, EventKind, ProcessCtx, Registry};
use capspawn_native::launch::{Observation, TreeUsage};
use capspawn_native::sandbox::{NativeLauncher, Observer};
use capspawn_native::{Command, ExitStatus, Grant, Question};
use rustix::fs::MemfdFlags;
use std::os::fd::AsRawFd as _;

use super::args::LearnArgs;
use super::sight::Sight;
use super::text;
use crate::args::RunArgs;
use crate::guest::{self, State};
use crate::launcher::launcher;
use crate::streams::Output;
use crate::tape_args::TapeArgs;
use crate::{bounds, descriptors, load, output, threads};

/// The longest wait at the end for killed children.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of a program's output is kept, to be shown.
const CAPTURE: &str = "capture = { stdout = \"16MiB\", stderr = \"16MiB\" }";

/// What a run started, and how it ended.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The exit code of the program or the component.
    pub(crate) code: u8,
    /// The children, in the order in which they ended.
    pub(crate) children: Vec<SeenChild>,
    /// Requests that were refused, as lines.
    pub(crate) refused: Vec<String>,
}

/// A child that ran.
#[derive(Debug, Clone, Default)]
pub(crate) struct SeenChild {
    /// By which name it was requested.
    pub(crate) name: String,
    /// Its program.
    pub(crate) program: PathBuf,
    /// Its arguments, without `argv[0]`.
    pub(crate) args: Vec<String>,
    /// Where it started, if somebody chose that.
    pub(crate) cwd: Option<PathBuf>,
    /// The names of the variables that the component passed.
    pub(crate) env_names: Vec<String>,
    /// What it used.
    pub(crate) observations: Vec<Observation>,
    /// What its tree used of the machine.
    pub(crate) usage: TreeUsage,
    /// How long it ran, in seconds.
    pub(crate) seconds: f64,
}

/// Collects events. The plan of a child comes by the veto, before the event of its start.
#[derive(Debug, Default)]
struct Collector {
    /// The program, if it is one that is learnt and no component.
    program: Option<PathBuf>,
    seen: Mutex<(Seen, Vec<Question>, BTreeMap<u64, SeenChild>)>,
}

impl Collector {
    fn lock(&self) -> MutexGuard<'_, (Seen, Vec<Question>, BTreeMap<u64, SeenChild>)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the file that a grant names: of a script, that itself and not what interprets it.
    fn program(&self, name: &str, executed: PathBuf) -> PathBuf {
        if let Some(program) = &self.program {
            return program.clone();
        }
        if name.starts_with('/') {
            return name.into();
        }
        let dirs = ["/usr/local/bin", "/usr/bin", "/bin"].into_iter();
        let found = dirs
            .map(|dir| Path::new(dir).join(name))
            .find(|file| file.is_file());
        found.unwrap_or(executed)
    }

    fn record(&self, event: &Event) {
        let mut state = self.lock();
        let (seen, plans, running) = &mut *state;
        match &event.kind {
            EventKind::Spawn { id, .. } => {
                let fits = |plan: &Question| {
                    // Before them may be those of a script's first line.
                    let first = plan.argv.len().saturating_sub(event.args.len());
                    let args = plan.argv.iter().skip(first).map(|it| it.to_string_lossy());
                    event.args_cut.is_some() || args.eq(event.args.iter().map(String::as_str))
                };
                let Some(at) = plans.iter().position(fits) else {
                    return;
                };
                let plan = plans.remove(at);
                // Of a long request the event has a part, and the plan of a program all.
                let own = match event.args_cut {
                    Some(_) => 1,
                    None => plan.argv.len().saturating_sub(event.args.len()),
                };
                let args = plan.argv.iter().skip(own);
                running.insert(
                    *id,
                    SeenChild {
                        name: event.command.clone(),
                        args: args.map(|it| it.to_string_lossy().into_owned()).collect(),
                        program: self.program(&event.command, plan.program),
                        cwd: Some(plan.cwd).filter(|cwd| cwd.parent().is_some()),
                        env_names: plan.env_names,
                        ..SeenChild::default()
                    },
                );
            }
            EventKind::Observed { id, observations } => {
                if let Some(child) = running.get_mut(id) {
                    child.observations.clone_from(observations);
                }
            }
            EventKind::Exit {
                id, usage, seconds, ..
            } => {
                if let Some(child) = running.remove(id) {
                    let (usage, seconds) = (*usage, *seconds);
                    seen.children.push(SeenChild {
                        usage,
                        seconds,
                        ..child
                    });
                }
            }
            EventKind::Denied { item, reason, .. } => {
                let command = output::quoted(&event.command);
                seen.refused
                    .push(format!("{command} was not started ({item}): {reason}"));
            }
            EventKind::Failed { reason } => {
                let command = output::quoted(&event.command);
                seen.refused
                    .push(format!("{command} was not started: {reason}"));
            }
            _ => {}
        }
    }
}

/// Runs what the options name.
pub(crate) fn run(args: &LearnArgs, sight: &Sight) -> Result<Seen> {
    let launcher = Arc::new(launcher(&args.sandbox, Some(Observer::Everything))?);
    let program_path = match args.guest {
        None => args.args.first().map(PathBuf::from),
        Some(_) => None,
    };
    let collector = Arc::new(Collector {
        program: program_path,
        ..Collector::default()
    });
    let (events, plans) = (Arc::clone(&collector), Arc::clone(&collector));
    descriptors::raise();
    let registry = Registry::builder()
        .launcher(Arc::clone(&launcher) as _)
        .on_event(move |event| events.record(event))
        .veto(move |plan| {
            plans.lock().1.push(plan.clone());
            Ok(())
        });
    let registry = registry.build().context("cannot start the registry")?;
    let code = match &args.guest {
        Some(file) => component(args, sight, &launcher, &registry, file),
        None => program(args, sight, &registry),
    };
    registry.shutdown(SHUTDOWN_TIMEOUT);
    let code = code?;
    let mut seen = std::mem::take(&mut collector.lock().0);
    seen.code = code;
    Ok(seen)
}

/// Runs a program.
fn program(args: &LearnArgs, sight: &Sight, registry: &Registry) -> Result<u8> {
    let Some((program, rest)) = args.args.split_first() else {
        bail!("name a component, or a program after `--`: `capspawn learn -- /usr/bin/git status`");
    };
    let path = Path::new(program);
    if !path.is_absolute() {
        bail!("{program}: name the program by its absolute path: a grant has no search path");
    }
    let name = name_of(args, path);
    let mut set = toml::Table::new();
    set.insert("LANG".to_owned(), "C.UTF-8".into());
    if let Some(home) = &sight.home {
        set.insert(
            "HOME".to_owned(),
            home.to_string_lossy().into_owned().into(),
        );
    }
    if let Ok(path) = std::env::var("PATH") {
        set.insert("PATH".to_owned(), path.into());
    }
    for variable in &args.env {
        set.insert(variable.name.clone(), variable.value.clone().into());
    }
    let list = toml::Value::Array(rest.iter().map(|arg| literal(arg)).collect());
    let command = format!(
        "name = {}\nprogram = {}\nargs = {}\nenv = {{ set = {} }}\n{CAPTURE}",
        text::string(&name),
        text::string(program),
        text::value(&list),
        text::value(&set.into()),
    );
    let grant = grant(args, sight, "exec", &command)?;
    let guest = registry.guest(grant, "");
    let child = guest
        .spawn(&Command::new(name).args(rest))
        .with_context(|| format!("cannot start {program}"))?;
    let status = child.wait_blocking(None);
    let (stdout, stderr) = child.captured(0, 0);
    for bytes in [stdout.data, stderr.data] {
        let _ = Output::Stderr.write_all(&bytes);
    }
    let status = status.unwrap_or(ExitStatus::Exited(1));
    child.release_blocking();
    Ok(match status {
        ExitStatus::Exited(code) => u8::try_from(code).unwrap_or(1),
        other => {
            output::note(&format!("{program} ended early: {other}"));
            1
        }
    })
}

/// Runs a component, which may start any program.
fn component(
    args: &LearnArgs,
    sight: &Sight,
    launcher: &NativeLauncher,
    registry: &Registry,
    file: &Path,
) -> Result<u8> {
    let bytes = load::read(file)?;
    let name = component_name(args);
    let command = "name = \"*\"\nprogram = \"*\"\nargs = [{ rest = true, allow-dash = true }]\nallow-bytes = true\n\
         redirect = true\nenv = { allow = [\"*\"] }";
    let grant = grant(args, sight, &name, command)?;
    let run = RunArgs {
        grants: args.into.clone(),
        component: Some(name.clone()),
        ask: false,
        dirs: args.dirs.clone(),
        env: args.env.clone(),
        timeout: Some(args.timeout),
        events: None,
        why: false,
        summary: false,
        tape: TapeArgs::default(),
        sandbox: args.sandbox.clone(),
        guest: file.to_owned(),
        args: args.args.clone(),
    };
    // Standard output is the proposal's.
    let wasi = guest::wasi(&run, Some(launcher), Output::Stderr)?;
    let engine = load::engine(threads::check()?)?;
    bounds::start_clock(&engine)?;
    let component = load::compile(&engine, file, &bytes)?;
    let command = guest::link(&engine, &component)?;
    let process = ProcessCtx::builder(registry)
        .component(name)
        .grant(grant)
        .build();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let code = runtime.block_on(async {
        let run = guest::run(&command, State::new(wasi, process));
        tokio::time::timeout(args.timeout, run).await
    });
    runtime.shutdown_background();
    code.context("the component did not end within --timeout")
}

/// Returns the component's section in the proposal.
pub(super) fn component_name(args: &LearnArgs) -> String {
    let stem = |file: &PathBuf| file.file_stem().map(|it| it.to_string_lossy().into_owned());
    let from_file = || args.guest.as_ref().and_then(stem);
    let name = args.component.clone().or_else(from_file);
    name.unwrap_or_else(|| "exec".to_owned())
}

/// Returns the name of a program's command.
fn name_of(args: &LearnArgs, program: &Path) -> String {
    let from_file = || {
        program
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    args.name.clone().unwrap_or_else(from_file)
}

/// Returns the pattern that matches `arg` alone.
pub(super) fn literal(arg: &str) -> toml::Value {
    match arg {
        "*" | "**" => toml::Table::from_iter([("literal".to_owned(), arg.into())]).into(),
        arg => arg.into(),
    }
}

/// Loads the grant of the run.
fn grant(args: &LearnArgs, sight: &Sight, name: &str, command: &str) -> Result<Arc<Grant>> {
    let text = sight.grant(args, name, command);
    // `load_as` takes a file.
    let file = rustix::fs::memfd_create("capspawn-learn", MemfdFlags::CLOEXEC)?;
    let file = std::fs::File::from(file);
    (&file).write_all(text.as_bytes())?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(load::grants(Path::new(&path), args.sandbox.run_as.identity())?.component(name))
}

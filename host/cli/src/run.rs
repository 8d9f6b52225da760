//! `capspawn run`: runs one component to its end.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use capspawn::{Grant, ProcessCtx, Registry};
use capspawn_native::limits::{DEFAULT_MAX_ENTRIES, DEFAULT_MAX_HELD_BYTES};
use capspawn_native::sandbox::Observer;
use sha2::{Digest as _, Sha256};

use crate::args::RunArgs;
use crate::ask::Terminal;
use crate::events::Events;
use crate::guest::{self, State};
use crate::launcher::launcher;
use crate::signals::{EndSignals, survive_file_size_limit};
use crate::streams::Output;
use crate::tape::TapeUse;
use crate::{bounds, descriptors, load, output, threads};

/// The longest that the command waits at its end until its killed children are gone.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Exit code after `--timeout`, the same as that of `timeout(1)`.
const TIMED_OUT: u8 = 124;

/// Runs a component and returns the command's exit code.
///
/// # Errors
///
/// The component did not start.
pub(crate) fn run(args: &RunArgs) -> Result<u8> {
    let name = match &args.component {
        Some(name) => name.clone(),
        None => args
            .guest
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    };
    let compiles_in_parallel = threads::check()?;
    // One thread: the component needs no more, and a start of others may fail.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    survive_file_size_limit(&runtime)?;
    // The cheap checks first: compiling may take seconds.
    let mut tape = TapeUse::new(&args.tape)?;
    let observer = args.why.then_some(Observer::Refusals);
    let native = match tape.starts_programs() {
        true => Some(Arc::new(launcher(&args.sandbox, observer)?)),
        false if args.why => {
            bail!("--why reports on programs that run, and --replay starts none: omit one of them")
        }
        false => None,
    };
    let bytes = load::read(&args.guest)?;
    let grant = grant(args, &name, &bytes)?;
    check_dirs(args, &grant)?;
    let wasi = guest::wasi(args, native.as_deref(), Output::Stdout)?;
    let events = Events::new(args.events.as_deref(), args.grants.is_some(), args.summary)?;
    let events = Arc::new(match args.why {
        true => events.with_why(),
        false => events,
    });

    let engine = load::engine(compiles_in_parallel)?;
    bounds::start_clock(&engine)?;
    let component = load::compile(&engine, &args.guest, &bytes)?;
    let command = guest::link(&engine, &component)
        .with_context(|| format!("cannot run {}", args.guest.display()))?;

    descriptors::raise();
    let launcher = tape.launcher(&args.tape, native)?;
    // There is one guest: what its grant lets it hold, the host has.
    let quotas = grant.quotas();
    let whole = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let registry = Registry::builder()
        .launcher(launcher)
        .max_entries(whole(quotas.max_held_children.into()).max(DEFAULT_MAX_ENTRIES))
        .max_held_bytes(whole(quotas.max_held_bytes).max(DEFAULT_MAX_HELD_BYTES));
    let receiver = Arc::clone(&events);
    let mut registry = registry.on_event(move |event| receiver.record(event));
    if args.ask {
        registry = registry.approver(Arc::new(Terminal::default()));
    }
    let registry = registry.build().context("cannot start the registry")?;
    let process = ProcessCtx::builder(&registry)
        .component(name)
        .grant(grant)
        .build();

    let code: Result<u8> = runtime.block_on(async {
        let mut signals = EndSignals::listen()?;
        tokio::select! {
            code = guest::run(&command, State::new(wasi, process)) => Ok(code),
            code = signals.exit_code() => Ok(code),
            () = elapsed(args.timeout) => {
                output::note("the component did not end within --timeout, and was stopped");
                Ok(TIMED_OUT)
            }
        }
    });
    // The store has been dropped, and with it the guest's handles.
    registry.shutdown(SHUTDOWN_TIMEOUT);
    events.finish();
    // Does not wait for a thread that still reads standard input.
    runtime.shutdown_background();
    let code = code?;
    Ok(tape.finish()?.unwrap_or(code))
}

/// Refuses a directory in which the component itself could replace a program that it may run: a
/// write root of its children is refused for that too.
fn check_dirs(args: &RunArgs, grant: &Grant) -> Result<()> {
    for dir in args.dirs.iter().filter(|dir| !dir.read_only) {
        // A directory that does not exist is reported where it is opened.
        if let Ok(Some(program)) = grant.program_below(Path::new(&dir.host)) {
            bail!(
                "--dir {}: the component could replace {}, which the grant lets it run: give it a directory without its programs",
                dir.host,
                program.display()
            );
        }
    }
    Ok(())
}

/// Waits for `timeout`; without one it never returns.
async fn elapsed(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}

/// Returns the component's grant, found by its hash or its name. Without a grant
/// file the grant denies everything.
fn grant(args: &RunArgs, name: &str, bytes: &[u8]) -> Result<Arc<Grant>> {
    match &args.grants {
        None => Ok(Grant::deny_all(name)),
        Some(file) => {
            let hash = Sha256::digest(bytes).into();
            let grants = load::grants(file, args.sandbox.run_as.identity())?;
            let grant = grants.component_with_sha256(name, &hash);
            if grant.commands().next().is_none() {
                output::note(&load::without_commands(
                    &grants,
                    file,
                    name,
                    "pass --component NAME",
                ));
            }
            Ok(grant)
        }
    }
}

//! Reading and compiling a component, and loading a grant file. If a file is of
//! another kind, the error says which.

use std::fs;
use std::io::{ErrorKind, IsTerminal as _};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use capspawn::Grants;
use capspawn_native::grant::Identity;
use capspawn_native::limits::show_bytes;
use wasmtime::component::Component;
use wasmtime::{Cache, CacheConfig, Config, Engine};

use crate::{output, similar};

/// How long the compilation of a component may take before a line states it: 500 ms.
const PATIENCE: Duration = Duration::from_millis(500);

/// The most files of a folder that are compared with the name of a missing one.
const MAX_ENTRIES: usize = 1000;

/// The first eight bytes of a component and of a core module: the same magic
/// number, then the version and the layer.
const COMPONENT: [u8; 8] = *b"\0asm\x0d\0\x01\0";
const MODULE: [u8; 8] = *b"\0asm\x01\0\0\0";

/// Returns an engine that keeps compiled code in wasmtime's cache directory. Where
/// there is none, for example without a home directory, it compiles every time, on all processors if
/// `in_parallel`.
pub(crate) fn engine(in_parallel: bool) -> Result<Engine> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.parallel_compilation(in_parallel);
    config.cache(Cache::new(CacheConfig::new()).ok());
    Engine::new(&config).map_err(|error| anyhow::anyhow!("cannot start wasmtime: {error:#}"))
}

/// Reads the component at `path`.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let name = path.display();
    if path.is_dir() {
        bail!("{name} is a directory: pass the file of a component");
    }
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!(
                "{name} does not exist{}: pass the file of a component",
                beside(path)
            )
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {name}")),
    };
    if bytes.starts_with(&MODULE) {
        bail!(
            "{name} is a core module, not a component: build it for wasm32-wasip2 (`cargo build --target \
             wasm32-wasip2`), or make a component of it with `wasm-tools component new`"
        );
    }
    if !bytes.starts_with(&COMPONENT) {
        bail!("{name} is not a component: build a component for wasm32-wasip2");
    }
    Ok(bytes)
}

/// Loads the grant file at `path` for children that run as `identity`.
pub(crate) fn grants(path: &Path, identity: Identity) -> Result<Grants> {
    if path.is_dir() {
        let name = path.display();
        bail!("{name}: is a directory, not a grant file: pass the file");
    }
    Ok(Grants::load_as(path, identity)?)
}

/// Returns a hint to a file beside a missing one that has almost its name.
fn beside(path: &Path) -> String {
    let with_extension = path.with_extension("wasm");
    if with_extension.is_file() {
        return format!(" (did you mean {}?)", output::quoted(&with_extension));
    }
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let entries = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .take(MAX_ENTRIES);
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let names: Vec<String> = names.filter(|name| name.ends_with(".wasm")).collect();
    let written = path.file_name().unwrap_or_default().to_string_lossy();
    similar::did_you_mean(&written, names.iter().map(String::as_str))
}

/// Returns the note about a component for which the grant file has no command, and what to do.
pub(crate) fn without_commands(grants: &Grants, file: &Path, name: &str, next: &str) -> String {
    let (file, shown) = (file.display(), output::quoted(name));
    if grants.components().any(|grant| grant.component() == name) {
        return format!("{file} has no command for the component {shown}: every request is denied");
    }
    let hint = match grants.nearest(name) {
        Some(nearest) => format!(" (did you mean {}?)", output::quoted(nearest)),
        None => {
            let names: Vec<_> = grants
                .components()
                .map(|grant| output::quoted(grant.component()))
                .collect();
            match names.len() {
                0 => "; it has none".to_owned(),
                1..=8 => format!("; it has {}", names.join(", ")),
                count => format!("; it has {count} others"),
            }
        }
    };
    format!("{file} has no component {shown}{hint}. Every request is denied: {next}")
}

/// Compiles the bytes that were read from `path`. On a terminal a line states what takes the time if it takes some.
pub(crate) fn compile(engine: &Engine, path: &Path, bytes: &[u8]) -> Result<Component> {
    let (compiled, ended) = mpsc::channel::<()>();
    let line = format!(
        "compiling {} ({}) for the first time; the next run takes it from wasmtime's cache",
        path.display(),
        show_bytes(bytes.len() as u64 >> 10 << 10)
    );
    let waits = std::io::stderr().is_terminal();
    let component = thread::scope(|scope| {
        if waits {
            scope.spawn(move || {
                if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                    output::note(&line);
                }
            });
        }
        let component = Component::new(engine, bytes);
        drop(compiled);
        component
    });
    component.map_err(|error| anyhow::anyhow!("{} cannot be compiled: {error:#}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(content: &[u8]) -> String {
        let dir = tempfile::tempdir().expect("the temporary directory is writable");
        let file = dir.path().join("guest.wasm");
        fs::write(&file, content).expect("the temporary directory is writable");
        let compiled = read(&file).and_then(|it| compile(&Engine::default(), &file, &it));
        compiled.expect_err("not a component").to_string()
    }

    #[test]
    fn the_error_names_what_the_file_is() {
        assert!(refusal(&MODULE).contains("is a core module"));
        assert!(refusal(b"").contains("is not a component"));
        assert!(refusal(b"#!/bin/sh\n").contains("is not a component"));
        assert!(refusal(&[&COMPONENT[..], b"\xff\xff"].concat()).contains("cannot be compiled"));
    }
}

//! Reading and compiling a component, and loading a grant file. If a file is of
//! another kind, the error says which.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use capspawn::Grants;
use capspawn_native::grant::Identity;
use wasmtime::component::Component;
use wasmtime::{Cache, CacheConfig, Config, Engine};

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
            bail!("{name} does not exist: pass the file of a component")
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {name}")),
    };
    if bytes.starts_with(&MODULE) {
        bail!("{name} is a core module, not a component: build it for wasm32-wasip2");
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

/// Compiles the bytes that were read from `path`.
pub(crate) fn compile(engine: &Engine, path: &Path, bytes: &[u8]) -> Result<Component> {
    Component::new(engine, bytes)
        .map_err(|error| anyhow::anyhow!("{} cannot be compiled: {error:#}", path.display()))
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

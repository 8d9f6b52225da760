//! A component made of a core module.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The module between a module whose compiler knows no interfaces and the interfaces.
pub(crate) struct Adapter<'a> {
    /// `NAME.wat`. Its exports are the imports of the module from NAME.
    pub(crate) file: &'a Path,
    /// The package of the world that it imports.
    pub(crate) wit: &'a Path,
    pub(crate) world: &'a str,
}

impl Adapter<'_> {
    fn add(&self, encoder: &mut ComponentEncoder) -> Result<()> {
        let name = self.file.file_stem().and_then(|name| name.to_str());
        let name = name.context("the adapter has no name")?;
        let mut bytes = wat::parse_bytes(&read(self.file)?)?.into_owned();
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_path(self.wit)?;
        let world = resolve.select_world(&[package], Some(self.world))?;
        embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8, false)?;
        encoder.adapter(name, &bytes)?;
        // The module's own allocator is not there before its runtime has started.
        encoder.realloc_via_memory_grow(true);
        Ok(())
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes the component. Without an adapter, the module contains the type of its world.
pub(crate) fn write(module: &Path, component: &Path, adapter: Option<&Adapter<'_>>) -> Result<()> {
    let mut encoder = ComponentEncoder::default();
    encoder.module(&read(module)?)?;
    if let Some(adapter) = adapter {
        adapter.add(&mut encoder)?;
    }
    let bytes = encoder
        .adapter(
            WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
            WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
        )?
        .validate(true)
        .encode()?;
    fs::write(component, bytes).with_context(|| format!("cannot write {}", component.display()))
}

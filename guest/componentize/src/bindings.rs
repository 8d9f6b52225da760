//! Functions in C for the interfaces of a world, and an object with the world's type, which the linker
//! puts into the module.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use wit_bindgen_core::Files;
use wit_parser::Resolve;

/// Writes them into `folder`, which exists afterwards.
pub(crate) fn write(wit: &Path, world: &str, folder: &Path) -> Result<()> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit)?;
    let world = resolve.select_world(&[package], Some(world))?;

    let mut files = Files::default();
    let mut generator = wit_bindgen_c::Opts::default().build();
    generator.generate(&mut resolve, world, &mut files)?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for (name, contents) in files.iter() {
        let path = folder.join(name);
        fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

//! Makes components of the core modules that compilers for C and Go make.
//!
//! Those compilers know WASI 0.1 and no component model. Two steps add it: C receives functions
//! for the interfaces of a WIT world ([`bindings`]), and the linked module becomes a component
//! ([`component`]). The rejected way, the commands `wit-bindgen` and `wasm-tools`, takes minutes
//! to build and has a hundred more functions.

mod bindings;
mod component;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: componentize bindings WIT WORLD FOLDER
           writes FOLDER/WORLD.c, FOLDER/WORLD.h and FOLDER/WORLD_component_type.o
       componentize component MODULE COMPONENT [NAME.wat WIT WORLD]
           NAME.wat has the imports of MODULE from NAME, over the interfaces of WORLD";

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("componentize: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["bindings", wit, world, folder] => {
            bindings::write(Path::new(wit), world, Path::new(folder))
        }
        ["component", module, component] => {
            component::write(Path::new(module), Path::new(component), None)
        }
        ["component", module, component, file, wit, world] => {
            let adapter = component::Adapter {
                file: Path::new(file),
                wit: Path::new(wit),
                world,
            };
            component::write(Path::new(module), Path::new(component), Some(&adapter))
        }
        _ => bail!(USAGE),
    }
}

//! Where the programs are.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use test_kit::Readable;

use crate::row::{Row, Tool};

/// The variable that names the folder into which `tests/programs/install` has installed.
pub(crate) const FOLDER: &str = "CAPSPAWN_PROGRAMS_FOLDER";

/// Where Debian's programs are.
const SYSTEM: &str = "/usr/bin:/bin:/usr/games";

/// What a row uses beyond the system's own files.
#[derive(Debug)]
pub(crate) struct Installed {
    /// The value of `PATH`.
    pub(crate) path: String,
    /// The folder of each tool, by the variable that scripts find it in.
    pub(crate) tools: BTreeMap<&'static str, PathBuf>,
}

/// The folder, where children can read it.
pub(crate) fn folder() -> Option<Readable> {
    let folder = env::var_os(FOLDER).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/programs"),
        PathBuf::from,
    );
    Readable::folder(&folder.canonicalize().ok()?).ok()
}

/// Finds what `row` uses.
///
/// # Errors
///
/// Something is not installed.
pub(crate) fn find(row: &Row) -> Result<Installed, String> {
    static FOLDER: LazyLock<Option<Readable>> = LazyLock::new(folder);
    static TOOLCHAIN: LazyLock<Option<Readable>> = LazyLock::new(Readable::toolchain);
    let mut path = String::new();
    let mut tools = BTreeMap::new();
    for tool in &row.tools {
        let (variable, folder, programs): (_, _, &[&str]) = match tool {
            Tool::Python => ("PYTHON", below(&FOLDER, "python"), &["bin"]),
            Tool::Npm => ("NPM", below(&FOLDER, "npm"), &["bin", "node_modules/.bin"]),
            Tool::Crates => ("CRATES", below(&FOLDER, "crates"), &[]),
            Tool::Rust => ("RUST", below(&TOOLCHAIN, ""), &["bin"]),
        };
        let folder = folder.filter(|it| it.exists());
        let folder = folder.ok_or_else(|| match tool {
            Tool::Rust => "there is no toolchain that children can read".to_owned(),
            _ => format!("the programs of {variable} are missing: run tests/programs/install"),
        })?;
        for part in programs {
            path += &format!("{}:", folder.join(part).display());
        }
        tools.insert(variable, folder);
    }
    path += SYSTEM;
    for (command, package) in &row.needs {
        let mut found = path.split(':').map(|it| Path::new(it).join(command));
        if !found.any(|it| it.exists()) {
            return Err(format!(
                "{command} is missing: install the Debian package {package}"
            ));
        }
    }
    Ok(Installed { path, tools })
}

fn below(folder: &Option<Readable>, part: &str) -> Option<PathBuf> {
    folder.as_ref().map(|it| it.path().join(part))
}

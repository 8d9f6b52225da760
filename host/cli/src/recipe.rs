//! A recipe: a grant for a well-known program, with places for the paths of a host.
//!
//! Lines that begin with `#:` declare the values: a name, a kind, a default and what it is. `${name}` stands for a value
//! in a string, and `${secrets}` for the list of files in the workspace in which secrets usually are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::output::quoted;

/// The recipes that ship with the command, by name.
pub(crate) const RECIPES: [(&str, &str); 12] = [
    (
        "git-read-only",
        include_str!("../recipes/git-read-only.toml"),
    ),
    ("git-commits", include_str!("../recipes/git-commits.toml")),
    ("rustfmt", include_str!("../recipes/rustfmt.toml")),
    ("black", include_str!("../recipes/black.toml")),
    ("ripgrep", include_str!("../recipes/ripgrep.toml")),
    ("gcc-make", include_str!("../recipes/gcc-make.toml")),
    (
        "cargo-build-offline",
        include_str!("../recipes/cargo-build-offline.toml"),
    ),
    ("python-venv", include_str!("../recipes/python-venv.toml")),
    ("npm-test", include_str!("../recipes/npm-test.toml")),
    (
        "language-server",
        include_str!("../recipes/language-server.toml"),
    ),
    ("ffmpeg", include_str!("../recipes/ffmpeg.toml")),
    ("shell-script", include_str!("../recipes/shell-script.toml")),
];

/// Where a program is looked for before `PATH`: folders that every user can reach, without the launchers of version
/// managers, which need their user's home directory.
const FOLDERS: [&str; 3] = ["/usr/bin", "/bin", "/usr/local/bin"];

/// Files of a workspace in which secrets usually are. They are denied where they exist.
const SECRETS: [&str; 12] = [
    ".env",
    ".env.local",
    ".npmrc",
    ".pypirc",
    ".netrc",
    ".ssh",
    ".aws",
    ".gnupg",
    ".kube",
    ".docker",
    ".git-credentials",
    ".config/gcloud",
];

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A text.
    Text,
    /// A folder, which exists.
    Folder,
    /// A program: a path, or a name that is looked for.
    Program,
    /// The folder of a Rust toolchain.
    Toolchain,
}

/// A value that a recipe takes.
#[derive(Debug)]
pub(crate) struct Parameter<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: Kind,
    pub(crate) default: &'a str,
    pub(crate) meaning: &'a str,
}

/// Returns the first line of a recipe, which states what it is for.
pub(crate) fn title(text: &str) -> &str {
    text.lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches(['#', ' '])
}

/// Returns the values that a recipe takes.
pub(crate) fn parameters(text: &str) -> Vec<Parameter<'_>> {
    let declared = text.lines().filter_map(|line| line.strip_prefix("#: "));
    declared
        .filter_map(|line| {
            let mut words = line.splitn(4, ' ');
            Some(Parameter {
                name: words.next()?,
                kind: match words.next()? {
                    "folder" => Kind::Folder,
                    "program" => Kind::Program,
                    "toolchain" => Kind::Toolchain,
                    _ => Kind::Text,
                },
                default: words.next()?,
                meaning: words.next()?,
            })
        })
        .collect()
}

/// Returns the value of a parameter as the grant has it.
///
/// # Errors
///
/// There is no such folder or program.
pub(crate) fn resolve(parameter: &Parameter<'_>, written: Option<&str>) -> Result<String> {
    let name = parameter.name;
    let value = written.unwrap_or(parameter.default);
    let path = match parameter.kind {
        Kind::Text => return Ok(value.to_owned()),
        Kind::Folder => folder(name, value)?,
        Kind::Program => program(name, value)?,
        Kind::Toolchain => match written {
            Some(written) => folder(name, written)?,
            None => toolchain()?,
        },
    };
    let path = path.into_os_string().into_string();
    path.map_err(|path| {
        anyhow::anyhow!(
            "{name}: {} is not UTF-8, which a grant file must be",
            quoted(&path)
        )
    })
}

fn folder(name: &str, value: &str) -> Result<PathBuf> {
    if value == "-" {
        bail!("this recipe needs `--set {name}=DIR`: `capspawn init --list` shows what it is");
    }
    let path = Path::new(value).canonicalize();
    let path = path.with_context(|| format!("{name}: cannot use {}", quoted(value)))?;
    if !path.is_dir() {
        bail!("{name}: {} is not a directory", quoted(value));
    }
    Ok(path)
}

/// Refuses a workspace that is no project: the root, or a home directory, in which secrets of many programs are.
pub(crate) fn check_workspace(path: &str) -> Result<()> {
    let path = Path::new(path);
    let is_home =
        std::env::home_dir().is_some_and(|home| home.canonicalize().is_ok_and(|home| home == path));
    let holds_homes = ["/", "/home", "/root", "/etc"]
        .iter()
        .any(|it| Path::new(it) == path);
    if is_home || holds_homes {
        bail!(
            "workspace: {} is not the folder of a project, and a program that may read it finds secrets there: change to the \
             project, or pass `--set workspace=DIR`",
            quoted(path)
        );
    }
    Ok(())
}

/// Returns the files of the workspace in which secrets usually are, as a list of TOML.
pub(crate) fn secrets(workspace: &str) -> String {
    let found = SECRETS.map(|name| Path::new(workspace).join(name));
    let found = found.iter().filter(|path| path.symlink_metadata().is_ok());
    let shown: Vec<_> = found
        .map(|path| toml_string(&path.to_string_lossy()))
        .collect();
    format!("[{}]", shown.join(", "))
}

/// Finds a program where every user can reach it, else by `PATH`.
fn program(name: &str, value: &str) -> Result<PathBuf> {
    if value.contains('/') {
        let path = std::path::absolute(value)?;
        if !path.is_file() {
            bail!("{name}: {} is not a file", quoted(value));
        }
        return Ok(path);
    }
    let by_path = std::env::var_os("PATH").unwrap_or_default();
    let by_path: Vec<_> = std::env::split_paths(&by_path).collect();
    let folders = FOLDERS.iter().map(PathBuf::from).chain(by_path);
    let mut found = folders
        .map(|folder| folder.join(value))
        .filter(|file| file.is_absolute() && file.is_file());
    found.next().with_context(|| {
        format!("{value} is not installed: install it, or pass `--set {name}=PATH`")
    })
}

/// Returns the folder of the Rust toolchain: the one that rustup uses by default, or that of the system. No program is
/// started: `rustc --print sysroot` would know it, and may install a toolchain first.
fn toolchain() -> Result<PathBuf> {
    let by_rustup = rustup_home().and_then(|home| chosen(&home));
    let of_system = || {
        Path::new("/usr/bin/rustc")
            .is_file()
            .then(|| PathBuf::from("/usr"))
    };
    by_rustup
        .or_else(of_system)
        .context("no Rust toolchain was found: install Rust, or pass `--set toolchain=DIR`, the folder with bin/rustc")
}

fn rustup_home() -> Option<PathBuf> {
    let set = std::env::var_os("RUSTUP_HOME").map(PathBuf::from);
    set.or_else(|| Some(std::env::home_dir()?.join(".rustup")))
}

/// Returns the toolchain that rustup would choose outside of any project.
fn chosen(home: &Path) -> Option<PathBuf> {
    let settings = || {
        let text = std::fs::read_to_string(home.join("settings.toml")).ok()?;
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        let (_, value) = lines.find(|(key, _)| key.trim() == "default_toolchain")?;
        Some(value.trim().trim_matches('"').to_owned())
    };
    let name = std::env::var("RUSTUP_TOOLCHAIN").ok().or_else(settings)?;
    let folder = home.join("toolchains");
    // The name may lack the part that names the machine.
    let entries = folder.read_dir().ok()?.flatten().map(|entry| entry.path());
    let mut names: Vec<PathBuf> = entries.collect();
    names.sort();
    let exact = folder.join(&name);
    let starts = |path: &&PathBuf| {
        let text = path
            .file_name()
            .and_then(|it| it.to_str())
            .unwrap_or_default();
        text.strip_prefix(&name)
            .is_some_and(|rest| rest.starts_with('-'))
    };
    match exact.is_dir() {
        true => Some(exact),
        false => names.iter().find(starts).cloned(),
    }
}

/// Returns a text as a string of TOML.
pub(crate) fn toml_string(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// Returns a text as it stands between the quotes of a string of TOML.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            c if c.is_control() => escaped += &format!("\\u{:04x}", u32::from(c)),
            c => escaped.push(c),
        }
    }
    escaped
}

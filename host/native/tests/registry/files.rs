//! A folder with roots and files, for tests of files as standard streams.

use std::fs;
use std::path::PathBuf;

use capspawn_native::{Command, FileMode, Guest, Registry, Stdin, Stdio};
use tempfile::TempDir;
use test_kit::scratch;

use crate::support::*;

/// A folder with `in` (a read root), `out` (a write root), `out/ro` (a read root inside it), and
/// files around them. Every user may write it.
pub(crate) struct Files {
    pub(crate) folder: TempDir,
    pub(crate) registry: Registry,
}

impl Files {
    pub(crate) fn new() -> Self {
        let folder = scratch();
        let at = |name: &str| folder.path().join(name);
        for name in ["in", "out", "out/ro", "away"] {
            fs::create_dir(at(name)).expect("an empty folder");
            open_to_all(at(name));
        }
        for name in ["in/text", "in/secret", "out/ro/text", "away/text"] {
            fs::write(at(name), "some text\n").expect("an empty folder");
            open_to_all(at(name));
        }
        let registry = registry();
        Self { folder, registry }
    }

    pub(crate) fn at(&self, name: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        path.to_str().expect("it is UTF-8").to_owned()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).expect("it was written")
    }

    pub(crate) fn guest(&self, rules: &str) -> Guest {
        let (read, nested, write) = (self.at("in"), self.at("out/ro"), self.at("out"));
        let toml = format!(
            "version = 1\n[defaults]\nsandbox = \"none\"\nredirect = true\n\
             fs = {{ read = [{read:?}, {nested:?}], write = [{write:?}] }}\n{rules}\n\
             [[component.test.command]]\nname = \"sh\"\nprogram = \"/bin/sh\"\n\
             args = [\"-c\", \"*\"]\ninterpreter = true\n"
        );
        self.registry.guest(load(&toml).component("test"), "")
    }

    pub(crate) fn stdin(&self, name: &str) -> Command {
        Command {
            stdin: Stdin::File(self.at(name)),
            ..sh("cat")
        }
    }

    pub(crate) fn stdout(&self, name: &str, mode: FileMode, script: &str) -> Command {
        Command {
            stdout: self.file(name, mode),
            ..sh(script)
        }
    }

    pub(crate) fn file(&self, name: &str, mode: FileMode) -> Stdio {
        Stdio::File {
            path: self.at(name),
            mode,
        }
    }
}

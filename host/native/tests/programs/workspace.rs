//! The folder in which a job runs, and the job without a sandbox.

use std::fs::{self, Permissions};
use std::io::{Read as _, pipe};
use std::os::unix::fs::{PermissionsExt as _, chown, fchown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use tempfile::TempDir;
use test_kit::{is_root, scratch};

use crate::installed::Installed;
use crate::row::Row;

/// The user and group of the files in write roots of a host that runs as root.
const NOBODY: u32 = 65534;

/// What a file with the text `$ASK` contains: a client of language servers.
const ASK: &str = include_str!("rows/ask.py");

/// Stops a program that runs outside the sandbox: GNU's `timeout`, its grace and its time in seconds.
const BOUND: [&str; 3] = ["timeout", "--kill-after=5", "110"];

/// The folder of a job, with the files of its row.
#[derive(Debug)]
pub(crate) struct Workspace<'a> {
    row: &'a Row,
    installed: &'a Installed,
    folder: TempDir,
}

impl<'a> Workspace<'a> {
    /// Makes the folder, and runs what the row prepares.
    pub(crate) fn new(row: &'a Row, installed: &'a Installed) -> Self {
        let workspace = Self {
            row,
            installed,
            folder: scratch(),
        };
        workspace.give(workspace.path(), 0o755);
        for (name, text) in &row.files {
            workspace.write(name, &text.replace("$ASK", ASK));
        }
        if let Some(script) = &row.prepare {
            let (status, output) = workspace.outside(&["/bin/sh", "-ec", script]);
            assert!(status.success(), "{}: prepare: {output}", row.program);
        }
        workspace
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The variables of the job.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let home = self.path().display().to_string();
        let mut variables = vec![
            ("PATH".to_owned(), self.installed.path.clone()),
            ("HOME".to_owned(), home.clone()),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ];
        for (name, folder) in &self.installed.tools {
            variables.push(((*name).to_owned(), folder.display().to_string()));
        }
        for (name, value) in &self.row.env {
            let mut value = value.replace("$WORKSPACE", &home);
            for (tool, folder) in &self.installed.tools {
                value = value.replace(&format!("${tool}"), &folder.display().to_string());
            }
            variables.retain(|(other, _)| other != name);
            variables.push((name.clone(), value));
        }
        variables
    }

    /// Runs a program without a sandbox, as the user that children have. Returns what it printed on
    /// both streams.
    pub(crate) fn outside(&self, argv: &[&str]) -> (ExitStatus, String) {
        let (mut reader, writer) = pipe().expect("a descriptor is free");
        let mut command = Command::new(BOUND[0]);
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
            // So that it can be opened by its path, /dev/stdout.
            fchown(&writer, Some(NOBODY), Some(NOBODY)).expect("root may change the owner");
        }
        command
            .args(&BOUND[1..])
            .args(argv)
            .env_clear()
            .envs(self.variables())
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stderr(writer.try_clone().expect("a descriptor is free"))
            .stdout(writer);
        let mut child = command.spawn().expect("timeout is a part of coreutils");
        // It holds the writing ends.
        drop(command);
        let mut printed = Vec::new();
        reader
            .read_to_end(&mut printed)
            .expect("a pipe is readable");
        let status = child.wait().expect("it is a child of this test");
        (status, String::from_utf8_lossy(&printed).into_owned())
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        for folder in Path::new(name)
            .ancestors()
            .skip(1)
            .collect::<Vec<_>>()
            .iter()
            .rev()
        {
            let folder = self.path().join(folder);
            if !folder.exists() {
                fs::create_dir(&folder).expect("the test may write the folder");
                self.give(&folder, 0o755);
            }
        }
        fs::write(&path, text).expect("the test may write the folder");
        self.give(&path, if text.starts_with("#!") { 0o755 } else { 0o644 });
    }

    fn give(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("the test owns it");
        if is_root() {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("root may change the owner");
        }
    }
}

//! How long it takes to see the last status when a thousand children end at once.
//!
//! All children read from one FIFO, whose only writer is this process: closing it
//! ends them. Each child first writes a line, to show that it has started to read.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use capspawn_native::Command;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinSet;

use crate::baseline;
use crate::forms::{self, Form};
use crate::report::{Figure, Report};
use crate::statistics::{Unit, by_turns, seconds};

const CHILDREN: usize = 1000;

pub(crate) fn measure(form: &Form, report: &mut Report) {
    let folder = tempfile::tempdir_in("/tmp").expect("/tmp is writable");
    let fifo = fifo(folder.path());
    let registry = forms::build(form.registry());
    let guest = forms::guest(&registry, Some(folder.path()));
    let script = format!("exec < {}; echo; read line", fifo.display());
    let command = Command {
        stderr: capspawn_native::Stdio::Null,
        ..Command::new("sh").args(["-c", &script])
    };
    let runtime = baseline::runtime();
    let pair = by_turns(
        Unit::Seconds,
        5,
        || runtime.block_on(by_tokio(&fifo, &script)),
        || {
            let writer = writer(&fifo);
            let start = || guest.spawn(&command).unwrap_or_else(|e| panic!("{e}"));
            let children: Vec<_> = (0..CHILDREN).map(|_| start()).collect();
            for child in &children {
                while child.captured(0, 0).0.data.is_empty() {
                    std::thread::yield_now();
                }
            }
            let time = seconds(|| {
                drop(writer);
                for child in &children {
                    child.wait_blocking(None);
                }
            });
            drop(children);
            forms::settle(&registry, 0);
            time
        },
    );
    let figure = Figure {
        name: "1000 children end at once, to the last status",
        baseline: "tokio::process",
        target: "1.2",
    };
    report.pair(form, figure, &pair);
}

async fn by_tokio(fifo: &Path, script: &str) -> f64 {
    let writer = writer(fifo);
    let mut children = Vec::new();
    for _ in 0..CHILDREN {
        let mut child = tokio::process::Command::new("/bin/sh")
            .args(["-c", script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let stdout = child.stdout.take().expect("it is piped");
        children.push((child, stdout));
    }
    for (_, stdout) in &mut children {
        stdout.read_u8().await.expect("it reads");
    }
    let start = std::time::Instant::now();
    drop(writer);
    let mut ends = JoinSet::new();
    for (mut child, mut stdout) in children {
        ends.spawn(async move {
            stdout.read_to_end(&mut Vec::new()).await.expect("a pipe");
            child.wait().await.expect("it ends");
        });
    }
    ends.join_all().await;
    start.elapsed().as_secs_f64()
}

/// A FIFO that every user can read.
fn fifo(folder: &Path) -> PathBuf {
    let path = folder.join("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::empty(), 0).expect("the folder is ours");
    for (path, mode) in [(folder, 0o755), (&path, 0o644)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    }
    path
}

/// Opens the FIFO for reading and writing, so that no reader has to exist first.
fn writer(fifo: &Path) -> File {
    let both = File::options().read(true).write(true).open(fifo);
    both.expect("it is ours")
}

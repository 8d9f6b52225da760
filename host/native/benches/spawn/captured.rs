//! The throughput of captured output, against a pipe that an async program reads.

use std::process::Stdio;

use capspawn_native::{Command, ExitStatus};
use tokio::io::AsyncReadExt as _;

use crate::baseline;
use crate::forms::Form;
use crate::report::{Figure, Report};
use crate::statistics::{Unit, by_turns, seconds};

/// 16384 blocks of 64 KiB: the writer does little, so the reader is measured.
const DD: [&str; 4] = ["if=/dev/zero", "bs=64K", "count=16384", "status=none"];
const BYTES: u64 = 1 << 30;
const BUFFER_BYTES: usize = 64 * 1024;

/// Keeps the first MiB and counts the rest, as a capture does by default.
pub(crate) fn measure(form: &Form, report: &mut Report) {
    let guest = form.guest();
    let command = Command::new("dd").args(DD);
    let (tokio, plain) = (baseline::runtime(), baseline::runtime());
    let pair = by_turns(
        Unit::BytesPerSecond,
        10,
        || BYTES as f64 / seconds(|| tokio.block_on(piped())),
        || {
            let time = seconds(|| {
                let child = guest.spawn(&command).unwrap_or_else(|e| panic!("{e}"));
                let (status, stdout, _) = plain.block_on(child.output());
                assert_eq!(status, ExitStatus::Exited(0));
                assert_eq!(stdout.data.len() as u64 + stdout.dropped, BYTES);
            });
            BYTES as f64 / time
        },
    );
    let figure = Figure {
        name: "captured output, 1 GiB",
        baseline: "tokio ChildStdout, 64 KiB buffer",
        target: "0.90 or more",
    };
    report.pair(form, figure, &pair);
}

async fn piped() {
    let mut child = tokio::process::Command::new("/bin/dd")
        .args(DD)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut stdout = child.stdout.take().expect("it is piped");
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut read = 0;
    loop {
        match stdout.read(&mut buffer).await.expect("a pipe") {
            0 => break,
            bytes => read += bytes as u64,
        }
    }
    assert_eq!(read, BYTES);
    child.wait().await.expect("it ends");
}

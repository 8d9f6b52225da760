//! The native side: children of std, and a pipe of tokio.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

const BUFFER_BYTES: usize = 64 * 1024;

/// Reads `bytes` bytes of a child through tokio's pipe, which reads as its
/// `ChildStdout` does. That type would need one more feature of tokio, and with it a
/// second build of everything that uses tokio.
pub(crate) async fn read(bytes: u64) -> Result<Duration> {
    let started = Instant::now();
    let mut child = Command::new("/usr/bin/head")
        .args(["-c", &bytes.to_string(), "/dev/zero"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("it is piped")?;
    let mut stdout = pipe::Receiver::from_owned_fd(stdout.into())?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut total = 0;
    loop {
        match stdout.read(&mut buffer).await? {
            0 => break,
            read => total += read as u64,
        }
    }
    child.wait()?;
    ensure!(total == bytes, "{total} bytes arrived");
    Ok(started.elapsed())
}

/// Runs `count` children one after the other, and captures their output.
pub(crate) fn spawn(count: u32) -> Result<Duration> {
    let started = Instant::now();
    for _ in 0..count {
        Command::new("/bin/true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()?;
    }
    Ok(started.elapsed())
}

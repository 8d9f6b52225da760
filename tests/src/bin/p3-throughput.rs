//! Measures how fast a guest of version 0.3 reads a child's output, against
//! tokio's reading of the same pipe in the same run: pairs, one after the other.
//!
//! Usage: `cargo run --release -p e2e --bin p3-throughput [BYTES] [PAIRS]`

use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use e2e::{TestHost, guests};
use tokio::net::unix::pipe::Receiver;

const GRANT: &str = r#"
    version = 1
    [component.guest]
    sandbox = "none"
    cwd = { default = "/" }
    [[component.guest.command]]
    name = "head"
    program = "/usr/bin/head"
    args = ["-c", "*", "/dev/zero"]
"#;

const BUFFER_BYTES: usize = 64 * 1024;

/// Reads with what tokio's `ChildStdout` is made of; returns bytes a second.
async fn tokio_reads(bytes: u64) -> Result<f64> {
    let started = Instant::now();
    let mut child = Command::new("/usr/bin/head")
        .args(["-c", &bytes.to_string(), "/dev/zero"])
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = OwnedFd::from(child.stdout.take().context("it is piped")?);
    let pipe = Receiver::from_owned_fd(stdout)?;
    let (mut total, mut buffer) = (0, vec![0; BUFFER_BYTES]);
    loop {
        pipe.readable().await?;
        match pipe.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => total += read as u64,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
    child.wait()?;
    ensure!(total == bytes, "{total} bytes arrived");
    Ok(rate(bytes, started))
}

/// The same through a guest, the start of the component included.
async fn guest_reads(bytes: u64) -> Result<f64> {
    let host =
        TestHost::new()
            .grant_toml(GRANT)
            .args(["head", "-c", &bytes.to_string(), "/dev/zero"]);
    let started = Instant::now();
    let report = host.run(guests::P3_DRAIN).await;
    let rate = rate(bytes, started);
    ensure!(report.stdout == format!("{bytes} bytes\n"), "{report:?}");
    Ok(rate)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn rate(bytes: u64, started: Instant) -> f64 {
    bytes as f64 / started.elapsed().as_secs_f64()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let bytes = args.next().map_or(Ok(1 << 30), |text| text.parse())?;
    let pairs = args.next().map_or(Ok(5), |text| text.parse())?;
    // Compiled before, as in a host that runs for longer than once.
    guests::P3_DRAIN.component();
    let mut ratios = Vec::new();
    for pair in 1..=pairs {
        let native = tokio_reads(bytes).await?;
        let guest = guest_reads(bytes).await?;
        ratios.push(guest / native);
        println!(
            "{pair}: tokio {:.2} GB/s, guest {:.2} GB/s, ratio {:.2}",
            native / 1e9,
            guest / 1e9,
            guest / native
        );
    }
    ratios.sort_by(f64::total_cmp);
    println!("median ratio {:.2}", ratios[ratios.len() / 2]);
    Ok(())
}

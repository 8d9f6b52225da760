//! What a guest pays for going through the component, against the same work done
//! natively, in turns in the same run: the machine's mood is then in both.
//!
//! `cargo bench -p e2e --bench guest --profile dev`. It reports and never fails
//! on a figure. The bench profile would build all of wasmtime once more; in `dev`
//! both sides of a ratio are compiled alike, and most of the time is the kernel's.

use std::io;
use std::process::Stdio;
use std::time::{Duration, Instant};

use e2e::{TestHost, guests};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

/// Turns of each comparison; the median counts.
const TURNS: usize = 7;
/// Of the comparison; the round trip takes four times as many, once.
const BYTES: u64 = 1 << 28;
const SPAWNS: u32 = 50;
const CALLS: u32 = 200_000;

const GRANT: &str = r#"
    version = 1
    [component.guest]
    sandbox = "none"
    max-total = 100000
    limits = { wall = "10min" }
    [[component.guest.command]]
    name = "true"
    program = "/bin/true"
    [[component.guest.command]]
    name = "cat"
    program = "/bin/cat"
    [[component.guest.command]]
    name = "head"
    program = "/usr/bin/head"
    args = [{ literal = "-c" }, "*", "/dev/zero"]
"#;

/// The time of one mode of the guest `measures`, by its own clock: without
/// compiling and instantiating.
async fn guest(mode: &str, count: u64) -> Duration {
    let host = TestHost::new()
        .grant_toml(GRANT)
        .timeout(Duration::from_secs(600));
    let report = host
        .args([mode.to_owned(), count.to_string()])
        .run(guests::MEASURES)
        .await;
    report.assert_exit(0);
    let nanoseconds = report.stdout.trim().parse().expect("it prints a number");
    Duration::from_nanos(nanoseconds)
}

/// Reads with a buffer of 64 KiB through tokio's pipe, which reads as its
/// `ChildStdout` does: that one would need one more feature of tokio, and with it
/// a second build of all that uses tokio.
async fn read_natively() -> io::Result<Duration> {
    let started = Instant::now();
    let mut child = std::process::Command::new("/usr/bin/head")
        .args(["-c", &BYTES.to_string(), "/dev/zero"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().expect("piped");
    let mut stdout = pipe::Receiver::from_owned_fd(stdout.into())?;
    let mut buffer = vec![0; 64 * 1024];
    while stdout.read(&mut buffer).await? > 0 {}
    child.wait()?;
    Ok(started.elapsed())
}

fn spawn_natively() -> io::Result<Duration> {
    let started = Instant::now();
    for _ in 0..SPAWNS {
        std::process::Command::new("/bin/true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()?;
    }
    Ok(started.elapsed())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let megabytes = BYTES as f64 / 1e6;
    let (mut ours, mut native) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        native.push(read_natively().await?);
        ours.push(guest("read", BYTES).await);
    }
    let (ours, native) = (median(ours), median(native));
    println!("child to guest, 256 MiB of `head -c 256M /dev/zero`, median of {TURNS} turns:");
    println!(
        "  tokio's pipe, 64 KiB         {:8.0} MB/s",
        megabytes / native
    );
    println!(
        "  guest, input-stream          {:8.0} MB/s",
        megabytes / ours
    );
    println!("  ratio                        {:8.2}", native / ours);

    let both = guest("both-ways", 4 * BYTES).await.as_secs_f64();
    println!("through `cat` and back, 1 GiB with a checksum on both sides, once:");
    println!(
        "  guest                        {:8.0} MB/s",
        4.0 * megabytes / both
    );

    let (mut ours, mut native) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        native.push(spawn_natively()?);
        ours.push(guest("spawn", SPAWNS.into()).await);
    }
    let each = |total: f64| total * 1e6 / f64::from(SPAWNS);
    let (ours, native) = (each(median(ours)), each(median(native)));
    println!(
        "spawn and wait of `true`, no sandbox, output captured, median of {TURNS} turns of {SPAWNS}:"
    );
    println!("  std                          {native:8.0} us");
    println!("  guest                        {ours:8.0} us");
    println!("  ratio                        {:8.2}", ours / native);

    let (mut poll, mut nothing) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        nothing.push(guest("nothing", CALLS.into()).await);
        poll.push(guest("poll", CALLS.into()).await);
    }
    let each = |total: f64| total * 1e9 / f64::from(CALLS);
    let (poll, nothing) = (each(median(poll)), each(median(nothing)));
    println!("one call from the guest, median of {TURNS} turns of {CALLS}:");
    println!("  a host call that does nothing{nothing:8.0} ns");
    println!("  poll of a child that runs    {poll:8.0} ns");
    Ok(())
}

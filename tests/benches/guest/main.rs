//! What a guest pays for child processes, against the same work done natively. Both
//! sides take turns in the same run, so that the machine's load affects both.
//!
//! `cargo bench -p e2e --bench guest --profile dev`. It reports, and never fails on a
//! figure. The bench profile would build all of wasmtime once more; with `dev` both
//! sides of a ratio are compiled alike, and the kernel takes most of the time.

#![expect(clippy::disallowed_types, reason = "the baseline is a child of std")]

mod native;
mod p2;
mod p3;

use std::time::Duration;

use anyhow::Result;

/// Turns of each comparison. Its result is the median.
const TURNS: usize = 7;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // `-- pipeline` measures that alone.
    if std::env::args().any(|arg| arg == "pipeline") {
        p2::pipeline().await;
        return Ok(());
    }
    p2::read().await?;
    p2::both_ways().await;
    p2::pipeline().await;
    p2::spawn().await?;
    p2::call().await;
    p3::read().await
}

/// Returns the median, in seconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

/// Prints the rates at which both sides read `bytes` bytes of a child.
fn print_rates(bytes: u64, native_seconds: f64, guest: &str, guest_seconds: f64) {
    let rate = |seconds: f64| bytes as f64 / 1e6 / seconds;
    let (native_rate, guest_rate) = (rate(native_seconds), rate(guest_seconds));
    println!("  tokio's pipe, 64 KiB         {native_rate:8.0} MB/s");
    println!("  {guest:<28} {guest_rate:8.0} MB/s");
    println!(
        "  ratio                        {:8.2}",
        guest_rate / native_rate
    );
}

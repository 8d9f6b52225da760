//! Supervises more commands than may run at once, and reports each as it ends.
//!
//! `cargo run -p capspawn-native --example supervise-many`

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use capspawn_native::grant::Grants;
use capspawn_native::{Command, ExitStatus, Quota, Registry, SpawnError};
use tokio::task::JoinSet;

/// Three children at once; a child is killed after two seconds.
const GRANT: &str = r#"
version = 1

[component.jobs]
max-live = 3

[[component.jobs.command]]
name = "sleep"
program = "/bin/sleep"
args = [{ re = "[0-9.]+" }]
fs = { read = ["/bin", "/lib", "/lib64", "/usr"] }
limits = { wall = "2s" }
"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let grants = Grants::from_toml_str(GRANT, Path::new("/"))?;
    let registry = Registry::builder().build()?;
    let guest = registry.guest(grants.component("jobs"), "");

    let mut running = JoinSet::new();
    for seconds in ["0.3", "0.1", "60", "0.2", "0.1", "0.3"] {
        let command = Command::new("sleep").arg(seconds);
        // A request over the cap is refused at once, so the caller waits for room.
        let child = loop {
            match guest.spawn(&command) {
                Err(SpawnError::Quota(Quota::LiveChildren)) => report_next(&mut running).await?,
                started => break started?,
            }
        };
        running.spawn(async move { (seconds, child.wait(None).await) });
    }
    while !running.is_empty() {
        report_next(&mut running).await?;
    }
    drop(guest);
    if !registry.shutdown_async(Duration::from_secs(5)).await {
        return Err("a child did not end".into());
    }
    println!("nothing is left");
    Ok(())
}

/// Waits until one child has ended, and reports how.
async fn report_next(
    running: &mut JoinSet<(&'static str, Option<ExitStatus>)>,
) -> Result<(), Box<dyn Error>> {
    if let Some(ended) = running.join_next().await {
        let (seconds, status) = ended?;
        let status = status.ok_or("a wait without a timeout returns a status")?;
        println!("sleep {seconds}: {status}");
    }
    Ok(())
}

#[test]
fn the_example_runs() {
    main().expect("it runs to its end");
}

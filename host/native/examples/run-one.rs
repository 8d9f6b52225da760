//! Runs one command under a grant, to its end.
//!
//! `cargo run -p capspawn-native --example run-one`

use std::error::Error;
use std::path::Path;

use capspawn_native::grant::Grants;
use capspawn_native::{Command, Registry, SpawnError};

/// What the component `report` may run. The child is confined: it can read the
/// listed directories, write nothing, and has no network.
const GRANT: &str = r#"
version = 1

[[component.report.command]]
name = "kernel"
program = "/bin/uname"
args = ["-s"]
fs = { read = ["/bin", "/lib", "/lib64", "/usr"] }
limits = { wall = "5s" }
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let grants = Grants::from_toml_str(GRANT, Path::new("/"))?;
    let registry = Registry::builder().build()?;
    let guest = registry.guest(grants.component("report"), "");

    let child = guest.spawn(&Command::new("kernel").arg("-s"))?;
    let status = child.wait_blocking(None);
    let (stdout, _) = child.captured(0, 0);
    print!("{}", String::from_utf8_lossy(&stdout.data));
    println!("{status:?}");

    // The grant lists one argument. Everything else is refused before it starts.
    match guest.spawn(&Command::new("kernel").arg("-a")) {
        Err(SpawnError::Denied(denial)) => println!("{denial}"),
        other => return Err(format!("it should have been refused: {other:?}").into()),
    }
    Ok(())
}

#[test]
fn the_example_runs() {
    main().expect("it runs to its end");
}

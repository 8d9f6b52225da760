//! Programs of others run unmodified: this file and the crates that it uses know `std` alone.

use std::error::Error;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use xshell::{Shell, cmd};

fn main() -> Result<(), Box<dyn Error>> {
    let (version, channel, date) = version_check::triple().ok_or("rustc --version failed")?;
    println!("version_check: {version} {channel} {date}");
    println!("rustc_version: {}", rustc_version::version()?);

    let shell = Shell::new()?;
    let words = ["two", "words"];
    println!("xshell: {}", cmd!(shell, "echo {words...}").read()?);
    cmd!(shell, "echo xshell: inherited").run()?;
    let failed = cmd!(shell, "false").run().expect_err("it fails");
    println!("xshell: {failed}");
    let status = cmd!(shell, "false").ignore_status().output()?.status;
    println!("xshell: {:?}", status.code());

    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .expect("it is piped")
        .write_all(b"std: piped")?;
    let mut text = String::new();
    child
        .stdout
        .take()
        .expect("it is piped")
        .read_to_string(&mut text)?;
    println!("{text}, {}", child.wait()?);
    Ok(())
}

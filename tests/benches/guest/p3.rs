//! A guest of version 0.3. Its time is the host's: the start of the component counts,
//! so it reads four times as many bytes as the guest of version 0.2.

use std::time::Instant;

use anyhow::{Result, ensure};
use e2e::{TestHost, guests};

use crate::{TURNS, median, native, print_rates};

const BYTES: u64 = 1 << 30;

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

pub(crate) async fn read() -> Result<()> {
    // Compiled before the first turn, as in a host that runs a component more than once.
    guests::P3_DRAIN.component();
    let (mut guest, mut native) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        native.push(native::read(BYTES).await?);
        let host = TestHost::new().grant_toml(GRANT);
        let host = host.args(["head", "-c", &BYTES.to_string(), "/dev/zero"]);
        let started = Instant::now();
        let report = host.run(guests::P3_DRAIN).await;
        guest.push(started.elapsed());
        ensure!(report.stdout == format!("{BYTES} bytes\n"), "{report:?}");
    }
    println!("child to guest 0.3, 1 GiB of `head -c 1G /dev/zero`, median of {TURNS} turns:");
    print_rates(BYTES, median(native), "guest, stream", median(guest));
    Ok(())
}

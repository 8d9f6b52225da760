//! Uses the asynchronous half of the library `capspawn-guest`, and prints one line for each part.
//!
//! Usage: `p3-library`, or `p3-library PROGRAM [ARGS]...`, which runs PROGRAM.

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::time::Duration;

use capspawn_guest::p3::{Child, Command, Stdio, wait_any};
use capspawn_guest::{KillReason, Signal};
use futures::future::{join, poll_immediate};

capspawn_guest::main!(run);

type Result<T = ()> = std::result::Result<T, Box<dyn StdError>>;

/// Not a multiple of what a pipe holds.
const MEGABYTES: usize = (8 << 20) + 7;

async fn run() -> Result {
    let mut args = std::env::args().skip(1);
    if let Some(program) = args.next() {
        let status = Command::new(program).args(args).status().await?;
        return if status.success() {
            Ok(())
        } else {
            Err(status.to_string().into())
        };
    }
    output().await?;
    inherit().await?;
    both_ways().await?;
    connected().await?;
    ends().await?;
    several().await?;
    cancelled().await?;
    unused().await
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

async fn sleeper() -> Result<Child> {
    Ok(shell("exec sleep 300").spawn().await?)
}

async fn output() -> Result {
    let output = shell("echo out; echo err >&2; exit 7").output().await?;
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        (&output.stdout[..], &output.stderr[..]),
        (&b"out\n"[..], &b"err\n"[..])
    );
    let denied = Command::new("absent")
        .output()
        .await
        .expect_err("not granted");
    assert_eq!(denied.kind(), ErrorKind::NotFound);
    let file = Stdio::read_path("/usr/bin/env");
    let denied = shell("cat")
        .stdin(file)
        .output()
        .await
        .expect_err("not granted");
    assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
    let merged = shell("echo 1; echo 2 >&2")
        .stderr(Stdio::merged())
        .output()
        .await?;
    assert_eq!(merged.stdout, b"1\n2\n");
    println!("output");
    Ok(())
}

async fn inherit() -> Result {
    assert!(
        shell("cat; echo printed")
            .stdin(Stdio::inherit())
            .status()
            .await?
            .success()
    );
    println!("inherit");
    Ok(())
}

async fn both_ways() -> Result {
    let sent: Vec<u8> = (0..MEGABYTES).map(|at| (at % 251) as u8).collect();
    let mut cat = shell("cat");
    let child = cat
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .await?;
    assert!(child.wait_with_input(sent.clone()).await?.stdout == sent);

    let mut child = cat
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .await?;
    let mut stdin = child.stdin.take().expect("piped");
    let stdout = child.stdout.take().expect("piped");
    let feed = async {
        stdin.write_all(sent.clone()).await?;
        stdin.close().await
    };
    let (fed, received) = join(feed, stdout.read_to_end()).await;
    fed?;
    assert!(received? == sent);
    assert!(child.wait().await?.success());
    println!("both ways");
    Ok(())
}

async fn connected() -> Result {
    let mut source = shell("seq 100000").stdout(Stdio::piped()).spawn().await?;
    let pipe = source.stdout.take().expect("piped");
    let counted = shell("wc -l").stdin(pipe).output().await?;
    assert_eq!(counted.stdout, b"100000\n");
    println!("connected");
    Ok(())
}

async fn ends() -> Result {
    let mut child = sleeper().await?;
    assert_eq!(child.wait_timeout(Duration::from_millis(1)).await?, None);
    child.signal(Signal::Terminate)?;
    let status = child.wait().await?;
    assert_eq!(
        (status.killed(), status.signal()),
        (Some(KillReason::Requested), Some(15))
    );
    let slow = shell("sleep 300")
        .timeout(Duration::from_millis(50))
        .status()
        .await?;
    assert_eq!(slow.killed(), Some(KillReason::Timeout));
    println!("ends");
    Ok(())
}

async fn several() -> Result {
    let quick = shell("exit 3").spawn().await?;
    let mut children = vec![sleeper().await?, quick, sleeper().await?];
    let (first, status) = wait_any(&mut children).await?;
    assert_eq!((first, status.code()), (1, Some(3)));
    println!("several");
    Ok(())
}

/// A wait that is dropped loses nothing.
async fn cancelled() -> Result {
    let mut child = shell("read x; exit 5")
        .stdin(Stdio::piped())
        .spawn()
        .await?;
    let mut stdin = child.stdin.take().expect("piped");
    assert!(poll_immediate(child.wait()).await.is_none());
    stdin.write_all(*b"\n").await?;
    assert_eq!(child.wait().await?.code(), Some(5));
    println!("cancelled");
    Ok(())
}

/// A pipe that is never used is closed.
async fn unused() -> Result {
    let mut child = shell("cat").stdin(Stdio::piped()).spawn().await?;
    drop(child.stdin.take());
    assert!(child.wait().await?.success());
    let mut child = shell("while echo y; do :; done 2>&-; exit 9")
        .stdout(Stdio::piped())
        .spawn()
        .await?;
    drop(child.stdout.take());
    assert!(!child.wait().await?.success());
    println!("unused");
    Ok(())
}

//! Futures over WASI 0.2: waiting for several things at once.

use std::error::Error as StdError;
use std::time::Duration;

use capspawn_guest::{Command, Stdio, block_on, sleep};
use futures::future::{Either, join_all, select};
use futures::io::{AsyncReadExt as _, AsyncWriteExt as _};

type Result = std::result::Result<(), Box<dyn StdError>>;

/// Not a multiple of what a pipe holds.
const MEGABYTES: usize = (8 << 20) + 7;

#[test]
fn futures_wait_for_several_things_at_once() -> Result {
    block_on(async {
        let start = |time| Command::new("sleep").arg(time).spawn();
        let ends = join_all([start("0")?.wait_async(), start("0")?.wait_async()]).await;
        assert!(
            ends.into_iter()
                .all(|end| end.is_ok_and(|status| status.success()))
        );

        // The loser is dropped, which kills its child.
        let slow = std::pin::pin!(start("60")?.wait_async());
        let timer = std::pin::pin!(sleep(Duration::from_millis(20)));
        assert!(matches!(select(slow, timer).await, Either::Right(_)));

        let sent: Vec<u8> = (0..MEGABYTES).map(|at| (at % 251) as u8).collect();
        let mut cat = Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdin = cat.stdin.take().expect("piped");
        let mut stdout = cat.stdout.take().expect("piped");
        let mut received = Vec::new();
        let feed = async {
            stdin.write_all(&sent).await?;
            drop(stdin);
            std::io::Result::Ok(())
        };
        let (fed, read) = futures::join!(feed, stdout.read_to_end(&mut received));
        fed?;
        read?;
        assert!(received == sent, "a part is lost or changed");
        assert!(cat.wait_async().await?.success());
        Ok(())
    })
}

/// WASI demands that a pollable is dropped before its stream: no order in the component traps.
#[test]
fn a_pending_read_may_be_dropped_in_any_order() -> Result {
    for order in 0..3 {
        let mut child = Command::new("sh")
            .args(["-c", "read x"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdout = child.stdout.take().expect("piped");
        let stdin = child.stdin.take();
        block_on(async {
            let mut buffer = [0; 1];
            let read = std::pin::pin!(stdout.read(&mut buffer));
            let timer = std::pin::pin!(sleep(Duration::from_millis(1)));
            assert!(matches!(select(read, timer).await, Either::Right(_)));
        });
        match order {
            0 => drop((child, stdout, stdin)),
            1 => drop((stdin, stdout, child)),
            _ => {
                // The pending pollable does not hinder a blocking read.
                drop(stdin);
                assert_eq!(std::io::Read::read(&mut stdout, &mut [0; 1])?, 0);
            }
        }
    }
    Ok(())
}

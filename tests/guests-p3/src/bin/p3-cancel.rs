//! Cancels calls that wait, and checks that nothing was lost.
//!
//! Usage: `p3-cancel [spawn]`

use futures::future::poll_immediate;
use guests_p3::spawn::Child;
use guests_p3::types::{ErrorCode, ExitStatus, Quota};
use guests_p3::{guest, run, shell, wit_stream};
use wit_bindgen::yield_async;

guest!(main);

async fn main() {
    if std::env::args().nth(1).as_deref() == Some("spawn") {
        return spawn().await;
    }
    wait_and_read().await;
    run().await;
}

async fn wait_and_read() {
    let child = shell("read x; printf whole; exit 7").await;
    let (mut writer, data) = wit_stream::new();
    let fed = child.write_stdin(data);
    let (mut stdout, ended) = child.read_stdout();

    assert!(poll_immediate(child.wait(None)).await.is_none());
    assert!(
        poll_immediate(stdout.read(Vec::with_capacity(2)))
            .await
            .is_none()
    );

    writer.write_all(b"\n".to_vec()).await;
    drop(writer);
    assert!(matches!(
        child.wait(None).await,
        Some(ExitStatus::Exited(7))
    ));
    assert_eq!(stdout.collect().await, b"whole");
    ended.await.expect("the end was reached");
    fed.await.expect("all was written");
    // The status is still available.
    assert!(matches!(
        child.wait(Some(0)).await,
        Some(ExitStatus::Exited(7))
    ));
    println!("wait and read");
}

/// The grant allows one child at a time: the next can start once the first is killed.
async fn run() {
    let script = |text: &str| vec!["-c".to_owned(), text.to_owned()];
    let endless = run::run("sh".to_owned(), script("sleep 300"), None);
    assert!(poll_immediate(endless).await.is_none());
    loop {
        match run::run("sh".to_owned(), script("echo next"), None).await {
            Ok(output) => break assert_eq!(output.stdout.data, b"next\n"),
            Err(ErrorCode::QuotaExceeded(Quota::LiveChildren)) => yield_async().await,
            Err(error) => panic!("{error:?}"),
        }
    }
    println!("run");
}

/// The host waits for an approver that never answers.
async fn spawn() {
    let endless = vec!["-c".to_owned(), "sleep 300".to_owned()];
    let spawned = poll_immediate(Child::spawn("sh".to_owned(), endless, None)).await;
    assert!(spawned.is_none());
    println!("spawn");
}

//! Uses a child's pipes in every way, and prints one line for each.

use futures::future::poll_immediate;
use futures::join;
use guests_p3::types::{ErrorCode, ExitStatus};
use guests_p3::{guest, shell, wit_stream};
use wit_bindgen::StreamResult;

guest!(main);

/// More bytes than a pipe holds, and not a multiple of its page size.
const PAYLOAD_BYTES: usize = 1_000_003;

async fn main() {
    round_trip().await;
    readiness().await;
    dropped_reader().await;
    broken_pipe().await;
    taken_twice().await;
    after_the_handle().await;
    connected().await;
}

/// A guest that writes and reads at the same time is not blocked by full pipes.
async fn round_trip() {
    let child = shell("cat").await;
    let (mut writer, data) = wit_stream::new();
    let fed = child.write_stdin(data);
    let (stdout, ended) = child.read_stdout();
    let sent: Vec<u8> = (0..PAYLOAD_BYTES).map(|at| (at % 251) as u8).collect();
    let feed = async {
        assert!(writer.write_all(sent.clone()).await.is_empty());
        drop(writer);
        fed.await
    };
    let (fed, received) = join!(feed, stdout.collect());
    fed.expect("all was written");
    ended.await.expect("the end was reached");
    assert!(received == sent);
    assert!(matches!(
        child.wait(None).await,
        Some(ExitStatus::Exited(0))
    ));
    println!("round trip");
}

/// A read of length zero completes when there is something to read, and consumes nothing.
async fn readiness() {
    let child = shell("read x; printf ab; read x").await;
    let (mut writer, data) = wit_stream::new();
    let _fed = child.write_stdin(data);
    let (mut stdout, ended) = child.read_stdout();
    assert!(poll_immediate(stdout.read(Vec::new())).await.is_none());
    writer.write_all(b"\n".to_vec()).await;
    let (result, _) = stdout.read(Vec::new()).await;
    assert_eq!(result, StreamResult::Complete(0));
    let (_, bytes) = stdout.read(Vec::with_capacity(2)).await;
    assert_eq!(bytes, b"ab");
    // Everything was read, so the stream is not ready any more.
    assert!(poll_immediate(stdout.read(Vec::new())).await.is_none());
    writer.write_all(b"\n".to_vec()).await;
    // The end is something to read too, and every further read reports it.
    let (result, _) = stdout.read(Vec::new()).await;
    assert_ne!(result, StreamResult::Cancelled);
    let (result, bytes) = stdout.read(Vec::with_capacity(1)).await;
    assert_eq!((result, bytes.len()), (StreamResult::Dropped, 0));
    ended.await.expect("the end was reached");
    println!("readiness");
}

/// The child's write fails after the guest has dropped the reader.
async fn dropped_reader() {
    let child = shell("trap '' PIPE; while echo y; do :; done 2>&-; exit 9").await;
    let (mut stdout, ended) = child.read_stdout();
    let (_, bytes) = stdout.read(Vec::with_capacity(2)).await;
    assert_eq!(bytes, b"y\n");
    drop(stdout);
    ended.await.expect("a dropped reader is not a failure");
    assert!(matches!(
        child.wait(None).await,
        Some(ExitStatus::Exited(9))
    ));
    println!("dropped reader");
}

/// The guest's write fails after the child has closed its input.
async fn broken_pipe() {
    let child = shell("exec <&-; echo closed; sleep 60").await;
    let (stdout, _ended) = child.read_stdout();
    let (mut writer, data) = wit_stream::new();
    let fed = child.write_stdin(data);
    let mut stdout = stdout;
    let (_, bytes) = stdout.read(Vec::with_capacity(7)).await;
    assert_eq!(bytes, b"closed\n");
    // Another child that the host is just starting may hold the pipe's other end until it executes.
    while writer.write_all(vec![0; 10]).await.is_empty() {}
    assert!(matches!(fed.await, Err(ErrorCode::BrokenPipe)));
    println!("broken pipe");
}

async fn taken_twice() {
    let child = shell("cat").await;
    let (first, _ended) = child.read_stdout();
    let (second, ended) = child.read_stdout();
    assert!(second.collect().await.is_empty());
    assert!(matches!(ended.await, Err(ErrorCode::InvalidState)));

    let (mut writer, data) = wit_stream::new();
    let fed = child.write_stdin(data);
    let (mut again, data) = wit_stream::new();
    let refused = child.write_stdin(data);
    assert_eq!(again.write_all(vec![1]).await.len(), 1);
    assert!(matches!(refused.await, Err(ErrorCode::InvalidState)));

    // Standard error is captured, not piped.
    let (none, ended) = child.read_stderr();
    assert!(none.collect().await.is_empty());
    assert!(matches!(ended.await, Err(ErrorCode::InvalidState)));

    // The streams that were taken first still work.
    writer.write_all(b"x".to_vec()).await;
    drop(writer);
    assert_eq!(first.collect().await, b"x");
    fed.await.expect("all was written");
    println!("taken twice");
}

/// Bytes that a child wrote before it was killed can be read after its handle was dropped.
async fn after_the_handle() {
    let child = shell("printf last; exec >&-; sleep 60").await;
    let (mut stdout, ended) = child.read_stdout();
    let (result, _) = stdout.read(Vec::new()).await;
    assert_eq!(result, StreamResult::Complete(0));
    drop(child);
    assert_eq!(stdout.collect().await, b"last");
    ended.await.expect("the end was reached");
    println!("after the handle");
}

/// One child's output is another's input, without a copy in the guest's memory.
async fn connected() {
    let source = shell("i=0; while [ $i -lt 20000 ]; do echo 12345678; i=$((i+1)); done").await;
    let sink = shell("wc -c").await;
    let (data, _ended) = source.read_stdout();
    let fed = sink.write_stdin(data);
    let (counted, _ended) = sink.read_stdout();
    let (fed, counted) = join!(fed.into_future(), counted.collect());
    fed.expect("all was written");
    assert_eq!(String::from_utf8_lossy(&counted).trim(), "180000");
    println!("connected");
}

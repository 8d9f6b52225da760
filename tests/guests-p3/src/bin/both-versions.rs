//! Uses both versions of the interface, whose children share one registry.

use guests_p3::{guest, p2, shell, types};

guest!(main);

async fn main() {
    let script = vec!["-c".to_owned(), "echo 0.2".to_owned()];
    let echo = || p2::run::run("sh", &script, None);

    let child = shell("read x").await;
    // The grant allows one child at a time, for both versions together.
    let refused = echo().expect_err("one child runs");
    assert!(matches!(
        refused,
        p2::types::ErrorCode::QuotaExceeded(p2::types::Quota::LiveChildren)
    ));
    guests_p3::spawn::Child::release(child).await;
    let output = echo().expect("no child runs");
    assert_eq!(output.stdout.data, b"0.2\n");

    let endless = vec!["-c".to_owned(), "sleep 300".to_owned()];
    let child = p2::spawn::Child::spawn("sh", &endless, None).expect("no child runs");
    let script = vec!["-c".to_owned(), "echo 0.3".to_owned()];
    let refused = guests_p3::run::run("sh".to_owned(), script.clone(), None).await;
    assert!(matches!(
        refused,
        Err(types::ErrorCode::QuotaExceeded(types::Quota::LiveChildren))
    ));
    p2::spawn::Child::release(child);
    let output = guests_p3::run::run("sh".to_owned(), script, None)
        .await
        .expect("the last was released");
    assert_eq!(output.stdout.data, b"0.3\n");
    println!("both versions");
}

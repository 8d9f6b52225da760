//! Starts a script, waits until it prints `ready`, and leaves it in one of the ways
//! in which a guest can leave a child.
//!
//! Usage: `p3-leaves-child drop|forget|trap|wait|spin SCRIPT`

use std::time::Duration;

use guests_p3::guest;
use guests_p3::spawn::Child;

guest!(main);

async fn main() {
    let mut args = std::env::args().skip(1);
    let mut arg = || args.next().expect("HOW SCRIPT");
    let (how, script) = (arg(), arg());
    let args = vec!["-c".to_owned(), script];
    let child = Child::spawn("sh".to_owned(), args, None).await;
    let child = child.expect("granted");
    while !child.captured(0, 0).0.data.ends_with(b"ready\n") {
        child.wait(Some(1_000_000)).await;
    }
    println!("{how}");
    match how.as_str() {
        "drop" => drop(child),
        "forget" => std::mem::forget(child),
        "trap" => core::arch::wasm32::unreachable(),
        "wait" => {
            child.wait(None).await;
            // The script may have ended; this guest continues to run.
            std::thread::sleep(Duration::from_secs(600));
        }
        "spin" => loop {
            std::hint::black_box(&child);
        },
        other => panic!("unknown way to leave a child: {other}"),
    }
}

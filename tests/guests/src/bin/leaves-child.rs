//! Starts a script, waits until it prints `ready`, and leaves it in one of the ways
//! in which a guest can leave a child.
//!
//! Usage: `leaves-child drop|forget|trap|wait|spin SCRIPT`

use std::time::Duration;

use guest_examples::spawn::Child;

fn main() {
    let mut args = std::env::args().skip(1);
    let mut arg = || args.next().expect("HOW SCRIPT");
    let (how, script) = (arg(), arg());
    let child = Child::spawn("sh", &["-c".to_owned(), script], None).expect("granted");
    while !child.captured(0, 0).0.data.ends_with(b"ready\n") {
        child.wait(Some(1_000_000));
    }
    println!("{how}");
    match how.as_str() {
        "drop" => drop(child),
        "forget" => std::mem::forget(child),
        "trap" => core::arch::wasm32::unreachable(),
        "wait" => std::thread::sleep(Duration::from_secs(600)),
        "spin" => loop {
            std::hint::black_box(&child);
        },
        other => panic!("unknown way to leave a child: {other}"),
    }
}

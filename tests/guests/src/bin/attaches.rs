//! Attaches to the child with this key, waits for its end, and prints its output.
//!
//! Usage: `attaches KEY`

use guest_examples::spawn::Child;
use guest_examples::types::ErrorCode;

fn main() {
    let key = std::env::args().nth(1).expect("KEY");
    let child = match Child::attach(&key) {
        Ok(child) => child,
        Err(ErrorCode::NoEntry) => return println!("no entry"),
        Err(other) => panic!("{other:?}"),
    };
    let again = Child::attach(&key).expect_err("a key attaches once");
    assert!(matches!(again, ErrorCode::NoEntry));
    let status = child.wait(None).expect("without a timeout it waits");
    let text = child.captured(0, 0).0.data;
    print!("{}{status:?}", String::from_utf8_lossy(&text));
}

//! Starts a script, detaches it, and prints its key.
//!
//! Usage: `detaches SCRIPT`

use guest_examples::spawn::Child;
use guest_examples::types::{DeniedItem, ErrorCode};

fn main() {
    let script = std::env::args().nth(1).expect("SCRIPT");
    let child = Child::spawn("sh", &["-c".to_owned(), script], None).expect("granted");
    match child.detach() {
        Ok(key) => println!("{key}"),
        Err(ErrorCode::AccessDenied(DeniedItem::Detach)) => {
            assert!(child.poll().is_none(), "a refused detach ends no child");
            println!("refused");
        }
        Err(other) => panic!("{other:?}"),
    }
}

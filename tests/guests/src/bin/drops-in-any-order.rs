//! Drops children before and after their pollables, and polls a pollable whose child
//! was dropped.

use guest_examples::spawn::Child;

fn main() {
    let spawn = || Child::spawn("sleep", &["300".to_owned()], None).expect("the grant allows it");

    let child = spawn();
    let (first, second) = (child.subscribe(), child.subscribe());
    drop(first);
    assert!(!second.ready());
    drop(child);
    second.block();
    assert!(second.ready());

    let child = spawn();
    let pollable = child.subscribe();
    Child::release(child);
    assert!(pollable.ready());
}

//! Starts a program, loses the handle, and returns as if nothing were.

fn main() {
    let child = guest_examples::spawn::Child::spawn("sleep", &["300".to_owned()], None);
    std::mem::forget(child.expect("the grant allows it"));
}

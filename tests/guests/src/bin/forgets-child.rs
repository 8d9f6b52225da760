//! Starts a program, leaks the handle, and returns.

fn main() {
    let child = guest_examples::spawn::Child::spawn("sleep", &["300".to_owned()], None);
    std::mem::forget(child.expect("the grant allows it"));
}

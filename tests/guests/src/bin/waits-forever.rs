//! Waits without a timeout for a program that does not end.

fn main() {
    let child = guest_examples::spawn::Child::spawn("sleep", &["300".to_owned()], None);
    child.expect("the grant allows it").wait(None);
}

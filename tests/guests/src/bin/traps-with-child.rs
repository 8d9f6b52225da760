//! Traps while its child runs.

fn main() {
    let child = guest_examples::spawn::Child::spawn("sleep", &["300".to_owned()], None);
    let _child = child.expect("the grant allows it");
    core::arch::wasm32::unreachable();
}

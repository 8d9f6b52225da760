//! Runs a program that writes far more than a pipe holds to both of its output
//! streams.

use guest_examples::run;
use guest_examples::spawn::Child;
use guest_examples::types::{Capture, ExitStatus};

/// What the program writes to each stream, in bytes.
const EACH: u64 = 4 << 20;

fn main() {
    let script = format!(
        "head -c {EACH} /dev/zero >&2; head -c {EACH} /dev/zero; head -c {EACH} /dev/zero >&2"
    );
    let args = ["-c".to_owned(), script];
    let seen = |capture: &Capture| capture.data.len() as u64 + capture.dropped;

    let output = run::run("sh", &args, None).expect("the grant allows it");
    assert!(matches!(output.status, ExitStatus::Exited(0)));
    assert_eq!(
        (seen(&output.stdout), seen(&output.stderr)),
        (EACH, 2 * EACH)
    );

    // Its output is not read while it runs.
    let child = Child::spawn("sh", &args, None).expect("the grant allows it");
    assert!(matches!(child.wait(None), Some(ExitStatus::Exited(0))));
}

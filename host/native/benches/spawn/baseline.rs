//! What every program has at hand: children without confinement.

use std::process::{Command, Stdio};

use crate::statistics::seconds;

/// `program` without streams.
pub(crate) fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Starts `/bin/true` and waits for its end.
pub(crate) fn spawn_and_wait() {
    quiet("/bin/true").status().expect("it starts");
}

/// Starts `/bin/true`, for as long as that takes, and then waits for its end.
pub(crate) fn spawn() -> f64 {
    let mut command = quiet("/bin/true");
    let mut child = None;
    let time = seconds(|| child = Some(command.spawn().expect("it starts")));
    child.map(|mut child| child.wait());
    time
}

/// A runtime for what is measured on this thread.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

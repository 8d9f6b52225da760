//! What every program has at hand: children without confinement.

use std::process::{Command, Stdio};

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

/// A runtime for what is measured on this thread.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

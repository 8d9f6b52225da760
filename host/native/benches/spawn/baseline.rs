//! The baseline: unconfined children of the standard library and of tokio.

use std::process::{Command, Stdio};

use crate::statistics::seconds;

/// A command for `program` whose streams are the null device.
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

/// Measures the start of `/bin/true`, then waits for its end.
pub(crate) fn spawn() -> f64 {
    let mut command = quiet("/bin/true");
    let mut child = None;
    let time = seconds(|| child = Some(command.spawn().expect("it starts")));
    child.map(|mut child| child.wait());
    time
}

/// A runtime on this thread, for the async baselines.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod any;
mod bindings;
mod child;
mod command;
mod error;
mod exchange;
mod link;
#[cfg(feature = "p3")]
pub mod p3;
mod pipe;
mod pipeline;
mod reactor;
mod request;
mod status;
mod stdio;
mod wait;

pub use any::{wait_any, wait_any_timeout};
pub use child::{Captured, Child, Output, Signal, Usage};
pub use command::Command;
pub use error::{DeniedItem, Error, Quota};
pub use pipe::{ChildStderr, ChildStdin, ChildStdout};
pub use pipeline::{Pipeline, PipelineChildren};
pub use reactor::{block_on, sleep};
pub use status::{ExitStatus, KillReason};
pub use std::process::{ExitCode, Termination, abort};
pub use stdio::Stdio;

/// Ends the component with an exit code, after all that `print!` has buffered is written. Only
/// the low 8 bits count: in a WASI 0.2 component [`std::process::exit`] supports only success
/// and failure.
pub fn exit(code: i32) -> ! {
    use std::io::Write as _;
    let _ = std::io::stdout().flush();
    #[expect(clippy::cast_sign_loss, reason = "only the low 8 bits are kept")]
    wasip2::cli::exit::exit_with_code((code & 0xff) as u8);
    unreachable!("the host has ended the component")
}

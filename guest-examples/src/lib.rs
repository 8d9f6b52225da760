//! The bindings of the examples that use the interface itself, generated from the WIT.
//!
//! Most components need the crate `capspawn-guest` and nothing of this. A component with bindings of
//! its own needs a copy of `wit/p2`, the crates `wit-bindgen` and `wasip2`, and this macro call. The
//! rest of this file is only for the examples.

mod bindings {
    wit_bindgen::generate!({
        path: "../wit/p2",
        world: "capspawn:process/imports",
        // The types of the crate `wasip2`, so that one `poll` can wait for a
        // child, a clock and a socket.
        with: {
            "wasi:io/error@0.2.0": wasip2::io::error,
            "wasi:io/poll@0.2.0": wasip2::io::poll,
            "wasi:io/streams@0.2.0": wasip2::io::streams,
        },
        generate_all,
    });
}

mod link;

pub use bindings::capspawn::process::{run, spawn, types};
pub use link::{Link, connect};

use std::io::Write as _;

use types::{DeniedItem, ErrorCode, ExitStatus};

/// Exits with any code. In a WASI 0.2 component `std::process::exit` supports only
/// success and failure.
pub fn exit(code: u8) -> ! {
    // Otherwise the bytes that `print!` has buffered would be lost.
    let _ = std::io::stdout().flush();
    wasip2::cli::exit::exit_with_code(code);
    unreachable!("the host ends the component")
}

/// Describes how a child ended.
pub fn ending(status: ExitStatus) -> String {
    match status {
        ExitStatus::Exited(code) => format!("exited with {code}"),
        ExitStatus::Signaled(signal) => format!("ended by signal {signal}"),
        ExitStatus::Killed(kill) => format!("killed by the host: {:?}", kill.reason),
    }
}

/// Names the part of a request that was denied.
pub fn item_name(item: DeniedItem) -> &'static str {
    match item {
        DeniedItem::Program => "program",
        DeniedItem::Argument => "argument",
        DeniedItem::Environment => "environment",
        DeniedItem::WorkingDirectory => "working directory",
        DeniedItem::Stdio => "standard input",
        DeniedItem::Detach => "detach",
    }
}

/// Describes why a program did not run.
pub fn reason(error: &ErrorCode) -> String {
    match error {
        ErrorCode::AccessDenied(item) => format!("the grant refuses the {}", item_name(*item)),
        ErrorCode::QuotaExceeded(quota) => format!("quota exceeded: {quota:?}"),
        ErrorCode::NoEntry => "no such program".to_owned(),
        ErrorCode::NotExecutable => "the program has changed, or is for another machine".to_owned(),
        ErrorCode::WorkingDirectoryNotFound => "no such working directory".to_owned(),
        ErrorCode::InvalidArgument => "invalid request".to_owned(),
        ErrorCode::TooBig => "arguments, environment or input too big".to_owned(),
        ErrorCode::InsufficientMemory => "the host is out of memory".to_owned(),
        ErrorCode::SandboxUnavailable => {
            "this host lacks the sandbox that the grant requires".to_owned()
        }
        ErrorCode::InvalidState => "the stream was taken before, or is not piped".to_owned(),
        ErrorCode::BrokenPipe => "the child closed the stream".to_owned(),
        ErrorCode::Unsupported => "this host does not support it".to_owned(),
        ErrorCode::Other(text) => text.clone().unwrap_or_else(|| "unknown error".to_owned()),
    }
}

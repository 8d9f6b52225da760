//! The bindings that every example shares, generated from the WIT text.
//!
//! A component of yours needs the same three things: a copy of `wit/p2`, the
//! crate `wit-bindgen`, and this macro call.

mod bindings {
    wit_bindgen::generate!({
        path: "../wit/p2",
        world: "capspawn:process/imports",
        // One type for all: a child's pollable can be waited for together with
        // a clock's or a socket's.
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

/// Exits with any code: `std::process::exit` knows only success and failure in
/// a WASI 0.2 component.
pub fn exit(code: u8) -> ! {
    // What `print!` has buffered would be lost.
    let _ = std::io::stdout().flush();
    wasip2::cli::exit::exit_with_code(code);
    unreachable!("the host ends the component")
}

/// Says how a child ended, for a person.
pub fn ending(status: ExitStatus) -> String {
    match status {
        ExitStatus::Exited(code) => format!("exited with {code}"),
        ExitStatus::Signaled(signal) => format!("ended by signal {signal}"),
        ExitStatus::Killed(reason) => format!("killed by the host: {reason:?}"),
    }
}

/// Names a part of a request, for a person.
pub fn word(item: DeniedItem) -> &'static str {
    match item {
        DeniedItem::Program => "program",
        DeniedItem::Argument => "argument",
        DeniedItem::Environment => "environment",
        DeniedItem::WorkingDirectory => "working directory",
        DeniedItem::Stdio => "stdio",
        DeniedItem::Timeout => "timeout",
        DeniedItem::Detach => "detach",
    }
}

/// Says why a program did not run, for a person.
pub fn reason(error: &ErrorCode) -> String {
    match error {
        ErrorCode::AccessDenied(item) => format!("the grant refuses the {}", word(*item)),
        ErrorCode::QuotaExceeded(quota) => format!("quota exceeded: {quota:?}"),
        ErrorCode::NoEntry => "no such program".to_owned(),
        ErrorCode::NotExecutable => "not executable here".to_owned(),
        ErrorCode::WorkingDirectoryNotFound => "no such working directory".to_owned(),
        ErrorCode::InvalidArgument => "invalid argument".to_owned(),
        ErrorCode::TooBig => "arguments, environment or input too big".to_owned(),
        ErrorCode::InsufficientMemory => "the host has no memory for it".to_owned(),
        ErrorCode::SandboxUnavailable => "the host lacks the sandbox it needs".to_owned(),
        ErrorCode::InvalidState => "the stream was taken before".to_owned(),
        ErrorCode::BrokenPipe => "the child closed the stream".to_owned(),
        ErrorCode::Unsupported => "the host does not offer this".to_owned(),
        ErrorCode::Other(text) => text.clone().unwrap_or_else(|| "unknown error".to_owned()),
    }
}

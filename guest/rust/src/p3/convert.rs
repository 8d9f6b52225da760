//! The types of version 0.3, as those of this crate.

use std::io;

use super::bindings::capspawn::process::types as p3;
use crate::bindings::capspawn::process::types as p2;
use crate::error::Error;
use crate::status::ExitStatus;

/// Converts an enum that is the same in both versions.
macro_rules! same {
    ($function:ident, $from:ident :: $type:ident => $to:ident, [$($case:ident),* $(,)?]) => {
        pub(super) fn $function(value: $from::$type) -> $to::$type {
            match value {
                $($from::$type::$case => $to::$type::$case,)*
            }
        }
    };
}

same!(item, p3::DeniedItem => p2, [Program, Argument, Environment, WorkingDirectory, Stdio, Detach]);
same!(quota, p3::Quota => p2, [LiveChildren, TotalChildren, SpawnRate, HostCapacity, HeldMemory, HeldDescriptors]);
same!(reason, p3::KillReason => p2, [
    Requested, Released, Timeout, CpuTime, Memory, Processes, FileSize, Output, Lifetime, Host,
]);
same!(signal, p2::Signal => p3, [
    Hangup, Interrupt, Quit, Terminate, Kill, User1, User2, Stop, Continue, WindowChange, Alarm,
    BrokenPipe,
]);

pub(super) fn status(status: p3::ExitStatus) -> ExitStatus {
    ExitStatus::from(match status {
        p3::ExitStatus::Exited(code) => p2::ExitStatus::Exited(code),
        p3::ExitStatus::Signaled(signal) => p2::ExitStatus::Signaled(signal),
        p3::ExitStatus::Killed(kill) => p2::ExitStatus::Killed(p2::Kill {
            reason: reason(kill.reason),
            signal: kill.signal,
        }),
    })
}

/// Returns the error of a request.
pub(super) fn failed(code: p3::ErrorCode) -> io::Error {
    use p3::ErrorCode;
    let code = match code {
        ErrorCode::AccessDenied(it) => p2::ErrorCode::AccessDenied(item(it)),
        ErrorCode::QuotaExceeded(it) => p2::ErrorCode::QuotaExceeded(quota(it)),
        ErrorCode::NoEntry => p2::ErrorCode::NoEntry,
        ErrorCode::NotExecutable => p2::ErrorCode::NotExecutable,
        ErrorCode::WorkingDirectoryNotFound => p2::ErrorCode::WorkingDirectoryNotFound,
        ErrorCode::InvalidArgument => p2::ErrorCode::InvalidArgument,
        ErrorCode::TooBig => p2::ErrorCode::TooBig,
        ErrorCode::InsufficientMemory => p2::ErrorCode::InsufficientMemory,
        ErrorCode::SandboxUnavailable => p2::ErrorCode::SandboxUnavailable,
        ErrorCode::InvalidState => p2::ErrorCode::InvalidState,
        ErrorCode::BrokenPipe => p2::ErrorCode::BrokenPipe,
        ErrorCode::Unsupported => p2::ErrorCode::Unsupported,
        ErrorCode::Other(text) => p2::ErrorCode::Other(text),
    };
    Error::from(code).into()
}

//! Between the generated types and the native ones: no decisions, only names.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use capspawn_native as native;

use super::bindings::types;
use crate::ErrorCode;

impl From<ErrorCode> for types::ErrorCode {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::AccessDenied(item) => Self::AccessDenied(item.into()),
            ErrorCode::QuotaExceeded(quota) => Self::QuotaExceeded(quota.into()),
            ErrorCode::NoEntry => Self::NoEntry,
            ErrorCode::NotExecutable => Self::NotExecutable,
            ErrorCode::WorkingDirectoryNotFound => Self::WorkingDirectoryNotFound,
            ErrorCode::InvalidArgument => Self::InvalidArgument,
            ErrorCode::TooBig => Self::TooBig,
            ErrorCode::InsufficientMemory => Self::InsufficientMemory,
            ErrorCode::SandboxUnavailable => Self::SandboxUnavailable,
            ErrorCode::InvalidState => Self::InvalidState,
            ErrorCode::BrokenPipe => Self::BrokenPipe,
            ErrorCode::Unsupported => Self::Unsupported,
            ErrorCode::Other(text) => Self::Other(text),
        }
    }
}

impl From<native::DeniedItem> for types::DeniedItem {
    fn from(item: native::DeniedItem) -> Self {
        match item {
            native::DeniedItem::Program => Self::Program,
            native::DeniedItem::Argument => Self::Argument,
            native::DeniedItem::Environment => Self::Environment,
            native::DeniedItem::WorkingDirectory => Self::WorkingDirectory,
            native::DeniedItem::Stdio => Self::Stdio,
            native::DeniedItem::Timeout => Self::Timeout,
            native::DeniedItem::Detach => Self::Detach,
        }
    }
}

impl From<native::Quota> for types::Quota {
    fn from(quota: native::Quota) -> Self {
        match quota {
            native::Quota::LiveChildren => Self::LiveChildren,
            native::Quota::TotalChildren => Self::TotalChildren,
            native::Quota::SpawnRate => Self::SpawnRate,
            native::Quota::HostCapacity => Self::HostCapacity,
        }
    }
}

impl From<native::ExitStatus> for types::ExitStatus {
    fn from(status: native::ExitStatus) -> Self {
        match status {
            native::ExitStatus::Exited(code) => Self::Exited(code),
            native::ExitStatus::Signaled(signal) => Self::Signaled(signal),
            native::ExitStatus::Killed(reason) => Self::Killed(reason.into()),
        }
    }
}

impl From<native::KillReason> for types::KillReason {
    fn from(reason: native::KillReason) -> Self {
        match reason {
            native::KillReason::Requested => Self::Requested,
            native::KillReason::Released => Self::Released,
            native::KillReason::Timeout => Self::Timeout,
            native::KillReason::CpuTime => Self::CpuTime,
            native::KillReason::Memory => Self::Memory,
            native::KillReason::FileSize => Self::FileSize,
            native::KillReason::Processes => Self::Processes,
            native::KillReason::Output => Self::Output,
            native::KillReason::Lifetime => Self::Lifetime,
            native::KillReason::Host => Self::Host,
        }
    }
}

impl From<native::Captured> for types::Capture {
    fn from(captured: native::Captured) -> Self {
        Self {
            data: captured.data,
            dropped: captured.dropped,
            complete: captured.complete,
        }
    }
}

impl From<native::ChildInfo> for types::ChildInfo {
    fn from(info: native::ChildInfo) -> Self {
        Self {
            id: info.id,
            program: info.program,
            args: info.args,
            started_at: info.started_at.into(),
            ended_at: info.ended_at.map(Into::into),
            pid: info.pid,
        }
    }
}

impl From<SystemTime> for types::Datetime {
    /// A clock before 1970 reads as 1970.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self {
            seconds: since.as_secs(),
            nanoseconds: since.subsec_nanos(),
        }
    }
}

impl From<types::Signal> for native::Signal {
    fn from(signal: types::Signal) -> Self {
        match signal {
            types::Signal::Hangup => Self::Hangup,
            types::Signal::Interrupt => Self::Interrupt,
            types::Signal::Quit => Self::Quit,
            types::Signal::Terminate => Self::Terminate,
            types::Signal::Kill => Self::Kill,
            types::Signal::User1 => Self::User1,
            types::Signal::User2 => Self::User2,
        }
    }
}

impl From<types::Stdin> for native::Stdin {
    fn from(stdin: types::Stdin) -> Self {
        match stdin {
            types::Stdin::Null => Self::Null,
            types::Stdin::Piped => Self::Piped,
            types::Stdin::Bytes(bytes) => Self::Bytes(bytes),
        }
    }
}

impl From<types::Stdio> for native::Stdio {
    fn from(stdio: types::Stdio) -> Self {
        match stdio {
            types::Stdio::Null => Self::Null,
            types::Stdio::Piped => Self::Piped,
            types::Stdio::Captured => Self::Captured,
            types::Stdio::Merged => Self::Merged,
        }
    }
}

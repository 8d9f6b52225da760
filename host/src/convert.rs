//! Conversions between the generated types and the native ones. They decide
//! nothing.
//!
//! Each version of the interface has types of its own. They have the same names
//! and fields, and no common trait, so a macro writes the conversions once for
//! both versions.

/// Implements the conversions of one version, whose generated module is `$types`.
macro_rules! conversions {
    ($types:ident) => {
        impl From<crate::ErrorCode> for $types::ErrorCode {
            fn from(code: crate::ErrorCode) -> Self {
                match code {
                    crate::ErrorCode::AccessDenied(item) => Self::AccessDenied(item.into()),
                    crate::ErrorCode::QuotaExceeded(quota) => Self::QuotaExceeded(quota.into()),
                    crate::ErrorCode::NoEntry => Self::NoEntry,
                    crate::ErrorCode::NotExecutable => Self::NotExecutable,
                    crate::ErrorCode::WorkingDirectoryNotFound => Self::WorkingDirectoryNotFound,
                    crate::ErrorCode::InvalidArgument => Self::InvalidArgument,
                    crate::ErrorCode::TooBig => Self::TooBig,
                    crate::ErrorCode::InsufficientMemory => Self::InsufficientMemory,
                    crate::ErrorCode::SandboxUnavailable => Self::SandboxUnavailable,
                    crate::ErrorCode::InvalidState => Self::InvalidState,
                    crate::ErrorCode::BrokenPipe => Self::BrokenPipe,
                    crate::ErrorCode::Unsupported => Self::Unsupported,
                    crate::ErrorCode::Other(text) => Self::Other(text),
                }
            }
        }

        impl From<capspawn_native::DeniedItem> for $types::DeniedItem {
            fn from(item: capspawn_native::DeniedItem) -> Self {
                match item {
                    capspawn_native::DeniedItem::Program => Self::Program,
                    capspawn_native::DeniedItem::Argument => Self::Argument,
                    capspawn_native::DeniedItem::Environment => Self::Environment,
                    capspawn_native::DeniedItem::WorkingDirectory => Self::WorkingDirectory,
                    capspawn_native::DeniedItem::Stdio => Self::Stdio,
                    capspawn_native::DeniedItem::Detach => Self::Detach,
                }
            }
        }

        impl From<capspawn_native::Quota> for $types::Quota {
            fn from(quota: capspawn_native::Quota) -> Self {
                match quota {
                    capspawn_native::Quota::LiveChildren => Self::LiveChildren,
                    capspawn_native::Quota::TotalChildren => Self::TotalChildren,
                    capspawn_native::Quota::SpawnRate => Self::SpawnRate,
                    capspawn_native::Quota::HeldMemory => Self::HeldMemory,
                    capspawn_native::Quota::HeldDescriptors => Self::HeldDescriptors,
                    capspawn_native::Quota::HostCapacity => Self::HostCapacity,
                }
            }
        }

        impl From<crate::child::End> for $types::ExitStatus {
            fn from(end: crate::child::End) -> Self {
                match end.status {
                    capspawn_native::ExitStatus::Exited(code) => Self::Exited(code),
                    capspawn_native::ExitStatus::Signaled(signal) => Self::Signaled(signal),
                    capspawn_native::ExitStatus::Killed(reason) => Self::Killed($types::Kill {
                        reason: reason.into(),
                        signal: end.signal,
                    }),
                }
            }
        }

        impl From<capspawn_native::KillReason> for $types::KillReason {
            fn from(reason: capspawn_native::KillReason) -> Self {
                match reason {
                    capspawn_native::KillReason::Requested => Self::Requested,
                    capspawn_native::KillReason::Released => Self::Released,
                    capspawn_native::KillReason::Timeout => Self::Timeout,
                    capspawn_native::KillReason::CpuTime => Self::CpuTime,
                    capspawn_native::KillReason::Memory => Self::Memory,
                    capspawn_native::KillReason::FileSize => Self::FileSize,
                    capspawn_native::KillReason::Processes => Self::Processes,
                    capspawn_native::KillReason::Output => Self::Output,
                    capspawn_native::KillReason::Lifetime => Self::Lifetime,
                    capspawn_native::KillReason::Host => Self::Host,
                }
            }
        }

        impl From<capspawn_native::Captured> for $types::Capture {
            fn from(captured: capspawn_native::Captured) -> Self {
                Self {
                    data: captured.data,
                    dropped: captured.dropped,
                    complete: captured.complete,
                }
            }
        }

        impl
            From<(
                crate::child::End,
                capspawn_native::Captured,
                capspawn_native::Captured,
            )> for $types::Output
        {
            fn from(
                (end, stdout, stderr): (
                    crate::child::End,
                    capspawn_native::Captured,
                    capspawn_native::Captured,
                ),
            ) -> Self {
                Self {
                    status: end.into(),
                    stdout: stdout.into(),
                    stderr: stderr.into(),
                }
            }
        }

        impl From<capspawn_native::ChildInfo> for $types::ChildInfo {
            fn from(info: capspawn_native::ChildInfo) -> Self {
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

        impl From<capspawn_native::launch::TreeUsage> for $types::Usage {
            fn from(usage: capspawn_native::launch::TreeUsage) -> Self {
                Self {
                    peak_memory: usage.peak_memory_bytes,
                    // 584 years of nanoseconds fit.
                    cpu_time: usage
                        .cpu
                        .map(|cpu| u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX)),
                    peak_tasks: usage.peak_tasks,
                }
            }
        }

        impl From<std::time::SystemTime> for $types::Datetime {
            /// Converts a time before 1970 to 1970.
            fn from(time: std::time::SystemTime) -> Self {
                let since = time
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap_or(std::time::Duration::ZERO);
                Self {
                    seconds: since.as_secs(),
                    nanoseconds: since.subsec_nanos(),
                }
            }
        }

        impl From<$types::Signal> for capspawn_native::Signal {
            fn from(signal: $types::Signal) -> Self {
                match signal {
                    $types::Signal::Hangup => Self::Hangup,
                    $types::Signal::Interrupt => Self::Interrupt,
                    $types::Signal::Quit => Self::Quit,
                    $types::Signal::Terminate => Self::Terminate,
                    $types::Signal::Kill => Self::Kill,
                    $types::Signal::User1 => Self::User1,
                    $types::Signal::User2 => Self::User2,
                    $types::Signal::Stop => Self::Stop,
                    $types::Signal::Continue => Self::Continue,
                    $types::Signal::WindowChange => Self::WindowChange,
                    $types::Signal::Alarm => Self::Alarm,
                    $types::Signal::BrokenPipe => Self::BrokenPipe,
                }
            }
        }

        impl From<$types::FileMode> for capspawn_native::FileMode {
            fn from(mode: $types::FileMode) -> Self {
                match mode {
                    $types::FileMode::Truncate => Self::Truncate,
                    $types::FileMode::Append => Self::Append,
                }
            }
        }

        impl From<$types::Stdin> for capspawn_native::Stdin {
            fn from(stdin: $types::Stdin) -> Self {
                match stdin {
                    $types::Stdin::Null => Self::Null,
                    $types::Stdin::Piped => Self::Piped,
                    $types::Stdin::Bytes(bytes) => Self::Bytes(bytes.into()),
                }
            }
        }

        impl From<$types::Stdio> for capspawn_native::Stdio {
            fn from(stdio: $types::Stdio) -> Self {
                match stdio {
                    $types::Stdio::Null => Self::Null,
                    $types::Stdio::Piped => Self::Piped,
                    $types::Stdio::Captured => Self::Captured,
                    $types::Stdio::Merged => Self::Merged,
                }
            }
        }
    };
}

pub(crate) use conversions;

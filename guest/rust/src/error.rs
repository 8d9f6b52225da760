//! Why a request failed.

use std::{fmt, io};

use crate::bindings::capspawn::process::{spawn, types};
use wasip2::io::streams::StreamError;

/// Why a request failed, in the terms of the interface. Each [`io::Error`] of this crate that
/// comes from the host contains one.
///
/// ```
/// use std::io::ErrorKind;
///
/// use capspawn_guest::{Command, Error};
///
/// let error = Command::new("reboot").status().expect_err("the grant has no such command");
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(Error::of(&error), Some(&Error::Denied(capspawn_guest::DeniedItem::Program)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The grant refuses this part of the request. [`io::ErrorKind::PermissionDenied`], but
    /// [`io::ErrorKind::NotFound`] for a program that it does not list: to a component there is none.
    Denied(DeniedItem),
    /// A limit of the grant or of the host is reached. [`io::ErrorKind::QuotaExceeded`].
    QuotaExceeded(Quota),
    /// The granted program, its loader, or a detached child does not exist.
    /// [`io::ErrorKind::NotFound`].
    NotFound,
    /// The granted program has changed, or is for another machine. [`io::ErrorKind::Other`].
    NotExecutable,
    /// The working directory does not exist. [`io::ErrorKind::NotFound`].
    WorkingDirectoryNotFound,
    /// A NUL byte, an empty program, or a `=` in a variable's name.
    /// [`io::ErrorKind::InvalidInput`].
    InvalidArgument,
    /// Arguments, environment or input are too large. [`io::ErrorKind::ArgumentListTooLong`].
    TooBig,
    /// The host has no memory for the data of a stream. [`io::ErrorKind::OutOfMemory`].
    OutOfMemory,
    /// The host cannot confine the child as the grant requires. [`io::ErrorKind::Unsupported`].
    SandboxUnavailable,
    /// The stream was taken before, or is not piped. [`io::ErrorKind::Other`].
    InvalidState,
    /// The child closed its end of the stream. [`io::ErrorKind::BrokenPipe`].
    BrokenPipe,
    /// The host does not support the operation. [`io::ErrorKind::Unsupported`].
    Unsupported,
    /// Any other failure, with a description if the host has one. [`io::ErrorKind::Other`].
    Other(Option<String>),
}

pub use types::{DeniedItem, Quota};

impl Error {
    /// Returns the failure that `error` contains; none if it does not come from the host.
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Denied(DeniedItem::Program) => io::ErrorKind::NotFound,
            Self::Denied(_) => io::ErrorKind::PermissionDenied,
            Self::QuotaExceeded(_) => io::ErrorKind::QuotaExceeded,
            Self::NotFound | Self::WorkingDirectoryNotFound => io::ErrorKind::NotFound,
            Self::InvalidArgument => io::ErrorKind::InvalidInput,
            Self::TooBig => io::ErrorKind::ArgumentListTooLong,
            Self::OutOfMemory => io::ErrorKind::OutOfMemory,
            Self::SandboxUnavailable | Self::Unsupported => io::ErrorKind::Unsupported,
            Self::BrokenPipe => io::ErrorKind::BrokenPipe,
            Self::NotExecutable | Self::InvalidState | Self::Other(_) => io::ErrorKind::Other,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Denied(item) => return write!(f, "the grant refuses the {}", item_name(*item)),
            Self::QuotaExceeded(Quota::LiveChildren) => "too many children run at the same time",
            Self::QuotaExceeded(Quota::TotalChildren) => "too many children were started",
            Self::QuotaExceeded(Quota::SpawnRate) => "too many requests in a short time",
            Self::QuotaExceeded(Quota::HostCapacity) => "the host has no room for a child",
            Self::QuotaExceeded(Quota::HeldMemory) => {
                "the host already holds as much for this component's children as the grant allows"
            }
            Self::QuotaExceeded(Quota::HeldDescriptors) => {
                "this component's children and streams take as many descriptors as the grant allows"
            }
            Self::NotFound => "no such program",
            Self::NotExecutable => "the program has changed, or is for another machine",
            Self::WorkingDirectoryNotFound => "no such working directory",
            Self::InvalidArgument => "the request has a NUL byte or an empty name",
            Self::TooBig => "the arguments, the environment or the input are too large",
            Self::OutOfMemory => "the host is out of memory",
            Self::SandboxUnavailable => "the host lacks the sandbox that the grant requires",
            Self::InvalidState => "the stream was taken before, or is not piped",
            Self::BrokenPipe => "the child closed the pipe",
            Self::Unsupported => "the host does not support it",
            Self::Other(text) => text.as_deref().unwrap_or("the host failed"),
        };
        f.write_str(text)
    }
}

impl std::error::Error for Error {}

fn item_name(item: DeniedItem) -> &'static str {
    match item {
        DeniedItem::Program => "program",
        DeniedItem::Argument => "argument",
        DeniedItem::Environment => "environment",
        DeniedItem::WorkingDirectory => "working directory",
        DeniedItem::Stdio => "standard stream",
        DeniedItem::Detach => "detach",
    }
}

impl From<types::ErrorCode> for Error {
    fn from(code: types::ErrorCode) -> Self {
        use types::ErrorCode;
        match code {
            ErrorCode::AccessDenied(item) => Self::Denied(item),
            ErrorCode::QuotaExceeded(quota) => Self::QuotaExceeded(quota),
            ErrorCode::NoEntry => Self::NotFound,
            ErrorCode::NotExecutable => Self::NotExecutable,
            ErrorCode::WorkingDirectoryNotFound => Self::WorkingDirectoryNotFound,
            ErrorCode::InvalidArgument => Self::InvalidArgument,
            ErrorCode::TooBig => Self::TooBig,
            ErrorCode::InsufficientMemory => Self::OutOfMemory,
            ErrorCode::SandboxUnavailable => Self::SandboxUnavailable,
            ErrorCode::InvalidState => Self::InvalidState,
            ErrorCode::BrokenPipe => Self::BrokenPipe,
            ErrorCode::Unsupported => Self::Unsupported,
            ErrorCode::Other(text) => Self::Other(text),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error)
    }
}

/// Returns the error of a request.
pub(crate) fn failed(code: types::ErrorCode) -> io::Error {
    Error::from(code).into()
}

/// Returns the error of a stream; none at its end.
pub(crate) fn stream_failed(error: &StreamError) -> Option<io::Error> {
    match error {
        StreamError::Closed => None,
        StreamError::LastOperationFailed(error) => Some(match spawn::process_error_code(error) {
            Some(code) => failed(code),
            None => io::Error::other(error.to_debug_string()),
        }),
    }
}

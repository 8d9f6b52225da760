//! Errors of host methods: an error code for the guest, or a trap.

use std::io;

use capspawn_native::{DeniedItem, Quota, SpawnError};
use wasmtime::component::ResourceTableError;

/// Why a request failed, as the guest sees it: the interface's `error-code`,
/// the same for all versions of the interface.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ErrorCode {
    /// The grant refuses this part of the request.
    #[error("access denied: {0}")]
    AccessDenied(DeniedItem),
    /// A limit of the grant or of the host is reached.
    #[error("quota exceeded: {0}")]
    QuotaExceeded(Quota),
    /// The program does not exist, or no child of this owner has the key.
    #[error("no such program or child")]
    NoEntry,
    /// The program cannot be executed here.
    #[error("not executable")]
    NotExecutable,
    /// The working directory does not exist, or is not a directory.
    #[error("no such working directory")]
    WorkingDirectoryNotFound,
    /// A request that no grant can allow.
    #[error("invalid argument")]
    InvalidArgument,
    /// Arguments, environment or standard input are too large.
    #[error("too big")]
    TooBig,
    /// The host has no memory for the data of a stream.
    #[error("insufficient memory")]
    InsufficientMemory,
    /// The grant requires a confinement that this host cannot enforce.
    #[error("sandbox unavailable")]
    SandboxUnavailable,
    /// The stream was taken before, or is not piped.
    #[error("invalid state")]
    InvalidState,
    /// The child closed its end of the stream.
    #[error("broken pipe")]
    BrokenPipe,
    /// This host does not support the operation.
    #[error("unsupported")]
    Unsupported,
    /// Any other failure, with an optional description.
    #[error("{}", .0.as_deref().unwrap_or("other error"))]
    Other(Option<String>),
}

/// A failed host method.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The host method returns this error code to the guest.
    #[error(transparent)]
    Code(#[from] ErrorCode),
    /// The guest traps: it used a handle that does not exist, or the host has a
    /// defect.
    #[error("{0}")]
    Trap(wasmtime::Error),
}

impl ProcessError {
    /// Returns the error code as one version's type.
    ///
    /// # Errors
    ///
    /// The trap, if this is one.
    pub(crate) fn into_code<C: From<ErrorCode>>(self) -> wasmtime::Result<C> {
        match self {
            Self::Code(code) => Ok(code.into()),
            Self::Trap(error) => Err(error),
        }
    }
}

impl From<ResourceTableError> for ProcessError {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl From<SpawnError> for ProcessError {
    fn from(error: SpawnError) -> Self {
        Self::Code(error.into())
    }
}

impl From<io::Error> for ErrorCode {
    /// Converts the error of a child's pipe. An unexpected one is logged.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            io::ErrorKind::OutOfMemory => Self::InsufficientMemory,
            kind => {
                tracing::error!(%error, "a child's pipe failed");
                Self::Other(Some(kind.to_string()))
            }
        }
    }
}

impl From<SpawnError> for ErrorCode {
    /// Reduces an error to what the guest may know. The operator sees the rest in the
    /// registry's event and its record in the log, whose number is bounded.
    fn from(error: SpawnError) -> Self {
        match error {
            SpawnError::Denied(denial) => Self::AccessDenied(denial.item),
            SpawnError::Quota(quota) => Self::QuotaExceeded(quota),
            SpawnError::NoEntry => Self::NoEntry,
            SpawnError::NotExecutable => Self::NotExecutable,
            SpawnError::WorkingDirectoryNotFound => Self::WorkingDirectoryNotFound,
            SpawnError::InvalidArgument(_) => Self::InvalidArgument,
            SpawnError::InvalidState => Self::InvalidState,
            SpawnError::TooBig => Self::TooBig,
            SpawnError::TooManyLookups => Self::TooBig,
            SpawnError::Shortage(_) => Self::QuotaExceeded(Quota::HostCapacity),
            SpawnError::SandboxUnavailable(_) => Self::SandboxUnavailable,
            SpawnError::Shutdown => Self::Other(Some("the host is shutting down".to_owned())),
            SpawnError::Launch(error) => {
                Self::Other(Some(format!("the host failed while {}", error.stage)))
            }
            SpawnError::Unsupported => Self::Unsupported,
        }
    }
}

#[cfg(test)]
mod tests {
    use capspawn_native::Denial;

    use super::*;

    #[test]
    fn a_guest_learns_the_item_of_a_denial_and_not_the_policy() {
        let mut denial = Denial::new(DeniedItem::Argument, "a secret of the operator");
        denial.would_allow = Some("args = [\"**\"]".to_owned());
        let code = ErrorCode::from(SpawnError::from(denial));
        assert_eq!(code, ErrorCode::AccessDenied(DeniedItem::Argument));
        assert_eq!(code.to_string(), "access denied: argument");
    }

    #[test]
    fn errors_cross_threads() {
        fn check<T: std::error::Error + Send + Sync + 'static>() {}
        check::<ErrorCode>();
        check::<ProcessError>();
    }
}

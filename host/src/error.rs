//! What a host method fails with: a value for the guest, or a trap.

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
    /// A cap of the grant or of the host is reached.
    #[error("quota exceeded: {0}")]
    QuotaExceeded(Quota),
    /// The program does not exist, or no child of this owner has the key.
    #[error("no such program or child")]
    NoEntry,
    /// The program cannot be executed here.
    #[error("not executable")]
    NotExecutable,
    /// The working directory does not exist or is none.
    #[error("no such working directory")]
    WorkingDirectoryNotFound,
    /// A request that no grant can allow.
    #[error("invalid argument")]
    InvalidArgument,
    /// Arguments, environment or standard input are too large.
    #[error("too big")]
    TooBig,
    /// The host has no memory for the child.
    #[error("insufficient memory")]
    InsufficientMemory,
    /// The grant demands a confinement that this host cannot enforce.
    #[error("sandbox unavailable")]
    SandboxUnavailable,
    /// A stream taken twice, or one that is not piped.
    #[error("invalid state")]
    InvalidState,
    /// The child closed its end of the stream.
    #[error("broken pipe")]
    BrokenPipe,
    /// This host does not offer it.
    #[error("unsupported")]
    Unsupported,
    /// Anything else.
    #[error("{}", .0.as_deref().unwrap_or("other error"))]
    Other(Option<String>),
}

/// A failed host method.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The guest gets this value.
    #[error(transparent)]
    Code(#[from] ErrorCode),
    /// The guest broke the rules of the component model, or the host is broken.
    #[error("{0}")]
    Trap(wasmtime::Error),
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
    /// Names what went wrong with a child's pipe.
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
    /// Reduces an error to what the guest may know. The rest of a denial is in
    /// the registry's event; an error that nobody expects is logged here.
    fn from(error: SpawnError) -> Self {
        match error {
            SpawnError::Denied(denial) => Self::AccessDenied(denial.item),
            SpawnError::Quota(quota) => Self::QuotaExceeded(quota),
            SpawnError::NoEntry => Self::NoEntry,
            SpawnError::NotExecutable => Self::NotExecutable,
            SpawnError::WorkingDirectoryNotFound => Self::WorkingDirectoryNotFound,
            SpawnError::InvalidArgument(reason) => {
                tracing::debug!(reason, "invalid spawn request");
                Self::InvalidArgument
            }
            SpawnError::TooBig => Self::TooBig,
            SpawnError::OutOfMemory => Self::InsufficientMemory,
            SpawnError::SandboxUnavailable(enforcement) => {
                tracing::warn!(unmet = %enforcement.unmet(), "sandbox unavailable");
                Self::SandboxUnavailable
            }
            SpawnError::Shutdown => Self::Other(Some("the host shuts down".to_owned())),
            SpawnError::Launch(error) => {
                tracing::error!(%error, "launch failed");
                Self::Other(Some(format!("the host failed while {}", error.stage)))
            }
            error => {
                tracing::error!(%error, "spawn failed in a way unknown to the plugin");
                Self::Other(None)
            }
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

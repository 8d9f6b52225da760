//! A request to start a program, as plain data.
//!
//! A guest's request becomes one [`Command`], the grant decides on that value, and
//! the launcher executes the plan that was decided. Nothing reads the guest's input
//! a second time: such filters are usually defeated because they check one
//! field and execute another.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use crate::error::SpawnError;
use crate::launch::Request;
use crate::limits::{MAX_ARGUMENT_BYTES, MAX_REQUEST_BYTES, MAX_STDIN_BYTES};
use crate::streams::{Stdin, Stdio};

/// The memory of a string in addition to its bytes: 24 for the value, and about as many for its allocation.
const STRING_OVERHEAD_BYTES: usize = 48;

/// A request to start a program.
///
/// `program` is a command's *name* in a grant, not a path and nothing that is
/// searched for; `args` are the arguments after `argv[0]`; `env` is added to
/// what the grant sets, in an environment that starts empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Command {
    /// The name under which the grant lists the program.
    pub program: String,
    /// `argv[0]`; `None` is the grant's.
    pub arg0: Option<String>,
    /// The arguments, without `argv[0]`. Those that are not UTF-8 need the grant's `allow-bytes`.
    pub args: Vec<OsString>,
    /// Variables that the guest asks for, later ones winning. Values that are not UTF-8 need the
    /// grant's `allow-bytes`.
    pub env: Vec<(String, OsString)>,
    /// The working directory; `None` is the grant's.
    pub cwd: Option<String>,
    /// Standard input; nothing by default.
    pub stdin: Stdin,
    /// Standard output; captured by default.
    pub stdout: Stdio,
    /// Standard error; captured by default.
    pub stderr: Stdio,
    /// Kill the child after this long; `None` is the grant's bound.
    pub timeout: Option<Duration>,
}

impl Command {
    /// Returns a request for `program` with no arguments, no variables of its
    /// own, the grant's working directory and time bound, null standard input,
    /// and captured output.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            ..Self::default()
        }
    }

    /// Appends one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Appends arguments.
    #[must_use]
    pub fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// What events, approvals and the child's record show of the request.
    pub(crate) fn request(&self) -> Request {
        Request {
            program: self.program.clone(),
            arg0: self.arg0.clone(),
            args: self.args.iter().map(|arg| lossy(arg)).collect(),
            raw_args: self.raw_args(),
            env_names: self.env.iter().map(|(name, _)| name.clone()).collect(),
        }
    }

    /// Returns the bytes that the request takes in the host's memory.
    pub(crate) fn bytes(&self) -> usize {
        let texts = std::iter::once(&self.program)
            .chain(&self.cwd)
            .chain(self.env.iter().map(|(name, _)| name))
            .chain(&self.arg0)
            .chain(self.files());
        let bytes = texts.map(String::len);
        let raw = self
            .args
            .iter()
            .chain(self.env.iter().map(|(_, value)| value));
        let bytes = bytes.chain(raw.map(|text| text.len()));
        let strings: usize = bytes.map(|bytes| bytes + STRING_OVERHEAD_BYTES).sum();
        strings + self.stdin.len()
    }

    /// The arguments that are not UTF-8, each with its place.
    fn raw_args(&self) -> Vec<(usize, Vec<u8>)> {
        let raw = |(place, arg): (usize, &OsString)| {
            let is_raw = arg.to_str().is_none();
            is_raw.then(|| (place, arg.as_bytes().to_vec()))
        };
        self.args.iter().enumerate().filter_map(raw).collect()
    }

    /// The paths of files for standard streams.
    fn files(&self) -> impl Iterator<Item = &String> {
        let input = match &self.stdin {
            Stdin::File(path) => Some(path),
            _ => None,
        };
        let outputs = [&self.stdout, &self.stderr];
        let outputs = outputs.into_iter().filter_map(|stdio| match stdio {
            Stdio::File { path, .. } => Some(path),
            _ => None,
        });
        input.into_iter().chain(outputs)
    }

    /// Refuses what no grant can allow.
    ///
    /// # Errors
    ///
    /// - [`SpawnError::InvalidArgument`]: a NUL byte anywhere, an empty program,
    ///   an empty variable name or one with `=`, `merged` for both outputs.
    /// - [`SpawnError::TooBig`]: a string over [`MAX_ARGUMENT_BYTES`], arguments
    ///   and environment together over [`MAX_REQUEST_BYTES`], or standard input
    ///   over [`MAX_STDIN_BYTES`].
    pub fn validate(&self) -> Result<(), SpawnError> {
        if self.program.is_empty() {
            return Err(SpawnError::InvalidArgument("the program is empty"));
        }
        if self.stdout == Stdio::Merged && self.stderr == Stdio::Merged {
            return Err(SpawnError::InvalidArgument(
                "standard output and standard error are merged into each other",
            ));
        }
        let variables = self.env.iter();
        let variables = variables.flat_map(|(name, value)| [OsStr::new(name), value]);
        let texts = std::iter::once(&self.program).chain(&self.arg0);
        let texts = texts.chain(&self.cwd).chain(self.files());
        let strings = texts.map(OsStr::new);
        let strings = strings.chain(self.args.iter().map(OsString::as_os_str));
        let mut total = 0usize;
        for text in strings.chain(variables) {
            if text.len() > MAX_ARGUMENT_BYTES {
                return Err(SpawnError::TooBig);
            }
            if text.as_bytes().contains(&0) {
                return Err(SpawnError::InvalidArgument("a NUL byte in a string"));
            }
            // What the kernel charges too: the terminating NUL and the pointer.
            total += text.len() + 1 + size_of::<usize>();
        }
        if total > MAX_REQUEST_BYTES {
            return Err(SpawnError::TooBig);
        }
        if self.stdin.len() > MAX_STDIN_BYTES {
            return Err(SpawnError::TooBig);
        }
        for (name, _) in &self.env {
            if name.is_empty() || name.contains('=') {
                return Err(SpawnError::InvalidArgument(
                    "a variable's name is empty or has `=`",
                ));
            }
        }
        Ok(())
    }
}

/// Returns the text of an argument, with U+FFFD for what is not UTF-8.
fn lossy(arg: &OsStr) -> String {
    arg.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_request_is_valid() {
        let mut command = Command::new("git").arg("log").args(["-n", "5"]);
        command.env.push(("LANG".into(), "C".into()));
        command.stderr = Stdio::Merged;
        command.validate().expect("nothing is wrong with it");
    }

    #[test]
    fn a_nul_byte_is_invalid_wherever_it_is() {
        let nul = || "a\0b".to_owned();
        let requests = [
            Command::new(nul()),
            Command::new("p").arg(nul()),
            Command {
                arg0: Some(nul()),
                ..Command::new("p")
            },
            Command {
                stdin: Stdin::File(nul()),
                ..Command::new("p")
            },
            Command {
                env: vec![(nul(), OsString::new())],
                ..Command::new("p")
            },
            Command {
                env: vec![("V".into(), nul().into())],
                ..Command::new("p")
            },
            Command {
                cwd: Some(nul()),
                ..Command::new("p")
            },
        ];
        for request in requests {
            assert!(
                matches!(request.validate(), Err(SpawnError::InvalidArgument(_))),
                "{request:?}"
            );
        }
    }

    #[test]
    fn an_empty_program_and_odd_variable_names_are_invalid() {
        for request in [
            Command::new(""),
            Command {
                env: vec![("A=B".into(), "c".into())],
                ..Command::new("p")
            },
            Command {
                env: vec![(String::new(), "c".into())],
                ..Command::new("p")
            },
            Command {
                stdout: Stdio::Merged,
                stderr: Stdio::Merged,
                ..Command::new("p")
            },
        ] {
            assert!(
                matches!(request.validate(), Err(SpawnError::InvalidArgument(_))),
                "{request:?}"
            );
        }
    }

    #[test]
    fn what_the_kernel_would_refuse_as_too_big_is_refused_before() {
        let long = Command::new("p").arg("x".repeat(MAX_ARGUMENT_BYTES + 1));
        assert!(matches!(long.validate(), Err(SpawnError::TooBig)));
        let edge = Command::new("p").arg("x".repeat(MAX_ARGUMENT_BYTES));
        edge.validate().expect("the longest argument there is");
        let many = Command::new("p").args(vec!["x"; MAX_REQUEST_BYTES / 10 + 1]);
        assert!(matches!(many.validate(), Err(SpawnError::TooBig)));
    }
}

//! Where a standard stream leads that leaves the host, for an approver.

use std::fmt;
use std::path::PathBuf;

use crate::launch::{FileAccess, Plan, StreamFile};
use crate::streams::{Stdin, Stdio};

/// A standard stream that leads to another child, or to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirection {
    /// `stdin`, `stdout` or `stderr`.
    pub stream: &'static str,
    /// Where it leads.
    pub target: RedirectionTarget,
}

/// Where a redirected stream leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedirectionTarget {
    /// To another child of the guest, through a pipe.
    Child,
    /// To this file.
    File {
        /// Its path.
        path: PathBuf,
        /// What the program does with it.
        access: FileAccess,
    },
}

impl Redirection {
    /// Returns the redirected streams of `plan`.
    pub(super) fn of(plan: &Plan) -> Vec<Self> {
        let (streams, files) = (&plan.streams, &plan.files);
        let to_child = |stdio: &Stdio| matches!(stdio, Stdio::Child(_));
        let all = [
            (
                "stdin",
                matches!(streams.stdin, Stdin::Child(_)),
                &files.stdin,
            ),
            ("stdout", to_child(&streams.stdout), &files.stdout),
            ("stderr", to_child(&streams.stderr), &files.stderr),
        ];
        let target = |is_child: bool, file: &Option<StreamFile>| match file {
            Some(file) => Some(RedirectionTarget::File {
                path: file.path(),
                access: file.access,
            }),
            None => is_child.then_some(RedirectionTarget::Child),
        };
        let redirection = |(stream, is_child, file)| {
            let target = target(is_child, file)?;
            Some(Self { stream, target })
        };
        all.into_iter().filter_map(redirection).collect()
    }
}

/// Displays the path quoted and escaped.
impl fmt::Display for Redirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stream = self.stream;
        match &self.target {
            RedirectionTarget::Child => write!(f, "{stream} of another child"),
            RedirectionTarget::File { path, access } => match access {
                FileAccess::Read => write!(f, "{stream} from {path:?}"),
                FileAccess::Write(mode) => write!(f, "{stream} to {path:?} ({mode})"),
            },
        }
    }
}

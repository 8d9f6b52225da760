//! What an approver is asked, and what it answers.

use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::redirection::Redirection;
use crate::child::owner::OwnerKey;
use crate::confinement::Confinement;
use crate::error::SpawnError;
use crate::launch::{LaunchError, Plan, Program, Stage, Stamp};
use crate::streams::Stdin;

/// A hash over what an approval covers.
pub(crate) type Fingerprint = [u8; 32];

/// What would be started: the question to an approver, and the input of a veto.
///
/// The strings come from the guest: a program that displays them must quote control
/// and bidirectional characters. Values of environment variables do not occur.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The component's section in the grant.
    pub component: Arc<str>,
    /// The embedder's tenant; empty where there is only one.
    pub tenant: Arc<str>,
    /// The command's name in the grant.
    pub command: String,
    /// The absolute path of the program.
    pub program: PathBuf,
    /// The whole argument vector, `argv[0]` included.
    pub argv: Vec<OsString>,
    /// Where the child would start, symlinks resolved.
    pub cwd: PathBuf,
    /// The names of the variables that the guest sets.
    pub env_names: Vec<String>,
    /// Whether the guest writes standard input while the child runs: nobody knows its content yet.
    pub stdin_piped: bool,
    /// How many bytes of standard input the request carries.
    pub stdin_bytes: usize,
    /// The standard streams that lead to another child or to a file.
    pub redirections: Vec<Redirection>,
    /// What the child would be confined to.
    pub confinement: Arc<Confinement>,
}

impl Question {
    pub(crate) fn new(owner: &OwnerKey, plan: &Plan) -> Self {
        Self {
            component: Arc::clone(owner.component()),
            tenant: Arc::clone(owner.tenant()),
            command: plan.name.clone(),
            program: plan.program.path.clone(),
            argv: plan.argv.clone(),
            cwd: plan.cwd.path.clone(),
            env_names: plan.request.env_names.clone(),
            stdin_piped: plan.streams.stdin == Stdin::Piped,
            stdin_bytes: plan.streams.stdin.len(),
            redirections: Redirection::of(plan),
            confinement: Arc::clone(&plan.confinement),
        }
    }
}

/// What an approval covers: the question, and the state of the files that it is
/// about. A child that may write one of them could put another program under an
/// approved name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Approved {
    pub(super) question: Question,
    /// Of the program, and of the script that it interprets.
    files: Vec<Stamp>,
    /// The standard input that the request carries.
    stdin: Option<Bytes>,
}

impl Approved {
    /// # Errors
    ///
    /// The metadata of a file of the plan cannot be read.
    pub(crate) fn new(owner: &OwnerKey, plan: &Plan) -> Result<Self, SpawnError> {
        let files = [Some(&plan.program), plan.script.as_ref()];
        let stamp = |it: &Arc<Program>| it.file.metadata().map(|found| Stamp::of(&found));
        let files: io::Result<_> = files.into_iter().flatten().map(stamp).collect();
        Ok(Self {
            question: Question::new(owner, plan),
            files: files.map_err(|error| LaunchError::new(Stage::OpenProgram, error))?,
            stdin: match &plan.streams.stdin {
                Stdin::Bytes(bytes) => Some(bytes.clone()),
                _ => None,
            },
        })
    }

    /// Returns what "allow for this guest" remembers.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let question = &self.question;
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        };
        add(question.command.as_bytes());
        add(question.program.as_os_str().as_encoded_bytes());
        add(question.cwd.as_os_str().as_encoded_bytes());
        for stamp in &self.files {
            add(&stamp.bytes());
        }
        // Each list with its length, so that the end of one is not the beginning of the next.
        add(&question.argv.len().to_le_bytes());
        question
            .argv
            .iter()
            .for_each(|it| add(it.as_encoded_bytes()));
        add(&question.env_names.len().to_le_bytes());
        question.env_names.iter().for_each(|it| add(it.as_bytes()));
        add(&[question.stdin_piped.into()]);
        match &self.stdin {
            Some(bytes) => add(bytes),
            None => add(b"none"),
        }
        add(&[self.stdin.is_some().into()]);
        for redirection in &question.redirections {
            add(redirection.to_string().as_bytes());
        }
        hash.finalize().into()
    }
}

/// An approver's answer to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Start this child.
    AllowOnce,
    /// Start this child, and do not ask again when this guest requests the same
    /// command name, program, argument vector, working directory, names of variables and
    /// standard input: the same bytes, or piped both times. The values of its variables
    /// and the content of piped standard input, which no question shows, may differ the
    /// next time. If the program or the script has been written or replaced since, the
    /// question is put again.
    AllowForThisGuest,
    /// Do not start it.
    Deny {
        /// Why, for the operator; the guest does not see it.
        reason: String,
    },
}

/// Decides on commands whose `decision` in the grant is `ask`.
///
/// ```
/// use std::ffi::OsString;
/// use std::future::{self, Future};
/// use std::pin::Pin;
///
/// use capspawn_native::{Answer, Approver, Question};
///
/// /// Approves `git` without options, once each time.
/// struct PlainGit;
///
/// impl Approver for PlainGit {
///     fn ask<'a>(
///         &'a self,
///         question: &'a Question,
///     ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
///         let is_option = |it: &OsString| it.as_encoded_bytes().starts_with(b"-");
///         let has_option = question.argv.iter().any(is_option);
///         let answer = if question.command == "git" && !has_option {
///             Answer::AllowOnce
///         } else {
///             Answer::Deny { reason: "only git without options".into() }
///         };
///         Box::pin(future::ready(answer))
///     }
/// }
/// ```
pub trait Approver: Send + Sync {
    /// Answers one question. A guest has one open question at a time; several guests
    /// may have theirs open together.
    ///
    /// The future is polled on the task of the guest's request and must not block: a
    /// prompt needs a thread of its own. The future is dropped when the request is
    /// abandoned or
    /// [`RegistryBuilder::approval_timeout`](crate::RegistryBuilder::approval_timeout)
    /// has passed. A panic in it is a denial.
    fn ask<'a>(
        &'a self,
        question: &'a Question,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;
}

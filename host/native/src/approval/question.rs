//! What an approver is asked, and what it answers.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::child::owner::OwnerKey;
use crate::confinement::Confinement;
use crate::error::SpawnError;
use crate::launch::{LaunchError, Plan, Program, Stage, Stamp};

/// A hash over what an approval covers.
pub(crate) type Fingerprint = [u8; 32];

/// What would be started: what an approver is asked, and a veto looks at.
///
/// The strings come from the guest: whoever shows them must quote control and
/// bidirectional characters. Values of environment variables do not occur.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The component's section in the grant.
    pub component: Arc<str>,
    /// On whose behalf the guest runs; empty where the embedder tells none apart.
    pub tenant: Arc<str>,
    /// The command's name in the grant.
    pub command: String,
    /// The absolute path of the program.
    pub program: PathBuf,
    /// The whole argument vector, `argv[0]` included.
    pub argv: Vec<String>,
    /// Where the child would start, symlinks resolved.
    pub cwd: PathBuf,
    /// The names of the variables that the guest sets.
    pub env_names: Vec<String>,
    /// How many bytes the guest feeds to standard input.
    pub stdin_bytes: usize,
    /// What the child would be confined to.
    pub confinement: Arc<Confinement>,
}

impl Question {
    pub(crate) fn new(owner: &OwnerKey, plan: &Plan) -> Self {
        Self {
            component: Arc::clone(&owner.component),
            tenant: Arc::clone(&owner.tenant),
            command: plan.name.clone(),
            program: plan.program.path.clone(),
            argv: plan.argv.clone(),
            cwd: plan.cwd.path.clone(),
            env_names: plan.request.env_names.clone(),
            stdin_bytes: plan.streams.stdin.len(),
            confinement: Arc::clone(&plan.confinement),
        }
    }
}

/// A question, and the files that it is about as they are: a child that may write
/// one can put another program under an approved name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Approved {
    pub(crate) question: Question,
    /// The program's, and that of the script that it interprets.
    files: Vec<Stamp>,
}

impl Approved {
    /// # Errors
    ///
    /// A file of the plan cannot be looked at.
    pub(crate) fn new(owner: &OwnerKey, plan: &Plan) -> Result<Self, SpawnError> {
        let files = [Some(&plan.program), plan.script.as_ref()];
        let stamp = |it: &Arc<Program>| it.file.metadata().map(|found| Stamp::of(&found));
        let files: io::Result<_> = files.into_iter().flatten().map(stamp).collect();
        Ok(Self {
            question: Question::new(owner, plan),
            files: files.map_err(|error| LaunchError::new(Stage::OpenProgram, error))?,
        })
    }

    /// What "allow for this guest" stands for.
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
        for argument in &question.argv {
            add(argument.as_bytes());
        }
        hash.finalize().into()
    }
}

/// What an approver says to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Start this one.
    AllowOnce,
    /// Start this one, and do not ask this guest again for the same command
    /// name, program, argument vector and working directory. The values of its
    /// environment and its standard input may differ the next time. A program, or
    /// a script, that was written or replaced since is asked about again.
    AllowForThisGuest,
    /// Start nothing.
    Deny {
        /// Why, for the operator; the guest does not see it.
        reason: String,
    },
}

/// Who is asked where a grant says `ask`.
pub trait Approver: Send + Sync {
    /// Answers one question. One of a guest is open at a time; those of several
    /// guests may be open together.
    ///
    /// The future is polled where the guest's request is and must not block: a
    /// prompt belongs on a thread of its own. It is dropped where the request is
    /// abandoned or the bound of
    /// [`RegistryBuilder::approval_timeout`](crate::RegistryBuilder::approval_timeout)
    /// has passed. A panic in it is a denial.
    fn ask<'a>(
        &'a self,
        question: &'a Question,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;
}

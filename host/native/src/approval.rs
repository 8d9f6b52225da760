//! The embedder's say on a request that a grant does not refuse: an approver
//! for what the grant says `ask` of, and a veto on everything.
//!
//! Neither widens a grant. A question is put only once the grant would allow,
//! and after the answer the grant decides again.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::command::{Command, Stdin};
use crate::error::{Denial, DeniedItem, LaunchError, Quota, SpawnError, Stage};
use crate::launch::{Plan, Program};
use crate::limits::{DEFAULT_APPROVAL_BOUND, MAX_REMEMBERED_APPROVALS, MAX_WAITING_QUESTIONS};
use crate::owner::OwnerKey;
use crate::registry::Shared;
use crate::sandbox::Confinement;
use crate::stamp::Stamp;

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
    pub(crate) fn new(owner: &OwnerKey, command: &Command, plan: &Plan) -> Self {
        Self {
            component: Arc::clone(&owner.component),
            tenant: Arc::clone(&owner.tenant),
            command: plan.name.clone(),
            program: plan.program.path.clone(),
            argv: plan.argv.clone(),
            cwd: plan.cwd.path.clone(),
            env_names: command.env.iter().map(|(name, _)| name.clone()).collect(),
            stdin_bytes: match &command.stdin {
                Stdin::Bytes(bytes) => bytes.len(),
                Stdin::Null | Stdin::Piped => 0,
            },
            confinement: Arc::clone(&plan.confinement),
        }
    }
}

/// A question, and the files that it is about as they are: a child that may write
/// one can put another program under an approved name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) question: Question,
    /// The program's, and that of the script that it interprets.
    files: Vec<Stamp>,
}

impl Subject {
    /// # Errors
    ///
    /// A file of the plan cannot be looked at.
    pub(crate) fn new(
        owner: &OwnerKey,
        command: &Command,
        plan: &Plan,
    ) -> Result<Self, SpawnError> {
        let files = [Some(&plan.program), plan.script.as_ref()];
        let stamp = |it: &Arc<Program>| it.file.metadata().map(|found| Stamp::of(&found));
        let files: io::Result<_> = files.into_iter().flatten().map(stamp).collect();
        Ok(Self {
            question: Question::new(owner, command, plan),
            files: files.map_err(|error| LaunchError::new(Stage::OpenProgram, error))?,
        })
    }

    /// What "allow for this guest" stands for.
    fn fingerprint(&self) -> Fingerprint {
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
    /// [`RegistryBuilder::approval_bound`](crate::RegistryBuilder::approval_bound)
    /// has passed. A panic in it is a denial.
    fn ask<'a>(
        &'a self,
        question: &'a Question,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;
}

/// Refuses, with a reason for the operator, or lets pass.
pub(crate) type Veto = Box<dyn Fn(&Question) -> Result<(), String> + Send + Sync>;

/// What the embedder set for a whole registry.
pub(crate) struct Oversight {
    pub(crate) approver: Option<Arc<dyn Approver>>,
    /// For one answer.
    pub(crate) bound: Duration,
    pub(crate) veto: Option<Veto>,
}

impl Default for Oversight {
    fn default() -> Self {
        Self {
            approver: None,
            bound: DEFAULT_APPROVAL_BOUND,
            veto: None,
        }
    }
}

impl Oversight {
    /// Refuses what the embedder vetoes.
    pub(crate) fn admits(
        &self,
        owner: &OwnerKey,
        command: &Command,
        plan: &Plan,
    ) -> Result<(), SpawnError> {
        let Some(veto) = &self.veto else {
            return Ok(());
        };
        let question = Question::new(owner, command, plan);
        match panic::catch_unwind(AssertUnwindSafe(|| veto(&question))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reason)) => Err(denied(&plan.name, format!("vetoed: {reason}"))),
            Err(_) => Err(denied(&plan.name, "the embedder's veto panicked")),
        }
    }
}

type Fingerprint = [u8; 32];

/// The questions of one guest, open, waiting and answered for good.
#[derive(Debug)]
pub(crate) struct Approvals {
    /// One permit for each request that waits.
    waiting: Semaphore,
    /// One permit: whose turn it is to ask. First come, first served.
    turn: Semaphore,
    /// What was allowed for this guest, the oldest first.
    remembered: Mutex<VecDeque<Fingerprint>>,
}

impl Default for Approvals {
    fn default() -> Self {
        Self {
            waiting: Semaphore::new(MAX_WAITING_QUESTIONS),
            turn: Semaphore::new(1),
            remembered: Mutex::default(),
        }
    }
}

impl Approvals {
    /// Whether this was allowed for the guest.
    pub(crate) fn allows(&self, subject: &Subject) -> bool {
        let fingerprint = subject.fingerprint();
        self.remembered.lock().contains(&fingerprint)
    }

    /// Waits for this guest's turn, and asks. Dropping the future leaves nothing.
    pub(crate) async fn ask(&self, shared: &Shared, subject: &Subject) -> Result<(), SpawnError> {
        let question = &subject.question;
        let Some(approver) = &shared.oversight.approver else {
            return Err(denied(
                &question.command,
                "it needs approval and there is no approver",
            ));
        };
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(SpawnError::Quota(Quota::HostCapacity));
        };
        // Never closed: an error cannot come, and would not matter if it did.
        let _turn = self.turn.acquire().await;
        if self.allows(subject) {
            return Ok(());
        }
        let bound = shared.oversight.bound;
        let answer = tokio::select! {
            biased;
            () = shared.sleep(bound) => {
                let reason = format!("it needs approval and no answer came within {bound:?}");
                return Err(denied(&question.command, reason));
            }
            answer = answer(&**approver, question) => answer,
        };
        match answer {
            Answer::AllowOnce => Ok(()),
            Answer::AllowForThisGuest => {
                let mut remembered = self.remembered.lock();
                if remembered.len() >= MAX_REMEMBERED_APPROVALS {
                    remembered.pop_front();
                }
                remembered.push_back(subject.fingerprint());
                Ok(())
            }
            Answer::Deny { reason } => {
                Err(denied(&question.command, format!("not approved: {reason}")))
            }
        }
    }
}

/// Asks; a panic of the embedder's must not take the guest's host down.
async fn answer(approver: &dyn Approver, question: &Question) -> Answer {
    let mut asked = None;
    poll_fn(|context| {
        let polled = panic::catch_unwind(AssertUnwindSafe(|| {
            let asked = asked.get_or_insert_with(|| approver.ask(question));
            asked.as_mut().poll(context)
        }));
        polled.unwrap_or_else(|_| {
            Poll::Ready(Answer::Deny {
                reason: "the approver panicked".into(),
            })
        })
    })
    .await
}

/// A refusal of `command` by the embedder, which the guest sees as one of its
/// program.
pub(crate) fn denied(command: &str, reason: impl Into<String>) -> SpawnError {
    let denial = Denial {
        nearest: Some(command.to_owned()),
        ..Denial::new(DeniedItem::Program, reason)
    };
    denial.into()
}

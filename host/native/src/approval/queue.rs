//! The questions of one guest: open, waiting and answered for good.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{self, AssertUnwindSafe};
use std::task::Poll;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::hooks::{Hooks, denied};
use super::question::{Answer, Approved, Approver, Fingerprint, Question};
use crate::error::SpawnError;
use crate::limits::{MAX_REMEMBERED_APPROVALS, MAX_WAITING_QUESTIONS};

/// The questions of one guest, open, waiting and answered for good.
#[derive(Debug)]
pub(crate) struct Approvals {
    /// One permit for each waiting request.
    waiting: Semaphore,
    /// One permit, for the open question. First come, first served.
    turn: Semaphore,
    /// What was allowed for this guest, oldest first.
    remembered: Mutex<VecDeque<Fingerprint>>,
}

/// How a request was approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Approval {
    Once,
    ForThisGuest,
    /// By an earlier answer for this guest.
    Remembered,
}

impl Approval {
    /// Returns the word that events use.
    pub(crate) const fn scope(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::ForThisGuest => "guest",
            Self::Remembered => "remembered",
        }
    }
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
    /// Returns whether this was allowed for the guest before.
    pub(crate) fn allows(&self, subject: &Approved) -> bool {
        // A fingerprint is a hash over all of standard input.
        if self.remembered.lock().is_empty() {
            return false;
        }
        let fingerprint = subject.fingerprint();
        self.remembered.lock().contains(&fingerprint)
    }

    /// Waits until the guest has no other open question, and puts this one to the
    /// approver. Dropping the future leaves nothing behind.
    ///
    /// `sleep` makes a future that ends after that long, on the registry's clock.
    pub(crate) async fn ask<S: Future<Output = ()>>(
        &self,
        hooks: &Hooks,
        sleep: impl FnOnce(Duration) -> S,
        subject: &Approved,
    ) -> Result<Approval, SpawnError> {
        let question = &subject.question;
        let Some(approver) = hooks.approver() else {
            return Err(denied(
                &question.command,
                "it needs approval and there is no approver",
            ));
        };
        let Ok(_place) = self.waiting.try_acquire() else {
            let reason = format!(
                "it needs approval, and {MAX_WAITING_QUESTIONS} requests of this guest wait for an answer"
            );
            return Err(denied(&question.command, reason));
        };
        // The semaphore is never closed, so this cannot fail.
        let _turn = self.turn.acquire().await;
        if self.allows(subject) {
            return Ok(Approval::Remembered);
        }
        let timeout = hooks.approval_timeout();
        let answer = tokio::select! {
            biased;
            () = sleep(timeout) => {
                let reason = format!("it needs approval and no answer came within {timeout:?}");
                return Err(denied(&question.command, reason));
            }
            answer = answer(approver, question) => answer,
        };
        match answer {
            Answer::AllowOnce => Ok(Approval::Once),
            Answer::AllowForThisGuest => {
                let fingerprint = subject.fingerprint();
                let mut remembered = self.remembered.lock();
                if remembered.len() >= MAX_REMEMBERED_APPROVALS {
                    remembered.pop_front();
                }
                remembered.push_back(fingerprint);
                Ok(Approval::ForThisGuest)
            }
            Answer::Deny { reason } => {
                Err(denied(&question.command, format!("not approved: {reason}")))
            }
        }
    }
}

/// Gets the approver's answer. A panic in the embedder's code must not take the host down.
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

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
use crate::error::{Quota, SpawnError};
use crate::limits::{MAX_REMEMBERED_APPROVALS, MAX_WAITING_QUESTIONS};

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
    pub(crate) fn allows(&self, subject: &Approved) -> bool {
        let fingerprint = subject.fingerprint();
        self.remembered.lock().contains(&fingerprint)
    }

    /// Waits for this guest's turn, and asks. Dropping the future leaves nothing.
    ///
    /// `sleep` makes a future that ends after that long, on the registry's clock.
    pub(crate) async fn ask<S: Future<Output = ()>>(
        &self,
        hooks: &Hooks,
        sleep: impl FnOnce(Duration) -> S,
        subject: &Approved,
    ) -> Result<(), SpawnError> {
        let question = &subject.question;
        let Some(approver) = &hooks.approver else {
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
        let timeout = hooks.approval_timeout;
        let answer = tokio::select! {
            biased;
            () = sleep(timeout) => {
                let reason = format!("it needs approval and no answer came within {timeout:?}");
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

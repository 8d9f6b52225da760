//! The approver and the veto of a whole registry.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use super::question::{Approver, Question};
use crate::child::owner::OwnerKey;
use crate::error::{Denial, DeniedBy, DeniedItem, SpawnError};
use crate::launch::Plan;
use crate::limits::DEFAULT_APPROVAL_TIMEOUT;

/// Returns the reason for a refusal, or lets the child start.
pub(crate) type Veto = Box<dyn Fn(&Question) -> Result<(), String> + Send + Sync>;

/// What the embedder has set.
pub(crate) struct Hooks {
    approver: Option<Arc<dyn Approver>>,
    /// How long one answer may take.
    approval_timeout: Duration,
    veto: Option<Veto>,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            approver: None,
            approval_timeout: DEFAULT_APPROVAL_TIMEOUT,
            veto: None,
        }
    }
}

impl Hooks {
    pub(crate) fn set_approver(&mut self, approver: Arc<dyn Approver>) {
        self.approver = Some(approver);
    }

    pub(crate) fn set_approval_timeout(&mut self, timeout: Duration) {
        self.approval_timeout = timeout;
    }

    pub(crate) fn set_veto(&mut self, veto: Veto) {
        self.veto = Some(veto);
    }

    pub(super) fn approver(&self) -> Option<&dyn Approver> {
        self.approver.as_deref()
    }

    pub(super) fn approval_timeout(&self) -> Duration {
        self.approval_timeout
    }

    /// Refuses what the veto refuses.
    pub(crate) fn admits(&self, owner: &OwnerKey, plan: &Plan) -> Result<(), SpawnError> {
        let Some(veto) = &self.veto else {
            return Ok(());
        };
        let question = Question::new(owner, plan);
        match panic::catch_unwind(AssertUnwindSafe(|| veto(&question))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reason)) => Err(vetoed(&plan.name, format!("vetoed: {reason}"))),
            Err(_) => Err(vetoed(&plan.name, "the embedder's veto panicked")),
        }
    }
}

/// Returns the refusal of `command` by the approver. The guest sees it as a refusal of its
/// program.
pub(crate) fn denied(command: &str, reason: impl Into<String>) -> SpawnError {
    refused(DeniedBy::Approver, command, reason)
}

/// Returns the refusal of `command` by the veto, the same to the guest.
fn vetoed(command: &str, reason: impl Into<String>) -> SpawnError {
    refused(DeniedBy::Veto, command, reason)
}

fn refused(by: DeniedBy, command: &str, reason: impl Into<String>) -> SpawnError {
    let denial = Denial {
        by,
        nearest: Some(command.to_owned()),
        ..Denial::new(DeniedItem::Program, reason)
    };
    denial.into()
}

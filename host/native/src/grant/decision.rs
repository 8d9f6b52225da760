//! What a grant decides about a request.

use std::sync::Arc;

use super::rule::command::Rule;
use super::rule::executable::Executable;
use crate::launch::Plan;

/// The decision on a request that the grant does not refuse.
#[derive(Debug, Clone)]
pub enum Decision {
    /// The request is allowed: this is what to start.
    Allow(Box<Plan>),
    /// The request needs the embedder's approval; without an approver it is refused.
    Ask(Box<Plan>),
}

impl Decision {
    /// Returns the plan of either decision.
    pub fn plan(&self) -> &Plan {
        match self {
            Self::Allow(plan) | Self::Ask(plan) => plan,
        }
    }

    /// Returns the plan of either decision.
    pub fn into_plan(self) -> Box<Plan> {
        match self {
            Self::Allow(plan) | Self::Ask(plan) => plan,
        }
    }
}

/// A request that a grant does not refuse, with what an explanation and a second
/// grant need to know about it.
#[derive(Debug)]
pub(super) struct Passed {
    /// The rule that let the request pass; the first grant's if there are two.
    pub(super) rule: Arc<Rule>,
    pub(super) needs_approval: bool,
    pub(super) allows_stdin: bool,
    pub(super) plan: Box<Plan>,
    /// The files that the plan starts.
    pub(super) executable: Executable,
}

impl From<Passed> for Decision {
    fn from(passed: Passed) -> Self {
        match passed.needs_approval {
            true => Self::Ask(passed.plan),
            false => Self::Allow(passed.plan),
        }
    }
}

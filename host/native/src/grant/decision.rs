//! What a grant says to a request.

use crate::launch::Plan;

/// What a grant says to a request that it does not refuse.
#[derive(Debug, Clone)]
pub enum Decision {
    /// Start this.
    Allow(Box<Plan>),
    /// Start this if the embedder's approver says so; without one it is refused.
    Ask(Box<Plan>),
}

impl Decision {
    /// Returns the plan, whatever the decision.
    pub fn plan(&self) -> &Plan {
        match self {
            Self::Allow(plan) | Self::Ask(plan) => plan,
        }
    }

    /// Returns the plan, whatever the decision.
    pub fn into_plan(self) -> Box<Plan> {
        match self {
            Self::Allow(plan) | Self::Ask(plan) => plan,
        }
    }
}

//! The embedder's decision on a request that a grant does not refuse: an approver
//! for commands whose `decision` is `ask`, and a veto on every command.
//!
//! Neither widens a grant. A question is put only once the grant would allow,
//! and after the answer the grant decides again.

mod hooks;
mod question;
mod queue;
mod redirection;

pub(crate) use hooks::{Hooks, denied};
pub(crate) use question::Approved;
pub use question::{Answer, Approver, Question};
pub(crate) use queue::{Approval, Approvals};
pub use redirection::{Redirection, RedirectionTarget};

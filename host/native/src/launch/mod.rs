//! What starts a child, behind one trait.
//!
//! A [`Plan`] is what the grant decided, complete: a launcher looks nothing up
//! and decides nothing. It receives the descriptors for the standard streams and
//! returns a [`Process`] to signal, watch and reap. The registry knows no other
//! way to a process, so a launcher may as well replay a recording.

mod error;
mod identity;
mod launcher;
mod mark;
mod observation;
mod owner_uids;
mod plan;
mod process;
mod run_as;
mod stamp;
mod stream_file;
mod usage;

pub use error::{LaunchError, Stage};
pub(crate) use error::{NoLauncher, errno_within, is_shortage};
pub use identity::Identity;
pub use launcher::{Launcher, Owner, Scope};
pub use mark::{LockLimits, TreeMark};
pub(crate) use mark::{locks_in, uid_in};
pub use observation::{Access, Observation, Observer, Outcome, Subject};
pub use owner_uids::OwnerUids;
pub use plan::{ChildStdio, Plan, Program, Request, WorkingDirectory};
pub use process::{Exit, Process};
pub use run_as::RunAs;
pub(crate) use stamp::Stamp;
pub use stream_file::{FileAccess, StreamFile, StreamFiles};
pub use usage::{TreeCounters, TreeUsage};

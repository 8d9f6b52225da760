//! The processes that start children on request: how they are started, requested and heard.
//!
//! A server is a small process, so that a child that shares its memory until it executes is cloned
//! quickly. It makes each child a child of the host, which waits for it and reaps it.

mod affinity;
mod announcements;
mod lost;
mod message;
mod orphans;
mod pool;
mod process;
mod reply;
mod request;
mod reserve;

pub(crate) use self::announcements::Announcements;
pub(crate) use self::lost::end_with_child;
pub(crate) use self::message::{any_ready, receive, socket_pair};
pub(crate) use self::orphans::Orphans;
pub(crate) use self::pool::{Claimed, START_TIME, Servers, set_timeouts};
pub(crate) use self::process::timed_out;
pub(crate) use self::reply::{Missing, Reply};
pub(crate) use self::request::{AloneFiles, AloneUser, Request};
pub(crate) use self::reserve::ReservedPair;

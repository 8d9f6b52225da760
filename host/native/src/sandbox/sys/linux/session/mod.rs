//! The launcher of tier A: a session of namespaces per profile, children by message.
//!
//! Fresh namespaces for every child cost two to three times a plain spawn, and
//! an outside tool (bubblewrap) five to ten times. Made once they cost nothing: a
//! child is a datagram, a vfork and an exec. The helper is in them twice, confined
//! once: as pid 1, which made the root and lives, and as the server, which makes
//! each child a child of the host. Rejected: pid 1 as the children's parent. Every
//! end was then told from pid 1 to the host, two wake-ups that a spawn of
//! `/bin/true` took a tenth longer for.
//!
//! Everything in a session shares its root, its `/tmp`, its loopback interface and
//! its cap on tasks; what differs in any of these is another session.

mod affinity;
mod announcements;
mod child;
mod configuration;
mod message;
mod pool;
mod processes;
mod profile;
mod reply;
mod reply_slot;
mod request;
mod start;
#[cfg(test)]
mod tests;
mod view;

pub(super) use self::pool::Sessions;
pub(super) use self::profile::Profile;
pub(super) use self::start::Session;

//! The launcher of tier A: a session of namespaces per profile, children by message.
//!
//! Fresh namespaces for every child cost two to three times a plain spawn, and
//! an outside tool (bubblewrap) five to ten times. Made once, with the helper as
//! pid 1 that is confined once, they cost nothing: a child is a datagram, a
//! vfork and an exec. Everything in a session shares its root, its `/tmp`, its
//! loopback interface and its cap on tasks; what differs in any of these is
//! another session.

mod birth;
mod child;
mod configuration;
mod profile;
mod request;
mod start;
#[cfg(test)]
mod tests;
mod view;
#[allow(dead_code, reason = "the helper's side of the file needs the rest")]
mod wire;

pub(super) use self::{child::SessionChild, profile::Profile, start::Session};

//! The launcher of tier A: one session of namespaces per profile, and a message per child.
//!
//! The problem: fresh namespaces for every child cost two to three times a plain spawn,
//! and an external tool (bubblewrap) five to ten times.
//!
//! The way chosen: the namespaces are created once, and a child then costs a datagram,
//! a vfork and an exec. Processes of `capspawn-init` run in a session, all under
//! one confinement: pid 1, which built the root and keeps the namespaces alive, and the
//! servers, which start each child as a child of the host.
//!
//! Rejected: children of pid 1. Pid 1 then had to report every exit to the host, two
//! wake-ups that made a spawn of `/bin/true` a tenth slower.
//!
//! All children of a session share its root, its `/tmp`, its loopback interface and its
//! limit on tasks. A command that differs in any of these gets another session.

mod child;
mod configuration;
mod foundation;
mod idle;
mod instance;
mod masks;
mod own_files;
mod owner_mounts;
mod path_error;
mod places;
mod pool;
mod processes;
mod profile;
mod promptness;
mod root_layout;
mod roots;
mod slots;
mod spares;
mod start;
#[cfg(test)]
mod tests;
mod user;
mod watch;

pub(super) use self::instance::Session;
pub(super) use self::owner_mounts::as_childrens;
pub(super) use self::pool::SessionPool;
pub(super) use self::profile::Profile;
pub(super) use self::user::can_be_owners;

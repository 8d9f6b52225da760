//! The session: namespaces, a private root, and this program as pid 1 in them.
//!
//! Everything that costs is done once; each child is then one datagram, one
//! vfork and one exec. Pid 1 is confined like its children but for what serving
//! them takes, holds no descriptor of the host but the control socket and the
//! ruleset and the null device on 0, 1 and 2, and ends with the socket: the
//! kernel then ends everything in the namespace.

mod children;
mod confine;
mod descriptor;
mod mount;
mod namespaces;
mod root;
mod serve;
mod socket;
mod spawn;
mod start;

pub(super) use start::run;

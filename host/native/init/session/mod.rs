//! Servers, which start children, and the session of most of them.
//!
//! A session: namespaces, a private root, and processes of this program, one their
//! pid 1 and the others servers that start children in them.
//!
//! What is slow is done once for all children; each child is then one datagram, one vfork
//! and one exec. Both processes are confined as the children are, except for what serving
//! needs. The server holds nothing of the host but the control socket, the socket for the
//! children's announcements and the null device on 0, 1 and 2. Pid 1 holds a socket that
//! ends with the host; when pid 1 ends, the kernel ends everything in the namespace.

mod alone;
mod confine;
mod descriptor;
mod domain;
mod failure;
mod fork;
mod mount;
mod namespaces;
mod network;
mod passed_fds;
mod pid1;
mod root;
mod schedule;
mod serve;
mod server;
mod socket;
mod spawn;
mod start;
mod state;

pub(super) use alone::run as serve_alone;
pub(super) use start::run;

//! The session: namespaces, a private root, and this program twice, as their pid 1
//! and as the server that starts children in them.
//!
//! Everything that costs is done once; each child is then one datagram, one
//! vfork and one exec. Both processes are confined like the children but for what
//! serving takes. The server holds nothing of the host but the control socket, the
//! socket of its children's words and the null device on 0, 1 and 2, pid 1 instead a
//! socket that ends with the host: the kernel then ends everything in the namespace.

mod confine;
mod descriptor;
mod first;
mod given;
mod mount;
mod namespaces;
mod network;
mod root;
mod schedule;
mod serve;
mod socket;
mod spawn;
mod start;

pub(super) use start::run;

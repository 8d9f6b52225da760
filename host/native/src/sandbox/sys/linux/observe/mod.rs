//! What children are seen to use: a report for people who write grants.
//!
//! The problem: a program that its confinement refuses a file prints a message of its own, or none, and the operator
//! has to find out what it was.
//!
//! The way chosen: the filter of an observed child reports calls with a path, and calls that are denied
//! (`SECCOMP_RET_USER_NOTIF`). A thread of the host reads the path from the caller's memory, notes it and lets the call
//! go on; a call that the filter denies gets the error that it gets without an observer. The observer permits nothing:
//! it computes the filter's own decision from the registers, which the kernel has copied, and Landlock, the namespaces and the
//! kernel decide on what goes on. The path is read from memory that another thread of the child may
//! change before the kernel reads it again, so the report may be deceived, and no decision depends on it. If the observer
//! ends, the kernel answers `ENOSYS`: still a refusal.
//!
//! The result of a call is not visible here. So [`judge`] compares the path with the grant, and looks whether the host
//! has the file.
//!
//! Rejected: Landlock's audit records (Linux 6.15). They need an audit that is on for the whole machine and
//! `CAP_AUDIT_READ`, and a file that a private root does not show is no denial of Landlock. The log of seccomp needs the same,
//! and a tracer (`ptrace`) costs two stops for every call and takes the right to trace away from debuggers in the session.

mod address;
mod calls;
mod child_limits;
mod judge;
mod listener;
mod log;
mod memory;
mod names;
mod thread;
mod view;

pub(crate) use self::log::Log;
pub(crate) use self::thread::{Observing, Watched};
pub(crate) use self::view::View;

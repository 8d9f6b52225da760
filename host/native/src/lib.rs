//! A capped registry of sandboxed child processes, under grants, without WebAssembly.
//!
//! A program that lets others (plugins, agents, scripts) start programs needs more
//! than `std::process`: a decision about *what* may run, caps that refuse instead of
//! queueing, output that cannot fill the host's memory, and a guarantee that every
//! child ends. This crate provides that to any Rust program; the crate `capspawn`
//! puts it behind a WIT interface.
//!
//! A request takes one path, and each step sees only what the step before it decided:
//!
//! [`Command`] (what a guest asks for) → [`Guest::spawn`] (slot and quotas) →
//! [`grant::Grant::decide`] → [`launch::Plan`] → [`launch::Launcher`] → the supervisor
//! (exit, kill or deadline; the status is written once) → [`Child`].
//!
//! The modules depend downwards only: `guest`, `handle`, `registry`, `approval`,
//! `grant`, `child`, `sandbox`, `launch`, `confinement`.
//!
//! ```
//! use capspawn_native::grant::Grants;
//! use capspawn_native::{Command, ExitStatus, Registry, SpawnError};
//!
//! let grants = Grants::from_toml_str(
//!     r#"
//!     version = 1
//!     [[component."report".command]]
//!     name = "kernel"
//!     program = "/bin/uname"
//!     args = ["-s"]
//!     sandbox = "none"    # written out: this child is not confined
//!     "#,
//!     "/".as_ref(),
//! )?;
//! let registry = Registry::builder().build()?;
//! let guest = registry.guest(grants.component("report"), "");
//!
//! let child = guest.spawn(&Command::new("kernel").arg("-s"))?;
//! assert_eq!(child.wait_blocking(None), Some(ExitStatus::Exited(0)));
//! assert_eq!(child.captured(0, 0).0.data, b"Linux\n");
//!
//! let denied = guest.spawn(&Command::new("kernel").arg("-a"));
//! assert!(matches!(denied, Err(SpawnError::Denied(_))));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod approval;
mod child;
pub mod clock;
mod command;
pub mod confinement;
mod error;
pub mod escape;
mod event;
pub mod grant;
mod guest;
mod handle;
pub mod launch;
pub mod limits;
mod registry;
pub mod sandbox;
mod shortage;
mod status;
mod streams;

pub use approval::{Answer, Approver, Question, Redirection, RedirectionTarget};
pub use child::capture::Captured;
pub use child::info::ChildInfo;
pub use child::pipe::{PipeReader, PipeWriter};
pub use command::Command;
pub use error::{Denial, DeniedBy, DeniedItem, Quota, SpawnError};
pub use event::{Cut, Event, EventKind, ReachedLimit};
pub use grant::{Decision, Grant, GrantError, Grants};
pub use guest::Guest;
pub use handle::{Child, Waiter};
pub use launch::{LaunchError, Stage};
pub use registry::builder::RegistryBuilder;
pub use registry::{Holdings, HostHoldings, Registry};
pub use shortage::Shortage;
pub use status::{ExitStatus, KillReason, Receipt, Signal};
pub use streams::{FileMode, PassedReader, PassedWriter, Stdin, Stdio, Streams};

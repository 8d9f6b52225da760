//! Launchers that record what children do, and replay it without a process.
//!
//! A [`Recorder`] wraps any launcher: children run as they would without it, and a *tape* is written, a file of JSON
//! lines that is made to be read in a review and kept in git. A [`Replayer`] answers from the tape. It starts no process,
//! and reports the first difference between the run and the tape.
//!
//! ```
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use capspawn_native::sandbox::NativeLauncher;
//! use capspawn_native::{Command, ExitStatus, Grants, Registry};
//! use capspawn_tape::{Recorder, Replayer, Tape};
//!
//! let grants = Grants::from_toml_str(
//!     r#"
//!     version = 1
//!     [[component.report.command]]
//!     name = "kernel"
//!     program = "/bin/uname"
//!     args = ["*"]
//!     sandbox = "none"
//!     "#,
//!     Path::new("/"),
//! )?;
//! let run = |registry: &Registry, arg: &str| {
//!     let guest = registry.guest(grants.component("report"), "");
//!     let child = guest.spawn(&Command::new("kernel").arg(arg))?;
//!     let status = child.wait_blocking(None);
//!     Ok::<_, capspawn_native::SpawnError>((status, child.captured(0, 0).0.data))
//! };
//!
//! // Once, with the program.
//! let dir = tempfile::tempdir()?;
//! let file = dir.path().join("uname.tape");
//! let recorder = Arc::new(Recorder::builder(Arc::new(NativeLauncher::new())).create(&file)?);
//! let registry = Registry::builder().launcher(recorder.clone()).build()?;
//! let recorded = run(&registry, "now")?;
//! recorder.finish()?;
//!
//! // From then on, without it.
//! let replayer = Arc::new(Replayer::builder(Tape::load(&file)?).build()?);
//! let registry = Registry::builder().launcher(replayer.clone()).build()?;
//! assert_eq!(run(&registry, "now")?, recorded);
//! replayer.finish()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What a tape has, and what it leaves out, is in [`Recorder`].

mod descriptor;
mod difference;
mod dirs;
mod format;
mod record;
mod replay;
mod request;
mod tape;
mod text;

pub use difference::{Difference, Divergence};
pub use dirs::{DirError, Dirs};
pub use record::{Recorder, RecorderBuilder};
pub use replay::{Order, ReplayError, Replayer, ReplayerBuilder};
pub use request::Values;
pub use tape::{Tape, TapeError};

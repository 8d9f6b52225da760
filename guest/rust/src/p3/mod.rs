//! Children over version 0.3 of the interface: async functions, and streams that the host
//! connects.
//!
//! The futures are those of Rust: join and select them with the crate `futures`. They run in an
//! async export of the component, which [`main!`](crate::main) makes of a function. That export
//! is a library's, so the crate is a `cdylib`:
//!
//! ```no_run,standalone_crate
//! use capspawn_guest::p3::Command;
//!
//! async fn run() -> std::io::Result<()> {
//!     let status = Command::new("echo").arg("hello").status().await?;
//!     assert!(status.success());
//!     Ok(())
//! }
//!
//! # mod main_is_for_a_library {
//! capspawn_guest::main!(super::run);
//! # }
//! # fn main() {}
//! ```

mod bindings;
mod child;
mod command;
mod convert;
mod join;
mod pipe;

pub use child::{Child, wait_any};
pub use command::{Command, Stdio};
pub use pipe::{ChildStderr, ChildStdin, ChildStdout};
#[doc(hidden)]
pub use wit_bindgen;

/// What the function of [`main!`](crate::main) returns: nothing, or a result whose error is
/// printed and makes the component fail.
pub trait Termination {
    /// Returns whether the component has succeeded.
    #[doc(hidden)]
    #[expect(clippy::result_unit_err, reason = "it is the result of `wasi:cli/run`")]
    fn report(self) -> Result<(), ()>;
}

impl Termination for () {
    fn report(self) -> Result<(), ()> {
        Ok(())
    }
}

impl<E: std::fmt::Debug> Termination for Result<(), E> {
    fn report(self) -> Result<(), ()> {
        self.map_err(|error| eprintln!("Error: {error:?}"))
    }
}

/// Exports an `async fn` as the component's `wasi:cli/run@0.3.0`. See [`p3`](crate::p3).
#[macro_export]
macro_rules! main {
    ($run:path) => {
        mod capspawn_main {
            $crate::p3::wit_bindgen::generate!({
                inline: "
                    package capspawn:main;

                    world main {
                        export wasi:cli/run@0.3.0;
                    }

                    package wasi:cli@0.3.0 {
                        interface run {
                            run: async func() -> result;
                        }
                    }
                ",
                // Not the folder `wit` of the crate that calls the macro.
                path: [],
                world: "capspawn:main/main",
                runtime_path: "capspawn_guest::p3::wit_bindgen::rt",
            });
        }

        struct CapspawnMain;

        impl capspawn_main::exports::wasi::cli::run::Guest for CapspawnMain {
            async fn run() -> ::core::result::Result<(), ()> {
                $crate::p3::Termination::report($run().await)
            }
        }

        capspawn_main::export!(CapspawnMain with_types_in capspawn_main);
    };
}

//! The bindings that these guests share, and the macro that exports their `run`.
//!
//! The standard library of wasm32-wasip2 uses WASI 0.2 for arguments and output;
//! child processes and `wasi:cli/run` are version 0.3. A component may mix the
//! versions, and imports only the interfaces that it uses.

pub mod bindings {
    wit_bindgen::generate!({
        inline: "
            package capspawn:guests;

            world guest {
                include capspawn:process/imports@0.2.0;
                include capspawn:process/command@0.3.0;
            }
        ",
        path: ["../../wit/p2", "../../wit/p3"],
        world: "capspawn:guests/guest",
        generate_all,
        pub_export_macro: true,
    });
}

pub use bindings::capspawn::process0_3_0::{run, spawn, types};
pub use bindings::exports::wasi::cli0_3_0::run::Guest;
pub use bindings::wasi::cli0_3_0::{stderr, stdin, stdout};
pub use bindings::wit_stream;

/// The same interfaces in version 0.2.
pub mod p2 {
    pub use crate::bindings::capspawn::process0_2_0::{run, spawn, types};
}

use spawn::Child;
use types::{SpawnOptions, Stdin, Stdio};

/// Exports an `async fn` as the component's `run`.
#[macro_export]
macro_rules! guest {
    ($run:ident) => {
        struct Component;

        impl $crate::Guest for Component {
            async fn run() -> Result<(), ()> {
                $run().await;
                Ok(())
            }
        }

        $crate::bindings::export!(Component with_types_in $crate::bindings);
    };
}

/// Starts a shell whose standard input and output are piped.
pub async fn shell(script: &str) -> Child {
    let options = SpawnOptions::new();
    options.set_stdin(&Stdin::Piped);
    options.set_stdout(Stdio::Piped);
    let args = vec!["-c".to_owned(), script.to_owned()];
    Child::spawn("sh".to_owned(), args, Some(&options))
        .await
        .expect("the grant allows it")
}

//! The generated bindings of `capspawn:process@0.2`.

#[expect(missing_docs, reason = "generated code; the WIT has the documentation")]
mod generated {
    wasmtime::component::bindgen!({
        path: "wit/p2",
        world: "capspawn:process/imports",
        with: {
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "capspawn:process/types.spawn-options": crate::options::SpawnOptions,
            "capspawn:process/types.pipe-reader": capspawn_native::PassedReader,
            "capspawn:process/types.pipe-writer": capspawn_native::PassedWriter,
            "capspawn:process/spawn.child": crate::child::Child,
        },
        imports: {
            "capspawn:process/run.run": async | trappable,
            "capspawn:process/spawn.[static]child.spawn": async | trappable,
            "capspawn:process/spawn.[static]child.release": async | trappable,
            "capspawn:process/spawn.[method]child.wait": async | trappable,
            default: trappable,
        },
        trappable_error_type: {
            "capspawn:process/types.error-code" => crate::error::ProcessError,
        },
        require_store_data_send: true,
    });
}

pub use generated::capspawn::process::*;

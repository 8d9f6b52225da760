//! The generated bindings of `capspawn:process@0.3`.

#[expect(missing_docs, reason = "generated code; the WIT has the documentation")]
mod generated {
    wasmtime::component::bindgen!({
        path: "wit/p3",
        world: "capspawn:process/imports",
        with: {
            "capspawn:process/types.spawn-options": crate::options::SpawnOptions,
            "capspawn:process/types.pipe-reader": capspawn_native::PassedReader,
            "capspawn:process/types.pipe-writer": capspawn_native::PassedWriter,
            "capspawn:process/spawn.child": crate::child::Child,
        },
        imports: {
            "capspawn:process/spawn.[method]child.write-stdin": store | trappable,
            "capspawn:process/spawn.[method]child.read-stdout": store | trappable,
            "capspawn:process/spawn.[method]child.read-stderr": store | trappable,
            default: trappable,
        },
        trappable_error_type: {
            "capspawn:process/types.error-code" => crate::error::ProcessError,
        },
        require_store_data_send: true,
    });
}

pub use generated::capspawn::process::*;

//! The generated bindings of version 0.3.

wit_bindgen::generate!({
    inline: "
        package capspawn:guest;

        world imports {
            include capspawn:process/imports@0.3.0;
            import wasi:cli/stdin@0.3.0;
            import wasi:cli/stdout@0.3.0;
            import wasi:cli/stderr@0.3.0;
        }
    ",
    path: ["wit/p3"],
    world: "capspawn:guest/imports",
    generate_all,
});

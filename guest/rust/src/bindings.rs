//! The generated bindings: the only unsafe code, which the macro brings along.

wit_bindgen::generate!({
    path: "wit/p2",
    world: "capspawn:process/imports",
    // The types of the crate `wasip2`, so that one `poll` can wait for a child, a clock and a socket.
    with: {
        "wasi:io/error@0.2.0": wasip2::io::error,
        "wasi:io/poll@0.2.0": wasip2::io::poll,
        "wasi:io/streams@0.2.0": wasip2::io::streams,
    },
    generate_all,
});

//! Connects children without a shell: the output of one is the input of the next.
//!
//! Usage: `pipeline PROGRAM [ARGS]... [: PROGRAM [ARGS]...]...`

use capspawn_guest::{Pipeline, exit};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();

    let mut pipeline = Pipeline::new();
    for command in args.split(|arg| arg == ":") {
        let Some((program, args)) = command.split_first() else {
            eprintln!("usage: pipeline PROGRAM [ARGS]... [: PROGRAM [ARGS]...]...");
            exit(2);
        };
        pipeline = pipeline.command(program, args);
    }

    // As with `pipefail` in a shell, one failed program fails the pipeline. The output of the
    // last one is inherited.
    match pipeline.status() {
        Ok(status) if status.success() => exit(0),
        Ok(status) => eprintln!("pipeline: {status}"),
        Err(error) => eprintln!("pipeline: {error}"),
    }
    exit(1);
}

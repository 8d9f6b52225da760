//! Runs a program to its end, and prints its output and status.
//!
//! Usage: `p3-run PROGRAM [ARGS]...`

use std::io::Write as _;

use guests_p3::{guest, run};

guest!(main);

async fn main() {
    let mut args = std::env::args().skip(1);
    let program = args.next().expect("usage: p3-run PROGRAM [ARGS]...");
    match run::run(program.clone(), args.collect(), None).await {
        Ok(output) => {
            std::io::stdout()
                .write_all(&output.stdout.data)
                .expect("standard output is open");
            println!("{program}: {:?}", output.status);
        }
        Err(error) => println!("{program} did not run: {error:?}"),
    }
}

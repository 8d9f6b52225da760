//! Connects children without a shell: the output of one is the input of the next.
//!
//! Usage: `pipeline PROGRAM [ARGS]... [: PROGRAM [ARGS]...]...`

use guest_examples::spawn::Child;
use guest_examples::types::{ExitStatus, PipeReader, SpawnOptions, Stdio};
use guest_examples::{Link, connect, ending, exit, reason};
use wasip2::cli::stdout;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let commands: Vec<&[String]> = args.split(|arg| arg == ":").collect();
    let last_command = commands.len() - 1;

    let mut children: Vec<(&str, Child)> = Vec::new();
    // The output of the child before, which nobody reads yet.
    let mut before: Option<PipeReader> = None;
    for (index, command) in commands.into_iter().enumerate() {
        let Some((program, args)) = command.split_first() else {
            eprintln!("usage: pipeline PROGRAM [ARGS]... [: PROGRAM [ARGS]...]...");
            exit(2);
        };
        let options = SpawnOptions::new();
        options.set_stdout(Stdio::Piped);
        if let Some(reader) = before.take() {
            options.set_stdin_pipe(reader);
        }
        let child = match Child::spawn(program, args, Some(&options)) {
            Ok(child) => child,
            Err(error) => {
                eprintln!("pipeline: {program}: {}", reason(&error));
                // Dropping the children that were started kills them.
                drop(children);
                exit(1);
            }
        };
        if index < last_command {
            // From here on the bytes go from child to child: this component does not copy them.
            before = Some(child.pass_stdout().expect("piped, and not taken before"));
        }
        children.push((program, child));
    }

    let last = Link {
        from: children[last_command]
            .1
            .take_stdout()
            .expect("piped, and not taken before"),
        to: stdout::get_stdout(),
    };
    if let Err(error) = connect(Vec::new(), last) {
        eprintln!("pipeline: {error}");
        exit(1);
    }

    // As with `pipefail` in a shell, one failed program fails the pipeline.
    let mut failed = false;
    for (program, child) in &children {
        let status = child.wait(None).expect("without a timeout it waits");
        if !matches!(status, ExitStatus::Exited(0)) {
            eprintln!("pipeline: {program} {}", ending(status));
            failed = true;
        }
    }
    exit(u8::from(failed));
}

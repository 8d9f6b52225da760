//! Connects children without a shell: the output of one is the input of the next.
//!
//! Usage: `pipeline PROGRAM [ARGS]... [: PROGRAM [ARGS]...]...`

use guest_examples::spawn::Child;
use guest_examples::types::{ExitStatus, SpawnOptions, Stdin, Stdio};
use guest_examples::{Link, connect, ending, exit, reason};
use wasip2::cli::stdout;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let commands: Vec<&[String]> = args.split(|arg| arg == ":").collect();

    let mut children: Vec<(&str, Child)> = Vec::new();
    for command in commands {
        let Some((program, args)) = command.split_first() else {
            eprintln!("usage: pipeline PROGRAM [ARGS]... [: PROGRAM [ARGS]...]...");
            exit(2);
        };
        let options = SpawnOptions::new();
        options.set_stdout(Stdio::Piped);
        if !children.is_empty() {
            options.set_stdin(&Stdin::Piped);
        }
        match Child::spawn(program, args, Some(&options)) {
            Ok(child) => children.push((program, child)),
            Err(error) => {
                eprintln!("pipeline: {program}: {}", reason(&error));
                // Dropping the children that were started kills them.
                drop(children);
                exit(1);
            }
        }
    }

    let taken = "piped, and not taken before";
    let links = children.windows(2).map(|pair| Link {
        from: pair[0].1.take_stdout().expect(taken),
        to: pair[1].1.take_stdin().expect(taken),
    });
    let links = links.collect();
    let last = Link {
        from: children[children.len() - 1].1.take_stdout().expect(taken),
        to: stdout::get_stdout(),
    };
    if let Err(error) = connect(links, last) {
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

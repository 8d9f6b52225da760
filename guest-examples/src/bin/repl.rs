//! Talks to an interactive program, line by line.
//!
//! Usage: `repl PROMPT PROGRAM [ARGS]...` sends each line of standard input after the
//! program has printed PROMPT, and prints the replies.

use std::io::{self, Read, Write};

use guest_examples::spawn::Child;
use guest_examples::types::{SpawnOptions, Stdin, Stdio};
use guest_examples::{ending, exit, reason};

fn main() {
    let usage = "usage: repl PROMPT PROGRAM [ARGS]...";
    let mut args = std::env::args().skip(1);
    let prompt = args.next().expect(usage);
    let program = args.next().expect(usage);
    let args: Vec<String> = args.collect();

    // Python writes its prompt to standard error and its replies to standard output.
    // Merged, they arrive in the order in which they were written.
    let options = SpawnOptions::new();
    options.set_stdin(&Stdin::Piped);
    options.set_stdout(Stdio::Piped);
    options.set_stderr(Stdio::Merged);
    let child = match Child::spawn(&program, &args, Some(&options)) {
        Ok(child) => child,
        Err(error) => {
            eprintln!("repl: {program}: {}", reason(&error));
            exit(1);
        }
    };
    let mut input = child.take_stdin().expect("piped, and not taken before");
    let mut output = child.take_stdout().expect("piped, and not taken before");

    if let Err(error) = talk(&prompt, &mut input, &mut output) {
        eprintln!("repl: {program}: {error}");
    }
    // The program exits at the end of its input.
    drop(input);
    let _ = output.read_to_end(&mut Vec::new());
    let status = child.wait(None).expect("without a timeout it waits");
    println!("{program} {}", ending(status));
}

fn talk(prompt: &str, input: &mut impl Write, output: &mut impl Read) -> io::Result<()> {
    print!("{}", reply(prompt, output)?);
    for line in io::stdin().lines() {
        let line = line?;
        println!("{prompt}{line}");
        writeln!(input, "{line}")?;
        input.flush()?;
        print!("{}", reply(prompt, output)?);
    }
    Ok(())
}

/// Reads until the prompt, and returns the text before it.
fn reply(prompt: &str, output: &mut impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    // A read returns the available bytes, and waits only if there are none. A read
    // that waits for a full chunk would never return.
    while !bytes.ends_with(prompt.as_bytes()) {
        match output.read(&mut chunk)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
    bytes.truncate(bytes.len() - prompt.len());
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

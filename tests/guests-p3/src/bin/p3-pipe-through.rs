//! Copies standard input to a program, and its output to standard output, without a copy in
//! the component's memory.
//!
//! Usage: `p3-pipe-through PROGRAM [ARGS]...`

use futures::join;
use guests_p3::spawn::Child;
use guests_p3::types::{SpawnOptions, Stdin, Stdio};
use guests_p3::{guest, stderr, stdin, stdout, wit_stream};

guest!(main);

async fn main() {
    let mut args = std::env::args().skip(1);
    let program = args
        .next()
        .expect("usage: p3-pipe-through PROGRAM [ARGS]...");
    let options = SpawnOptions::new();
    options.set_stdin(&Stdin::Piped);
    options.set_stdout(Stdio::Piped);
    let child = Child::spawn(program, args.collect(), Some(&options))
        .await
        .expect("the grant allows it");
    let (input, _input_ended) = stdin::read_via_stream();
    let (output, _output_ended) = child.read_stdout();
    let (fed, printed) = join!(
        child.write_stdin(input).into_future(),
        stdout::write_via_stream(output).into_future()
    );
    fed.expect("the child reads all");
    printed.expect("standard output is open");

    let (mut writer, message) = wit_stream::new();
    let printed = stderr::write_via_stream(message);
    let status = format!("{:?}\n", child.wait(None).await.expect("it has ended"));
    writer.write_all(status.into_bytes()).await;
    drop(writer);
    printed.await.expect("standard error is open");
}

//! Reads all output of a program, 64 KiB at a time, and prints how many bytes it was.
//!
//! Usage: `p3-drain PROGRAM [ARGS]...`

use guests_p3::guest;
use guests_p3::spawn::Child;
use guests_p3::types::{SpawnOptions, Stdio};
use wit_bindgen::StreamResult;

guest!(main);

const BUFFER_BYTES: usize = 64 * 1024;

async fn main() {
    let mut args = std::env::args().skip(1);
    let program = args.next().expect("usage: p3-drain PROGRAM [ARGS]...");
    let options = SpawnOptions::new();
    options.set_stdout(Stdio::Piped);
    let child = Child::spawn(program, args.collect(), Some(&options))
        .await
        .expect("the grant allows it");
    let (mut stdout, ended) = child.read_stdout();
    let (mut total, mut buffer) = (0_u64, Vec::with_capacity(BUFFER_BYTES));
    loop {
        let (result, read) = stdout.read(buffer).await;
        total += read.len() as u64;
        if result == StreamResult::Dropped {
            break;
        }
        buffer = read;
        buffer.clear();
    }
    ended.await.expect("the end was reached");
    println!("{total} bytes");
}

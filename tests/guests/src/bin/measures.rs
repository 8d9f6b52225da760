//! Measures the cost of calls between guest and host, for the benchmarks. Each mode
//! prints how many nanoseconds its work took, as one number.
//!
//! Usage: `measures spawn COUNT | read BYTES | both-ways BYTES | copied BYTES | spliced BYTES |
//! passed BYTES | poll COUNT | nothing COUNT`

use std::time::Instant;

use guest_examples::spawn::Child;
use guest_examples::types::{SpawnOptions, Stdin, Stdio};
use guest_examples::{Link, connect};
use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::poll;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

fn main() {
    let mut args = std::env::args().skip(1);
    let mode = args.next().expect("a mode");
    let count: u64 = args
        .next()
        .and_then(|text| text.parse().ok())
        .expect("a number");
    let started = Instant::now();
    let nanoseconds = match mode.as_str() {
        "spawn" => {
            for _ in 0..count {
                let child = Child::spawn("true", &[], None).expect("the grant allows it");
                child.wait(None);
            }
            started.elapsed()
        }
        "read" => {
            read(count);
            started.elapsed()
        }
        "both-ways" => {
            both_ways(count);
            started.elapsed()
        }
        "copied" | "spliced" | "passed" => {
            pipeline(&mode, count);
            started.elapsed()
        }
        "poll" => {
            let child = cat();
            let started = Instant::now();
            for _ in 0..count {
                assert!(child.poll().is_none());
            }
            started.elapsed()
        }
        "nothing" => {
            for _ in 0..count {
                monotonic_clock::resolution();
            }
            started.elapsed()
        }
        other => panic!("no such mode: {other}"),
    };
    println!("{}", nanoseconds.as_nanos());
}

fn cat() -> Child {
    let options = SpawnOptions::new();
    options.set_stdin(&Stdin::Piped);
    options.set_stdout(Stdio::Piped);
    Child::spawn("cat", &[], Some(&options)).expect("the grant allows it")
}

/// Reads and discards the output of `head -c BYTES /dev/zero`.
fn read(bytes: u64) {
    let options = SpawnOptions::new();
    options.set_stdout(Stdio::Piped);
    let args = ["-c".to_owned(), bytes.to_string(), "/dev/zero".to_owned()];
    let child = Child::spawn("head", &args, Some(&options)).expect("the grant allows it");
    let output = child.take_stdout().expect("piped");
    let mut read = 0;
    loop {
        match output.blocking_read(64 * 1024) {
            Ok(chunk) => read += chunk.len() as u64,
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => panic!("{}", error.to_debug_string()),
        }
    }
    assert_eq!(read, bytes);
}

/// Runs `head -c BYTES /dev/zero | wc -c`. The bytes are read and written by this component, or
/// copied by the host for it, or go from child to child.
fn pipeline(mode: &str, bytes: u64) {
    let options = SpawnOptions::new();
    options.set_stdout(Stdio::Piped);
    let args = ["-c".to_owned(), bytes.to_string(), "/dev/zero".to_owned()];
    let head = Child::spawn("head", &args, Some(&options)).expect("the grant allows it");
    let options = SpawnOptions::new();
    match mode {
        "passed" => options.set_stdin_pipe(head.pass_stdout().expect("piped")),
        _ => options.set_stdin(&Stdin::Piped),
    }
    let count = Child::spawn("wc", &["-c".to_owned()], Some(&options));
    let count = count.expect("the grant allows it");
    if mode != "passed" {
        let from = head.take_stdout().expect("piped");
        let to = count.take_stdin().expect("piped");
        match mode {
            "spliced" => connect(Vec::new(), Link { from, to }).expect("both run to the end"),
            _ => copy(&from, &to),
        }
    }
    count.wait(None);
    let counted = count.captured(0, 0).0.data;
    assert_eq!(counted.trim_ascii(), bytes.to_string().as_bytes());
}

/// Copies a stream through the memory of this component.
fn copy(from: &InputStream, to: &OutputStream) {
    loop {
        match from.blocking_read(64 * 1024) {
            // The most that one call takes.
            Ok(bytes) => bytes
                .chunks(4096)
                .for_each(|it| to.blocking_write_and_flush(it).expect("it is read")),
            Err(StreamError::Closed) => return,
            Err(StreamError::LastOperationFailed(error)) => panic!("{}", error.to_debug_string()),
        }
    }
}

/// Writes numbers to `cat` while it reads them back, and compares checksums.
fn both_ways(bytes: u64) {
    let child = cat();
    let mut input = Some(child.take_stdin().expect("piped"));
    let output = child.take_stdout().expect("piped");
    let (mut written, mut sent) = (0, Sum::default());
    let (mut read, mut received) = (0, Sum::default());
    let mut chunk = Vec::new();
    loop {
        if let Some(stream) = &input {
            let permit = stream.check_write().expect("the child reads to the end");
            let length = permit.min(bytes - written);
            if length > 0 {
                numbers(written, length, &mut chunk);
                stream.write(&chunk).expect("the child reads to the end");
                sent.add(&chunk);
                written += length;
            }
        }
        if written == bytes {
            input = None;
        }
        match output.read(64 * 1024) {
            Ok(bytes) => {
                received.add(&bytes);
                read += bytes.len() as u64;
                if !bytes.is_empty() {
                    continue;
                }
            }
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => panic!("{}", error.to_debug_string()),
        }
        let readable = output.subscribe();
        match &input {
            Some(stream) => drop(poll(&[&readable, &stream.subscribe()])),
            None => readable.block(),
        }
    }
    assert_eq!((read, received), (bytes, sent));
}

/// Fills `chunk` with bytes that depend on their offset.
fn numbers(offset: u64, length: u64, chunk: &mut Vec<u8>) {
    chunk.clear();
    chunk.extend((offset..offset + length).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 24) as u8));
}

/// Fletcher's checksum: it detects bytes that are lost, added, changed or reordered.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum(u64, u64);

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_add(u64::from(*byte));
            self.1 = self.1.wrapping_add(self.0);
        }
    }
}

//! Takes streams, and drops them, their pollables and their child in different orders.

use guest_examples::spawn::{Child, process_error_code};
use guest_examples::types::{ErrorCode, ExitStatus, SpawnOptions, Stdin, Stdio};
use wasip2::io::poll::poll;
use wasip2::io::streams::{InputStream, StreamError};

fn main() {
    dropped_before_and_after_their_child();
    taken_once_and_only_where_piped();
    several_pollables_at_once();
    the_end_and_a_broken_pipe();
    every_verb();
}

fn cat() -> Child {
    let options = SpawnOptions::new();
    options.set_stdin(&Stdin::Piped);
    options.set_stdout(Stdio::Piped);
    options.set_stderr(Stdio::Piped);
    Child::spawn("cat", &[], Some(&options)).expect("the grant allows it")
}

/// Reads to the end.
fn drain(stream: &InputStream) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match stream.blocking_read(u64::MAX) {
            Ok(bytes) => all.extend(bytes),
            Err(StreamError::Closed) => return all,
            Err(StreamError::LastOperationFailed(error)) => panic!("{}", error.to_debug_string()),
        }
    }
}

fn code(error: StreamError) -> Option<ErrorCode> {
    match error {
        StreamError::Closed => None,
        StreamError::LastOperationFailed(error) => process_error_code(&error),
    }
}

fn dropped_before_and_after_their_child() {
    // The child first: the drop kills it, and its streams end.
    let child = cat();
    let (input, output) = (child.take_stdin().unwrap(), child.take_stdout().unwrap());
    let ended = child.subscribe();
    drop(child);
    assert_eq!(drain(&output), b"");
    ended.block();
    drop((output, input, ended));

    // The streams first: `cat` exits at the end of its input.
    let child = cat();
    let (input, output) = (child.take_stdin().unwrap(), child.take_stdout().unwrap());
    input.blocking_write_and_flush(b"bytes").unwrap();
    drop(input);
    assert_eq!(drain(&output), b"bytes");
    drop(output);
    assert!(matches!(child.wait(None), Some(ExitStatus::Exited(0))));

    // The child in between, with a stream that is never taken.
    let child = cat();
    let output = child.take_stdout().unwrap();
    Child::release(child);
    assert_eq!(drain(&output), b"");
}

fn taken_once_and_only_where_piped() {
    let child = cat();
    let _held = (
        child.take_stdin().unwrap(),
        child.take_stdout().unwrap(),
        child.take_stderr().unwrap(),
    );
    assert!(matches!(child.take_stdin(), Err(ErrorCode::InvalidState)));
    assert!(matches!(child.take_stdout(), Err(ErrorCode::InvalidState)));
    assert!(matches!(child.take_stderr(), Err(ErrorCode::InvalidState)));
    let captured = Child::spawn("cat", &[], None).unwrap();
    assert!(matches!(
        captured.take_stdin(),
        Err(ErrorCode::InvalidState)
    ));
    assert!(matches!(
        captured.take_stdout(),
        Err(ErrorCode::InvalidState)
    ));
    assert!(matches!(
        captured.take_stderr(),
        Err(ErrorCode::InvalidState)
    ));
}

fn several_pollables_at_once() {
    let child = cat();
    let (input, output, errors) = (
        child.take_stdin().unwrap(),
        child.take_stdout().unwrap(),
        child.take_stderr().unwrap(),
    );
    let ended = child.subscribe();
    let (first, second) = (output.subscribe(), output.subscribe());
    let (writable, silent) = (input.subscribe(), errors.subscribe());
    // Only the input is ready, and `ready` returns without waiting.
    assert_eq!(poll(&[&ended, &first, &second, &silent, &writable]), [4]);
    assert!(!first.ready() && !silent.ready() && !ended.ready() && writable.ready());
    input.blocking_write_and_flush(b"x").unwrap();
    first.block();
    assert_eq!(poll(&[&second, &first, &silent]), [0, 1]);
    // `ready` also reports it to a guest that never waits.
    assert_eq!(output.read(10).unwrap(), b"x");
    assert!(!first.ready());
    input.blocking_write_and_flush(b"y").unwrap();
    while !second.ready() {}
    drop(writable);
    drop(input);
    silent.block();
    ended.block();
    drop((first, child, silent, errors, second, output, ended));
}

fn the_end_and_a_broken_pipe() {
    let child = cat();
    let (input, output) = (child.take_stdin().unwrap(), child.take_stdout().unwrap());
    assert_eq!(
        output.read(10).unwrap(),
        b"",
        "an empty pipe is not the end"
    );
    child.kill(0);
    child.wait(None);
    assert!(matches!(output.blocking_read(10), Err(StreamError::Closed)));
    assert!(matches!(output.read(10), Err(StreamError::Closed)));
    // The failure is reported once; the stream is closed from then on.
    // A process that the host starts at the same time has copies of its descriptors until it executes.
    let broken = loop {
        input.subscribe().block();
        if let Err(broken) = input.check_write() {
            break broken;
        }
    };
    assert!(matches!(code(broken), Some(ErrorCode::BrokenPipe)));
    assert!(matches!(input.check_write(), Err(StreamError::Closed)));
    assert!(matches!(input.flush(), Err(StreamError::Closed)));

    let child = cat();
    let input = child.take_stdin().unwrap();
    child.kill(0);
    child.wait(None);
    let mut writes = std::iter::repeat_with(|| input.blocking_write_and_flush(b"x"));
    let broken = writes.find_map(Result::err).expect("the child is gone");
    assert!(matches!(code(broken), Some(ErrorCode::BrokenPipe)));
}

fn every_verb() {
    let child = cat();
    let (input, output) = (child.take_stdin().unwrap(), child.take_stdout().unwrap());
    assert_eq!(output.read(0).unwrap(), b"");
    assert_eq!(output.skip(0).unwrap(), 0);
    let permit = input.check_write().unwrap();
    assert!(permit >= 4096, "an empty pipe takes a page: {permit}");
    input.write_zeroes(3).unwrap();
    input.check_write().unwrap();
    input.write(b"abcdef").unwrap();
    input.blocking_flush().unwrap();
    input.blocking_write_zeroes_and_flush(1).unwrap();
    let mut skipped = 0;
    while skipped < 4 {
        skipped += output.blocking_skip(4 - skipped).unwrap();
    }
    // No more than requested, although more is available.
    assert_eq!(output.blocking_read(2).unwrap(), b"bc");

    // From one child to the next, inside the host.
    let next = cat();
    let (next_input, next_output) = (next.take_stdin().unwrap(), next.take_stdout().unwrap());
    let mut moved = 0;
    while moved < 4 {
        moved += next_input.blocking_splice(&output, 4 - moved).unwrap();
    }
    assert_eq!(
        next_input.splice(&output, 10).unwrap(),
        0,
        "nothing is left"
    );
    drop(input);
    assert!(matches!(
        next_input.blocking_splice(&output, 10),
        Err(StreamError::Closed)
    ));
    drop(next_input);
    assert_eq!(drain(&next_output), b"def\0");
}

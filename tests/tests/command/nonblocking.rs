//! The command's own streams, which another process has made non-blocking.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::ioctl_fionread;
use rustix::pipe::{PipeFlags, pipe_with};
use test_kit::{eventually, read_to_end, read_until};

use crate::harness::Setup;
use crate::support::{capspawn, program};

/// Returns the reading end and the writing end.
fn pipe() -> (File, OwnedFd) {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a descriptor is free");
    (reader.into(), writer)
}

fn set_nonblocking(fd: impl AsFd) {
    let flags = fcntl_getfl(&fd).expect("it is open");
    fcntl_setfl(&fd, flags | OFlags::NONBLOCK).expect("it is open");
}

/// Runs `seq`, whose output is larger than a pipe or a socket takes, and reads nothing before no more fits.
fn fill(mut reader: impl Read + AsFd, writer: OwnedFd) {
    set_nonblocking(&writer);
    let setup = Setup::new(&[(
        "seq",
        &program("seq"),
        "args = [\"200000\"]\ncapture = { stdout = \"4MiB\" }",
    )]);
    let mut command = setup.command(&["seq", "200000"]);
    let mut running = command.stdout(writer).spawn().expect("the command starts");
    // The command and its builder have the only writing ends.
    drop(command);
    let mut before = 0;
    eventually("the output is full, or has ended", || {
        let waiting = ioctl_fionread(&reader).expect("it is open");
        let is_full = waiting > 0 && waiting == before;
        before = waiting;
        is_full || running.try_wait().expect("it is a child").is_some()
    });
    let mut expected = String::new();
    for number in 1..=200_000 {
        writeln!(expected, "{number}").expect("a string has room");
    }
    assert!(read_to_end(&mut reader) == expected, "a part is lost");
    assert!(running.wait().expect("it is a child").success());
}

#[test]
fn no_output_is_lost_at_a_non_blocking_pipe_or_socket() {
    let (reader, writer) = pipe();
    fill(reader, writer);
    let (reader, writer) = UnixStream::pair().expect("a descriptor is free");
    fill(reader, writer.into());
}

#[test]
fn a_non_blocking_input_is_awaited_in_each_version() {
    await_input(e2e::guests::PIPE_THROUGH);
    await_input(e2e::guests::P3_PIPE_THROUGH);
}

/// Gives a component that copies through `cat` one line after the other.
fn await_input(guest: e2e::Guest) {
    let setup = Setup::new(&[("cat", &program("cat"), "")]);
    let ((stdin, give), (mut take, stdout)) = (pipe(), pipe());
    set_nonblocking(&stdin);
    let mut command = Command::new(capspawn());
    command
        .args(["run", "--component", "exec", "--grants"])
        .arg(setup.grants());
    command.args([guest.path, "--", "cat"]);
    let mut running = command
        .stdin(stdin)
        .stdout(stdout)
        .spawn()
        .expect("the command starts");
    drop(command);
    let mut give = File::from(give);
    for line in ["first\n", "second\n"] {
        give.write_all(line.as_bytes()).expect("the pipe has room");
        // The component requests more input now, of which there is none.
        assert_eq!(read_until(&mut take, line), line);
    }
    drop(give);
    assert_eq!(read_to_end(&mut take), "");
    assert!(running.wait().expect("it is a child").success());
}

#[test]
fn a_message_is_awaited_at_a_full_non_blocking_pipe() {
    let (mut reader, writer) = pipe();
    set_nonblocking(&writer);
    let mut filling = File::from(writer.try_clone().expect("a descriptor is free"));
    let mut filled = 0;
    loop {
        match filling.write(&[b'x'; 4096]) {
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    drop(filling);
    let mut command = Command::new(capspawn());
    command.args(["check", "/absent.toml"]).stdin(Stdio::null());
    let mut running = command.stderr(writer).spawn().expect("the command starts");
    drop(command);
    let text = read_to_end(&mut reader);
    assert!(
        text[filled..].starts_with("capspawn: "),
        "{:?}",
        &text[filled..]
    );
    assert_eq!(running.wait().expect("it is a child").code(), Some(2));
}

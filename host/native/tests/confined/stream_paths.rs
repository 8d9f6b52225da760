//! A child's standard streams, opened by their paths.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;

use capspawn_native::Signal;
use capspawn_native::launch::{ChildStdio, Exit, Launcher as _};
use capspawn_native::sandbox::Sandbox;
use test_kit::scratch;

use crate::launcher::{launcher, scope_of_this_test};
use crate::spec::{Spec, ended};

fn pipe() -> (OwnedFd, OwnedFd) {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a descriptor is free")
}

/// Runs `spec` with a pipe for each stream, and returns what it writes to both.
fn run(spec: &Spec, input: &[u8]) -> [String; 2] {
    let ((stdin, give), (out, stdout), (err, stderr)) = (pipe(), pipe(), pipe());
    let stdio = ChildStdio {
        stdin: Some(stdin),
        stdout: Some(stdout),
        stderr: Some(stderr),
    };
    let process = launcher()
        .launch(scope_of_this_test(), &spec.plan(), stdio)
        .expect("it starts");
    File::from(give)
        .write_all(input)
        .expect("the pipe has room");
    let exit = ended(&*process);
    let _ = process.signal_tree(Signal::Kill);
    process.reap().expect("it has ended");
    let outputs = [out, err].map(|pipe| {
        let mut text = String::new();
        File::from(pipe).read_to_string(&mut text).expect("text");
        text
    });
    assert_eq!(exit, Exit::Code(0), "{outputs:?}");
    outputs
}

#[test]
fn a_child_opens_its_streams_by_their_paths() {
    let script = "echo a > /dev/stdout; echo b | tee /dev/stderr; echo c > /proc/self/fd/1; echo d > /dev/fd/2; \
                  read x < /dev/stdin; read y < /proc/self/fd/0; echo $x $y";
    let spec = Spec::new("/bin/sh")
        .args(["-ec", script])
        .read("/dev")
        .read("/proc");
    let home = scratch();
    for spec in [
        spec.clone(),
        spec.clone().home(home.path()),
        spec.sandbox(Sandbox::None),
    ] {
        // The shell reads byte by byte, so that each `read` takes one line.
        assert_eq!(run(&spec, b"e\nf\n"), ["a\nb\nc\ne f\n", "b\nd\n"]);
    }
}

/// Only a pipe without a name is the child's: an embedder may pass a file of its own.
#[test]
fn a_file_that_is_passed_as_a_stream_keeps_its_owner() {
    let folder = scratch();
    let path = folder.path().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .expect("the name is free");
    let open = || File::options().read(true).write(true).open(&path);
    let fifo = open().expect("it is ours");
    let before = fifo.metadata().expect("it is open").uid();
    let spec = Spec::new("/bin/true");
    let stdio = ChildStdio {
        stdout: Some(open().expect("it is ours").into()),
        ..ChildStdio::default()
    };
    let process = launcher().launch(scope_of_this_test(), &spec.plan(), stdio);
    let process = process.expect("it starts");
    assert_eq!(ended(&*process), Exit::Code(0));
    process.reap().expect("it has ended");
    assert_eq!(fifo.metadata().expect("it is open").uid(), before);
}

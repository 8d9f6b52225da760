//! What a child starts with: streams, arguments, environment and working directory.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::support::{launch, null, piped, plan, profile, python, run, session, wait};
use crate::launch::{ChildStdio, Exit, Stage};

#[test]
fn arguments_environment_directory_and_streams_arrive() {
    let session = session(&profile());
    let mut plan = plan(
        "/bin/sh",
        &[
            "-c",
            "read line; echo \"$0 $1 $NAME $PWD $line\"; echo err >&2",
            "zero",
            "one",
        ],
    );
    plan.env.push(("NAME".into(), "value".into()));
    plan.cwd.path = "/usr/bin".into();
    let (stdio, reader) = piped();
    let (stdin, mut writer) = io::pipe().expect("a pipe");
    io::Write::write_all(&mut writer, b"input\n").expect("room");
    let stdio = ChildStdio {
        stdin: Some(OwnedFd::from(stdin)),
        ..stdio
    };
    let child = launch(&session, &plan, stdio).expect("it starts");
    let mut text = String::new();
    File::from(reader).read_to_string(&mut text).expect("text");
    assert_eq!(text, "zero one value /usr/bin input\nerr\n");
    assert_eq!(wait(&child), Ok(Exit::Code(0)));
}

/// Writes to the streams that are not the null device. The exit code has one bit for each
/// stream that is.
const STREAMS: &str = "\
import os, sys
null = [os.fstat(n).st_rdev == os.makedev(1, 3) for n in range(3)]
if not null[0] and os.read(0, 9) != b'in': sys.exit(99)
for n in (1, 2): os.write(n, b'%d' % n)
sys.exit(sum(is_null << n for n, is_null in enumerate(null)))
";

#[test]
fn a_stream_that_is_not_given_is_the_null_device() {
    let session = session(&profile());
    let program = plan(&python(), &["-ISc", STREAMS]);
    for null in 0..8 {
        let given = |n: i32| null >> n & 1 == 0;
        let (stdio, reader) = piped();
        let (stdin, mut writer) = io::pipe().expect("a pipe");
        io::Write::write_all(&mut writer, b"in").expect("room");
        let stdio = ChildStdio {
            stdin: given(0).then(|| stdin.into()),
            stdout: stdio.stdout.filter(|_| given(1)),
            stderr: stdio.stderr.filter(|_| given(2)),
        };
        let child = launch(&session, &program, stdio).expect("it starts");
        let mut text = String::new();
        File::from(reader).read_to_string(&mut text).expect("text");
        let written = |n| {
            if given(n) {
                n.to_string()
            } else {
                String::new()
            }
        };
        assert_eq!(text, written(1) + &written(2));
        assert_eq!(wait(&child), Ok(Exit::Code(null)));
    }
}

#[test]
fn only_the_child_holds_its_streams() {
    let session = session(&profile());
    for _ in 0..100 {
        let (stdio, reader) = piped();
        let (stdin, mut writer) = io::pipe().expect("a pipe");
        let stdio = ChildStdio {
            stdin: Some(OwnedFd::from(stdin)),
            ..stdio
        };
        let child = launch(&session, &plan("/bin/true", &[]), stdio).expect("it starts");
        assert_eq!(wait(&child), Ok(Exit::Code(0)));
        let mut fds = [PollFd::new(&reader, PollFlags::IN)];
        let ended = poll(&mut fds, Some(&Timespec::default()));
        assert_eq!(ended, Ok(1), "the pipe has ended");
        let broken = io::Write::write(&mut writer, b"x").expect_err("it has no reader");
        assert_eq!(broken.kind(), io::ErrorKind::BrokenPipe);
    }
}

#[test]
fn large_arguments_arrive_complete() {
    let session = session(&profile());
    for length in [1, 32 * 1024, 33 * 1024, 128 * 1024 - 1] {
        let argument = "x".repeat(length);
        let plan = plan(
            "/bin/sh",
            &[
                "-c",
                "echo ${#1} ${#7}",
                "sh",
                &argument,
                "",
                "",
                "",
                "",
                "",
                &argument,
            ],
        );
        assert_eq!(run(&session, &plan).0, format!("{length} {length}\n"));
    }
    let many: Vec<_> = (0..60_000).map(|_| "a").collect();
    let mut arguments = vec!["-c", "echo $#", "sh"];
    arguments.extend(&many);
    assert_eq!(run(&session, &plan("/bin/sh", &arguments)).0, "60000\n");
}

#[test]
fn directories_and_devices_are_refused_as_streams() {
    let session = session(&profile());
    for path in ["/", "/dev/zero", "/etc/passwd"] {
        let stdio = ChildStdio {
            stdin: Some(File::open(path).expect("it exists").into()),
            ..null()
        };
        let error = launch(&session, &plan("/bin/true", &[]), stdio).expect_err("refused");
        assert_eq!(
            (error.stage, error.source.raw_os_error()),
            (Stage::Request, Some(libc::EINVAL))
        );
    }
    let mut directory = plan("/bin/true", &[]);
    directory.program = plan("/usr", &[]).program;
    let error = launch(&session, &directory, null()).expect_err("refused");
    assert_eq!(error.stage, Stage::Request);
}

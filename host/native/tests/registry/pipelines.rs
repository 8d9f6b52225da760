//! Pipes that one child hands to another, and streams that share one pipe.

use std::time::Duration;

use capspawn_native::{
    Child, Command, ExitStatus, FileMode, Guest, KillReason, PassedReader, PassedWriter, Shortage,
    Signal, SpawnError, Stdin, Stdio,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::*;

fn start(guest: &Guest, command: &Command) -> Child {
    guest.spawn(command).expect("the grant allows it")
}

/// A script whose standard output is piped.
fn writes(script: &str) -> Command {
    Command {
        stdout: Stdio::Piped,
        ..sh(script)
    }
}

/// A script whose standard input is piped.
fn reads(script: &str) -> Command {
    Command {
        stdin: Stdin::Piped,
        ..sh(script)
    }
}

fn from(reader: &PassedReader, script: &str) -> Command {
    Command {
        stdin: Stdin::Child(reader.clone()),
        ..sh(script)
    }
}

fn to(writer: &PassedWriter, script: &str) -> Command {
    Command {
        stdout: Stdio::Child(writer.clone()),
        ..sh(script)
    }
}

fn stdout_of(child: &Child) -> PassedReader {
    let passed = child.pass_stdout().expect("its flags can be changed");
    passed.expect("it is piped, and was not taken")
}

fn stdin_of(child: &Child) -> PassedWriter {
    let passed = child.pass_stdin().expect("its flags can be changed");
    passed.expect("it is piped, and was not taken")
}

#[test]
fn children_are_connected_in_both_directions_of_starting() {
    let guest = guest();
    // The producer first.
    let producer = start(&guest, &writes("seq 100000"));
    let reader = stdout_of(&producer);
    let consumer = start(&guest, &from(&reader, "wc -l"));
    assert_eq!(output(&consumer).1.data.trim_ascii(), b"100000");
    assert_eq!(ended(&producer), ExitStatus::Exited(0));
    let (out, _) = producer.captured(0, 0);
    assert!(out.data.is_empty() && out.complete && out.dropped == 0);
    // The consumer first.
    let consumer = start(&guest, &reads("wc -l"));
    let writer = stdin_of(&consumer);
    let producer = start(&guest, &to(&writer, "seq 100000"));
    assert_eq!(output(&consumer).1.data.trim_ascii(), b"100000");
    assert_eq!(ended(&producer), ExitStatus::Exited(0));
}

#[test]
fn standard_error_is_passed_alone_or_merged() {
    let guest = guest();
    let producer = Command {
        stderr: Stdio::Piped,
        ..sh("echo out; echo err >&2")
    };
    let producer = start(&guest, &producer);
    let reader = producer.pass_stderr().expect("its flags can be changed");
    let consumer = start(&guest, &from(&reader.expect("it is piped"), "cat"));
    assert_eq!(output(&consumer).1.data, b"err\n");
    assert_eq!(output(&producer).1.data, b"out\n");

    let consumer = start(&guest, &reads("cat"));
    let writer = stdin_of(&consumer);
    let producer = Command {
        stdout: Stdio::Merged,
        stderr: Stdio::Child(writer),
        ..sh("echo 1; echo 2 >&2; echo 3")
    };
    let _producer = start(&guest, &producer);
    assert_eq!(output(&consumer).1.data, b"1\n2\n3\n");
}

#[test]
fn output_merged_into_standard_error_keeps_its_order() {
    let guest = guest();
    let merged = Command {
        stdout: Stdio::Merged,
        ..sh("echo a; echo b >&2; echo c")
    };
    let (_, out, err) = output(&start(&guest, &merged));
    assert_eq!((out.data.len(), out.complete), (0, true));
    assert_eq!(err.data, b"a\nb\nc\n");
}

#[test]
fn an_end_has_one_taker() {
    let guest = guest();
    let child = start(&guest, &writes("exec sleep 600"));
    let reader = stdout_of(&child);
    let again = child.pass_stdout().expect("nothing was there to change");
    assert_eq!(again, None, "it was passed");
    assert!(child.take_stdout().expect("no runtime is used").is_none());
    for never in [
        child.pass_stderr().map(|it| it.is_none()),
        child.pass_stdin().map(|it| it.is_none()),
    ] {
        assert!(
            never.expect("nothing was there to change"),
            "it is not piped"
        );
    }
    let consumer = start(&guest, &from(&reader, "cat"));
    let second = guest.spawn(&from(&reader, "cat"));
    assert!(
        matches!(second, Err(SpawnError::InvalidState)),
        "{second:?}"
    );
    let twice = Command {
        stderr: Stdio::Child(stdin_of(&start(&guest, &reads("cat")))),
        ..sh("true")
    };
    let twice = Command {
        stdout: twice.stderr.clone(),
        ..twice
    };
    let twice = guest.spawn(&twice);
    assert!(matches!(twice, Err(SpawnError::InvalidState)), "{twice:?}");
    drop(child);
    assert_eq!(
        ended(&consumer),
        ExitStatus::Exited(0),
        "the writer is gone"
    );
}

#[tokio::test]
async fn a_stream_that_is_read_cannot_be_passed() {
    let guest = guest();
    let child = start(&guest, &writes("echo x"));
    let reader = child.take_stdout().expect("the runtime takes it");
    assert!(reader.is_some());
    assert_eq!(child.pass_stdout().expect("nothing to change"), None);
}

#[test]
fn a_refused_or_failed_start_leaves_the_end_usable() {
    let registry = registry();
    let roots = "redirect = true\nfs = { write = [\"/dev/shm\"] }";
    let guest = registry.guest(grant("test", roots), "");
    let producer = start(&guest, &writes("echo kept"));
    let reader = stdout_of(&producer);
    let unknown = Command {
        program: "absent".into(),
        ..from(&reader, "cat")
    };
    assert!(matches!(guest.spawn(&unknown), Err(SpawnError::Denied(_))));
    // This one is taken, and given back: the folder of the file is missing.
    let path = "/dev/shm/capspawn-absent/file".to_owned();
    let no_file = Command {
        stdout: Stdio::File {
            path,
            mode: FileMode::Append,
        },
        ..from(&reader, "cat")
    };
    let missing = guest.spawn(&no_file);
    assert!(matches!(missing, Err(SpawnError::NoEntry)), "{missing:?}");
    let consumer = start(&guest, &from(&reader, "cat"));
    assert_eq!(output(&consumer).1.data, b"kept\n");
}

#[test]
fn an_end_belongs_to_the_guest_that_passed_it() {
    let registry = registry();
    let (one, other) = (grant("test", ""), grant("test", ""));
    let (one, other) = (registry.guest(one, "a"), registry.guest(other, "a"));
    let reader = stdout_of(&start(&one, &writes("echo secret")));
    let stolen = other.spawn(&from(&reader, "cat"));
    assert!(
        matches!(stolen, Err(SpawnError::InvalidArgument(_))),
        "{stolen:?}"
    );
    let consumer = start(&one, &from(&reader, "cat"));
    ended(&consumer);
}

#[test]
fn an_end_outlives_its_released_child_and_dropping_it_ends_the_writer() {
    let guest = guest();
    let child = start(&guest, &writes("echo last; exec sleep 600"));
    let reader = stdout_of(&child);
    // The line is in the pipe once another child has read it.
    let consumer = start(&guest, &from(&reader, "head -1; cat"));
    eventually("the line", || stdout(&consumer) == b"last\n");
    child.release_blocking();
    assert_eq!(ended(&consumer), ExitStatus::Exited(0));

    let child = start(&guest, &writes("exec yes"));
    drop(stdout_of(&child));
    assert_eq!(ended(&child), ExitStatus::Signaled(13), "SIGPIPE");
    let child = start(&guest, &reads("cat; echo end"));
    drop(stdin_of(&child));
    assert_eq!(output(&child).1.data, b"end\n");
}

#[test]
fn a_passed_stream_blocks_as_programs_expect() {
    let guest = guest();
    let producer = start(&guest, &writes("sleep 600"));
    let script = "while read -r name value; do test $name = flags: && echo $value; done \
                  < /proc/self/fdinfo/0";
    let reader = stdout_of(&producer);
    let consumer = start(
        &guest,
        &from(
            &reader,
            &format!("exec 3<&0; {}", script.replace("fdinfo/0", "fdinfo/3")),
        ),
    );
    let flags = output(&consumer).1.data;
    let flags = String::from_utf8(flags).expect("octal digits");
    let flags = u32::from_str_radix(flags.trim(), 8).expect("octal digits");
    assert_eq!(flags & 0o4000, 0, "O_NONBLOCK");
}

#[test]
fn a_cycle_runs_and_ends_with_its_handles() {
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let both = Command {
        stdin: Stdin::Piped,
        ..writes("echo 1; while read -r n; do echo $((n + 1)); done")
    };
    let one = start(&guest, &both);
    let other = Command {
        stdin: Stdin::Child(stdout_of(&one)),
        stdout: Stdio::Child(stdin_of(&one)),
        ..sh("while read -r n; do test $n -ge 99 && echo $n >&2 && exit 0; echo $n; done")
    };
    let other = start(&guest, &other);
    assert_eq!(output(&other).2.data, b"99\n");
    // The other one reads the end, or writes into the closed pipe.
    let ends = |child: &Child| {
        let status = ended(child);
        let ways = [ExitStatus::Exited(0), ExitStatus::Signaled(13)];
        assert!(ways.contains(&status), "{status}");
    };
    ends(&one);
    drop((one, other));

    // One that never ends by itself.
    let one = start(&guest, &both);
    let endless = Command {
        stdin: Stdin::Child(stdout_of(&one)),
        stdout: Stdio::Child(stdin_of(&one)),
        ..sh("exec cat")
    };
    let other = start(&guest, &endless);
    one.kill(Duration::ZERO);
    assert_eq!(ended(&one), ExitStatus::Killed(KillReason::Requested));
    ends(&other);
    drop((one, other));
    eventually("free slots", || registry.is_empty());
}

#[test]
fn a_pipeline_leaves_no_descriptor() {
    if !is_alone(test_name!()) {
        return;
    }
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let round = || {
        let producer = start(&guest, &writes("seq 10"));
        let reader = stdout_of(&producer);
        let consumer = start(&guest, &from(&reader, "cat"));
        ended(&consumer);
        producer.signal(Signal::Kill);
        drop((producer, consumer));
        eventually("free slots", || registry.is_empty());
        // The request still names the end, which the consumer has received.
        reader
    };
    let mut readers = vec![round()];
    // A child's last descriptor is closed a moment after its slot is free.
    let before = settled_descriptors();
    for _ in 0..200 {
        readers.push(round());
    }
    // The launcher keeps the files of up to 16 cgroups open, six each.
    let after = settled_descriptors();
    assert!(after <= before + 16 * 6, "{before}, then {after}");
}

/// The limit rises by one descriptor at a time, so that a start fails at each step.
#[test]
fn a_host_short_of_descriptors_is_at_capacity_and_keeps_the_pipe() {
    if !is_alone(test_name!()) {
        return;
    }
    let registry = registry();
    let rules = "redirect = true\nfs = { read = [\"/etc\"] }";
    let guest = registry.guest(grant("test", rules), "");
    ended(&start(&guest, &sh("true")));
    let producer = start(&guest, &writes("echo kept; exec sleep 600"));
    let piped = from(&stdout_of(&producer), "head -1");
    let file = Command {
        stdin: Stdin::File("/etc/passwd".into()),
        ..sh("cat")
    };
    let whole = getrlimit(Resource::Nofile);
    for command in [file, piped] {
        let mut refusals = 0;
        for limit in 3.. {
            let low = Rlimit {
                current: Some(limit),
                ..whole
            };
            setrlimit(Resource::Nofile, low).expect("lower is possible");
            let child = guest.spawn(&command);
            setrlimit(Resource::Nofile, whole).expect("the hard limit stayed");
            match child {
                Err(SpawnError::Shortage(Shortage::Descriptors)) => refusals += 1,
                Err(error) => panic!("{error} with {limit} descriptors"),
                Ok(child) => {
                    // Either it runs, or the registry could not watch it.
                    ended(&child);
                    break;
                }
            }
        }
        assert!(refusals > 3, "{refusals}");
    }
}

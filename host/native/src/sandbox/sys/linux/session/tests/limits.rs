//! The cap on tasks, and the limits of a child.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use super::support::{
    launch, output, piped, plan, profile, run, script, session, spawner_as, wait,
};
use crate::launch::{Exit, Process as _};
use crate::sandbox::sys::linux::session::Session;

/// Starts sleepers until one is refused, and says how many ran.
const FORKS: &str = "import os\nn = 0\ntry:\n  while n < 100:\n    if os.fork() == 0:\n      os.read(0, 1)\n      os._exit(0)\n    n += 1\nexcept OSError as e:\n  print(n, e.errno)\nelse:\n  print(n)\n";

#[test]
fn the_cap_on_tasks_is_exact() {
    let mut capped = profile();
    capped.processes = Some(10);
    let first = session(&capped);
    let full = format!("9 {}\n", libc::EAGAIN);
    assert_eq!(forks(&first), full);
    // What it has left behind ends with its input, and leaves room for the same number.
    while forks(&first) != full {
        std::thread::yield_now();
    }
    capped.processes = None;
    assert_eq!(forks(&session(&capped)), "100\n");
}

/// How many processes a child can have, and why no more.
fn forks(session: &Arc<Session>) -> String {
    let (stdin, writer) = std::io::pipe().expect("a pipe");
    let (stdio, reader) = piped();
    let stdio = crate::launch::ChildStdio {
        stdin: Some(stdin.into()),
        ..stdio
    };
    let python = super::support::python();
    let forks = plan(&python, &["-ISc", FORKS]);
    let Ok(child) = launch(session, &forks, stdio) else {
        return String::new();
    };
    wait(&child).expect("it ends");
    drop(writer);
    let mut text = String::new();
    File::from(reader).read_to_string(&mut text).expect("text");
    text
}

#[test]
fn limits_are_the_childs_and_not_the_helpers() {
    let session = session(&profile());
    let mut limited = script("ulimit -n; ulimit -t; ulimit -f; ulimit -c");
    limited.limits.open_files = Some(17);
    limited.limits.cpu = Some(std::time::Duration::from_secs(7));
    limited.limits.file_size_bytes = Some(512 * 100);
    assert_eq!(run(&session, &limited).0, "17\n7\n100\n0\n");
    limited.limits.open_files = Some(18);
    assert!(run(&session, &limited).0.starts_with("18\n"));
}

#[test]
fn private_file_systems_have_a_size() {
    let session = session(&profile());
    let fill =
        "head -c 9M /dev/zero > $D/a && head -c 9M /dev/zero > $D/b && echo full || echo refused";
    for dir in ["/tmp", "/dev/shm"] {
        let text = fill.replace("$D", dir);
        let (text, _) = run(&session, &{
            let mut plan = script(&text);
            plan.limits.file_size_bytes = None;
            plan
        });
        assert!(text.ends_with("refused\n"), "{text}");
    }
    assert_eq!(
        output(&session, "rm /tmp/a /tmp/b; echo x > /tmp/c; cat /tmp/c"),
        "x\n"
    );
}

#[test]
fn files_without_content_are_bounded_too() {
    let session = session(&profile());
    // 16 MiB: one file for each KiB.
    let script = "i=0; while [ $i -lt 20000 ] && true > /tmp/$i; do i=$((i+1)); done 2>/dev/null; \
                  [ $i -lt 16384 ] && [ $i -gt 16000 ] && echo bounded";
    assert_eq!(output(&session, script), "bounded\n");
}

#[test]
fn a_storm_of_orphans_does_not_keep_the_session_from_a_kill() {
    let session = session(&profile());
    let (stdio, reader) = piped();
    let storm = "storm() { while :; do ( : & ) & done; }; echo ready; storm & storm & storm";
    let child = launch(&session, &super::support::script(storm), stdio).expect("it starts");
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(std::fs::File::from(reader)),
        &mut line,
    )
    .expect("it writes");
    child
        .signal_tree(crate::status::Signal::Kill)
        .expect("it is told");
    assert_eq!(wait(&child), Ok(Exit::Signal(9)));
    assert_eq!(output(&session, "echo free"), "free\n");
}

/// Leaves as many descriptors in sockets as the kernel lets it, which counts them for all processes of a user.
const IN_FLIGHT: &str = "import array, errno, socket, sys\npairs = []\nfds = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0] * 253))]\n\
    try:\n  while len(pairs) < 100:\n    pairs.append(socket.socketpair())\n    try:\n      while True:\n        pairs[-1][0].sendmsg([b'x'], fds, socket.MSG_DONTWAIT)\n    \
    except BlockingIOError:\n      pass\n  print('all', flush=True)\nexcept OSError as e:\n  print(errno.errorcode[e.errno], flush=True)\nsys.stdin.read()\n";

#[test]
fn descriptors_in_flight_keep_no_other_session_from_starting_children() {
    if !rustix::process::geteuid().is_root() {
        // They count as the host's own: it is refused too.
        return;
    }
    // The user of no other test.
    let spawner = spawner_as(65_533);
    let session = || Arc::new(Session::start(&spawner, &profile()).expect("it starts"));
    let (hostile, other) = (session(), session());
    let (stdin, writer) = std::io::pipe().expect("a pipe");
    let mut flood = plan(&super::support::python(), &["-IuSc", IN_FLIGHT]);
    flood.limits.open_files = None;
    let (stdio, reader) = piped();
    let stdio = crate::launch::ChildStdio {
        stdin: Some(stdin.into()),
        ..stdio
    };
    let child = launch(&hostile, &flood, stdio).expect("it starts");
    let mut line = String::new();
    BufReader::new(File::from(reader))
        .read_line(&mut line)
        .expect("text");
    // Where the hard limit is too high for that there is nothing to see.
    assert!(
        ["ETOOMANYREFS\n", "all\n"].contains(&line.as_str()),
        "{line}"
    );
    assert_eq!(output(&other, "echo on"), "on\n");
    assert_eq!(output(&session(), "echo new"), "new\n");
    drop(writer);
    assert_eq!(wait(&child), Ok(Exit::Code(0)));
}

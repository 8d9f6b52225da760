//! The limit on tasks, and the limits of one child.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use super::support::{
    launch, output, piped, plan, profile, run, script, session, spawner_as, wait,
};
use crate::launch::{Exit, Process as _};
use crate::sandbox::sys::linux::session::Session;

/// Forks until a fork fails, and prints how many processes were started and the error.
const FORKS: &str = "import os\nn = 0\ntry:\n  while n < 100:\n    if os.fork() == 0:\n      os.read(0, 1)\n      os._exit(0)\n    n += 1\nexcept OSError as e:\n  print(n, e.errno)\nelse:\n  print(n)\n";

#[test]
fn the_limit_on_tasks_is_exact() {
    let mut capped = profile();
    capped.processes = Some(10);
    let first = session(&capped);
    let full = format!("9 {}\n", libc::EAGAIN);
    assert_eq!(forks(&first), full);
    // The processes that it left end when their input ends, and then as many can be started again.
    while forks(&first) != full {
        std::thread::yield_now();
    }
    capped.processes = None;
    assert_eq!(forks(&session(&capped)), "100\n");
}

/// Returns what `FORKS` prints in a child of the session, or nothing where no child can be started.
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
fn limits_apply_to_one_child_and_not_to_the_server() {
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
fn private_file_systems_are_bounded_in_size() {
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
fn private_file_systems_are_bounded_in_files() {
    let session = session(&profile());
    // 16 MiB allow one file per KiB.
    let script = "i=0; while [ $i -lt 20000 ] && true > /tmp/$i; do i=$((i+1)); done 2>/dev/null; \
                  [ $i -lt 16384 ] && [ $i -gt 16000 ] && echo bounded";
    assert_eq!(output(&session, script), "bounded\n");
}

#[test]
fn a_storm_of_orphans_does_not_prevent_a_kill() {
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
        .expect("it can be signalled");
    assert_eq!(wait(&child), Ok(Exit::Signal(9)));
    assert_eq!(output(&session, "echo free"), "free\n");
}

/// Leaves as many descriptors in flight as the kernel allows, which counts them for all processes of a user.
const IN_FLIGHT: &str = "import array, errno, socket, sys\npairs = []\nfds = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0] * 253))]\n\
    try:\n  while len(pairs) < 100:\n    pairs.append(socket.socketpair())\n    try:\n      while True:\n        pairs[-1][0].sendmsg([b'x'], fds, socket.MSG_DONTWAIT)\n    \
    except BlockingIOError:\n      pass\n  print('all', flush=True)\nexcept OSError as e:\n  print(errno.errorcode[e.errno], flush=True)\nsys.stdin.read()\n";

#[test]
fn descriptors_in_flight_do_not_prevent_other_sessions_from_starting_children() {
    if !rustix::process::geteuid().is_root() {
        // Without root they count as the host's own descriptors, and the host's requests fail too.
        return;
    }
    // A user that no other test has.
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
    // Where the hard limit is too high to be reached, the test shows nothing.
    assert!(
        ["ETOOMANYREFS\n", "all\n"].contains(&line.as_str()),
        "{line}"
    );
    assert_eq!(output(&other, "echo on"), "on\n");
    assert_eq!(output(&session(), "echo new"), "new\n");
    drop(writer);
    assert_eq!(wait(&child), Ok(Exit::Code(0)));
}

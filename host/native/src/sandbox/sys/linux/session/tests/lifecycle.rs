//! Starting, ending and signalling children.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::process::{Signal as RawSignal, kill_process};

use super::support::{
    await_end, launch, null, output, pidfd, piped, plan, processes, profile, python, run, script,
    session, spawner, wait,
};
use crate::launch::{ChildStdio, Exit, Process, Stage};
use crate::sandbox::sys::linux::session::Session;
use crate::sandbox::sys::linux::spawner::init::IMAGE;
use crate::status::Signal;

#[test]
fn a_child_starts_and_its_exit_is_reported() {
    let session = session(&profile());
    assert!(session.is_alive());
    for (program, exit) in [("/bin/true", Exit::Code(0)), ("/bin/false", Exit::Code(1))] {
        let child = launch(&session, &plan(program, &[]), null()).expect("it starts");
        assert_eq!(wait(&child), Ok(exit));
    }
    let killed = run(&session, &script("kill -9 $$"));
    assert_eq!(killed.1, Exit::Signal(9));
}

#[test]
fn an_exit_can_be_read_again_until_the_child_is_reaped() {
    let session = session(&profile());
    let child = launch(&session, &plan("/bin/true", &[]), null()).expect("it starts");
    for _ in 0..2 {
        await_end(child.exit_fd());
        assert_eq!(child.try_exit().expect("a state"), Some(Exit::Code(0)));
    }
}

#[test]
fn requests_at_the_same_time_each_get_the_reply_about_their_own_child() {
    let session = session(&profile());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let session = &session;
            scope.spawn(move || {
                for round in 0..25 {
                    let code = 1 + thread * 25 + round;
                    let own = script(&format!("exit {code}"));
                    let child = launch(session, &own, null()).expect("it starts");
                    assert_eq!(wait(&child), Ok(Exit::Code(code)));
                    let mut missing = plan("/bin/true", &[]);
                    missing.cwd.path = "/missing".into();
                    let refused = launch(session, &missing, null());
                    assert_eq!(
                        refused.map(|_| ()).map_err(|error| error.stage),
                        Err(Stage::WorkingDirectory)
                    );
                }
            });
        }
    });
}

#[test]
fn a_failed_request_names_its_stage_and_the_session_stays_alive() {
    let session = session(&profile());
    let mut nowhere = plan("/bin/true", &[]);
    nowhere.cwd.path = "/nowhere".into();
    let error = launch(&session, &nowhere, null()).expect_err("there is no such directory");
    assert_eq!(error.stage, Stage::WorkingDirectory);
    assert_eq!(error.source.raw_os_error(), Some(libc::ENOENT));
    let mut file = plan("/bin/true", &[]);
    file.cwd.path = "/bin/true".into();
    let error = launch(&session, &file, null()).expect_err("it is not a directory");
    assert_eq!(error.source.raw_os_error(), Some(libc::ENOTDIR));
    let error = launch(&session, &plan("/etc/passwd", &[]), null());
    let error = error.expect_err("it is not a program");
    assert_eq!(
        (error.stage, error.source.raw_os_error()),
        (Stage::Exec, Some(libc::EACCES))
    );
    assert_eq!(output(&session, "echo on"), "on\n");
}

#[test]
fn killing_one_of_two_children_leaves_the_other() {
    let session = session(&profile());
    let start = |text: &str| {
        let (stdio, reader) = piped();
        let child = launch(&session, &script(text), stdio).expect("it starts");
        let mut lines = BufReader::new(File::from(reader));
        let mut line = String::new();
        lines.read_line(&mut line).expect("text");
        (child, lines)
    };
    // A descendant in a session of its own, and one whose parent has ended.
    let (killed, mut streams) =
        start("setsid sleep 1000 & (setsid sh -c 'sleep 1000 & sleep 1000' &) ; echo up; wait");
    let (left, _) = start("echo up; read line");
    killed
        .signal_tree(Signal::Kill)
        .expect("it can be signalled");
    assert_eq!(wait(&killed), Ok(Exit::Signal(9)));
    // A survivor of the tree would hold the pipe open.
    let mut rest = String::new();
    streams.read_to_string(&mut rest).expect("text");
    assert!(
        left.try_exit()
            .expect("a state")
            .is_none_or(|exit| exit == Exit::Code(1))
    );
    assert!(session.is_alive());
}

#[test]
fn a_signal_reaches_the_leader_alone_or_the_tree() {
    let session = session(&profile());
    let start = || {
        let (stdio, reader) = piped();
        // "up" comes when both have their traps.
        let text = "trap 'echo outer' USR1; \
                    sh -c 'trap \"echo inner; exit 3\" USR1; echo up; while :; do read l || sleep 0.01; done' & \
                    p=$!; wait $p; wait $p; wait $p; exit 4";
        let child = launch(&session, &script(text), stdio).expect("it starts");
        let mut lines = BufReader::new(File::from(reader));
        let mut line = String::new();
        lines.read_line(&mut line).expect("text");
        (child, lines)
    };
    let (leader, mut lines) = start();
    leader.signal(Signal::User1).expect("it can be signalled");
    let mut line = String::new();
    lines.read_line(&mut line).expect("text");
    assert_eq!(line, "outer\n");
    leader
        .signal_tree(Signal::User1)
        .expect("it can be signalled");
    assert_eq!(wait(&leader), Ok(Exit::Code(4)));
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("text");
    assert!(rest.contains("inner\n"), "{rest}");
}

#[test]
fn dropping_a_child_kills_its_tree() {
    let session = session(&profile());
    let (stdio, reader) = piped();
    let child =
        launch(&session, &script("setsid sleep 1000 & sleep 1000"), stdio).expect("it starts");
    drop(child);
    let mut rest = String::new();
    File::from(reader)
        .read_to_string(&mut rest)
        .expect("every writer is gone");
    assert!(session.is_alive());
}

#[test]
fn the_descendants_of_an_ended_leader_are_killed_with_its_tree() {
    let session = session(&profile());
    let (stdio, reader) = piped();
    let left = script("(sleep 20; echo survived) & exit 7");
    let child = launch(&session, &left, stdio).expect("it starts");
    await_end(child.exit_fd());
    assert_eq!(child.try_exit().expect("a state"), Some(Exit::Code(7)));
    // As long as the leader is not reaped, no other group can have its number.
    child.signal_tree(Signal::Kill).expect("some are left");
    child.reap().expect("it has ended");
    let mut rest = String::new();
    File::from(reader)
        .read_to_string(&mut rest)
        .expect("every writer is gone");
    assert_eq!(rest, "");
}

#[test]
fn the_descendants_of_an_ended_leader_run_until_its_tree_is_killed() {
    let session = session(&profile());
    let (stdio, reader) = piped();
    let (stdin, mut writer) = io::pipe().expect("a pipe");
    let stdio = ChildStdio {
        stdin: Some(OwnedFd::from(stdin)),
        ..stdio
    };
    let left = script("exec 3<&0; (read line <&3; echo $line; sleep 20; echo survived) & exit 7");
    let child = launch(&session, &left, stdio).expect("it starts");
    await_end(child.exit_fd());
    let exit = child.try_exit().expect("a state");
    assert_eq!(exit, Some(Exit::Code(7)));
    io::Write::write_all(&mut writer, b"alive\n").expect("it is read");
    let mut lines = BufReader::new(File::from(reader));
    let mut text = String::new();
    lines.read_line(&mut text).expect("text");
    child.signal_tree(Signal::Kill).expect("one is left");
    child.reap().expect("it has ended");
    lines.read_to_string(&mut text).expect("text");
    assert_eq!(text, "alive\n");
}

#[test]
fn a_session_starts_more_than_a_thousand_children() {
    let session = session(&profile());
    for _ in 0..1100 {
        let child = launch(&session, &plan("/bin/true", &[]), null()).expect("it starts");
        assert_eq!(wait(&child), Ok(Exit::Code(0)));
    }
}

#[test]
fn a_kill_leaves_nothing_of_a_fork_storm() {
    let session = session(&profile());
    let storm = "import os\nos.write(1, b'up\\n')\nwhile True:\n  try:\n    os.setsid() if os.fork() == 0 else None\n  except OSError:\n    pass\n";
    for _ in 0..3 {
        let (stdio, reader) = piped();
        let storm = plan(&python(), &["-ISc", storm]);
        let child = launch(&session, &storm, stdio).expect("it starts");
        let mut lines = BufReader::new(File::from(reader));
        let mut line = String::new();
        lines.read_line(&mut line).expect("text");
        child
            .signal_tree(Signal::Kill)
            .expect("it can be signalled");
        assert_eq!(wait(&child), Ok(Exit::Signal(9)));
        // The pipe ends when the last process that holds it is gone.
        lines.read_to_string(&mut line).expect("text");
    }
    assert_eq!(output(&session, "echo on"), "on\n");
}

#[test]
fn orphans_are_reaped_while_an_ended_leader_is_not() {
    let session = session(&profile());
    let held = launch(&session, &plan("/bin/true", &[]), null()).expect("it starts");
    let (stdio, reader) = piped();
    let busy = launch(
        &session,
        &script("(sleep 0 &) ; (sleep 0 &) ; read line"),
        stdio,
    )
    .expect("it starts");
    drop(reader);
    assert_eq!(wait(&busy), Ok(Exit::Code(1)));
    // Pid 1, the unreaped leader and the shell that counts, and the server of each of the three children.
    let text = "while :; do n=0; for p in /proc/[0-9]*; do n=$((n+1)); done; [ $n = 6 ] && break; done; echo $n";
    assert_eq!(output(&session, text), "6\n");
    assert_eq!(wait(&held), Ok(Exit::Code(0)));
}

/// Asserts that a request fails as one to a session that has ended.
fn assert_ended(session: &Arc<Session>) {
    let error = launch(session, &plan("/bin/true", &[]), null()).expect_err("it has ended");
    assert_eq!(
        (error.stage, error.source.kind()),
        (Stage::Request, io::ErrorKind::BrokenPipe)
    );
}

#[test]
fn a_killed_pid_1_ends_the_children_and_they_report_the_session_as_ended() {
    let session = session(&profile());
    let (stdio, reader) = piped();
    let child =
        launch(&session, &script("setsid sleep 1000 & sleep 1000"), stdio).expect("it starts");
    let [first, _] = processes(&session);
    kill_process(first, RawSignal::KILL).expect("it runs");
    assert_eq!(wait(&child), Err(io::ErrorKind::BrokenPipe));
    let mut rest = String::new();
    File::from(reader)
        .read_to_string(&mut rest)
        .expect("every writer is gone");
    assert!(!session.is_alive());
    child.signal_tree(Signal::Kill).expect("nothing is left");
    child.signal(Signal::Kill).expect("nothing is left");
    assert_ended(&session);
    child.reap().expect("it has ended");
    assert_ended(&session);
    assert!(Session::start(&spawner(), &profile()).is_ok_and(|another| another.is_alive()));
}

#[test]
fn a_killed_server_starts_no_more_children_and_the_present_ones_live() {
    let session = session(&profile());
    let (stdin, mut writer) = io::pipe().expect("a pipe");
    let stdio = ChildStdio {
        stdin: Some(OwnedFd::from(stdin)),
        ..null()
    };
    let child = launch(&session, &script("read line; exit 3"), stdio).expect("it starts");
    let server = session.first_server();
    kill_process(server, RawSignal::KILL).expect("it runs");
    await_end(pidfd(server).as_fd());
    assert!(!session.is_alive());
    assert_eq!(child.try_exit().expect("a state"), None);
    io::Write::write_all(&mut writer, b"\n").expect("it is read");
    assert_eq!(wait(&child), Ok(Exit::Code(3)));
    assert_ended(&session);
}

#[test]
fn a_request_whose_server_is_killed_fails_as_one_to_an_ended_session() {
    let session = session(&profile());
    let (stdio, reader) = piped();
    let child = launch(&session, &script("sleep 1000"), stdio).expect("it starts");
    let server = session.server();
    kill_process(server, RawSignal::STOP).expect("it runs");
    std::thread::scope(|scope| {
        let (sender, receiver) = std::sync::mpsc::channel();
        let session = &session;
        let request = scope.spawn(move || {
            sender.send(rustix::thread::gettid()).expect("a receiver");
            assert_ended(session);
        });
        let thread = receiver.recv().expect("a thread").as_raw_nonzero();
        let call = format!("/proc/self/task/{thread}/syscall");
        let recvmsg = format!("{} ", libc::SYS_recvmsg);
        let is_waiting =
            || std::fs::read_to_string(&call).is_ok_and(|call| call.starts_with(&recvmsg));
        while !is_waiting() {
            std::thread::yield_now();
        }
        // The thread waits for the reply, so the request is in the socket.
        kill_process(server, RawSignal::KILL).expect("it is stopped");
        request.join().expect("it does not panic");
    });
    // A request without a reply ends the session: what the server was doing is unknown.
    assert_eq!(wait(&child), Err(io::ErrorKind::BrokenPipe));
    let mut rest = String::new();
    File::from(reader)
        .read_to_string(&mut rest)
        .expect("every writer is gone");
}

#[test]
fn a_child_that_kills_itself_is_not_reported_as_the_end_of_the_session() {
    let session = session(&profile());
    let child = launch(&session, &script("kill -9 $$"), null()).expect("it starts");
    assert_eq!(wait(&child), Ok(Exit::Signal(9)));
}

#[test]
fn the_pid_is_that_of_the_hosts_namespace() {
    let session = session(&profile());
    let (stdio, reader) = piped();
    let child = launch(
        &session,
        &script("echo $$; read line; exec sleep 1000"),
        stdio,
    )
    .expect("it starts");
    let mut line = String::new();
    BufReader::new(File::from(reader))
        .read_line(&mut line)
        .expect("text");
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.pid())).expect("it runs");
    let numbers = status
        .lines()
        .find(|line| line.starts_with("NSpid:"))
        .expect("a pid namespace");
    assert_eq!(numbers.split_whitespace().last(), Some(line.trim()));
}

#[test]
fn the_init_program_is_small() {
    assert!(IMAGE.len() < 64 * 1024, "{} bytes", IMAGE.len());
}

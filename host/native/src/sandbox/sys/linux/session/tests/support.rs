//! Profiles, plans and runs for the tests of sessions.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use capspawn_raw::step::Fault;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, getpgid, pidfd_open};

use crate::confinement::{Confinement, FsRoot, FsRules};
use crate::launch::{
    ChildStdio, Exit, Identity, LaunchError, Plan, Process, Program, WorkingDirectory,
};
use crate::sandbox::sys::linux::session::child::SessionChild;
use crate::sandbox::sys::linux::session::{Profile, Session};
use crate::sandbox::sys::linux::spawner::tree::Tree;
use crate::sandbox::sys::linux::spawner::{Spawner, default_user};

pub(crate) fn spawner() -> Spawner {
    failing(Fault::NONE)
}

/// Returns a spawner with a fault at one step.
pub(crate) fn failing(fault: Fault) -> Spawner {
    Spawner::new(default_user(), false, fault)
}

/// Returns a spawner whose children run as the user and the group `id`.
pub(crate) fn spawner_as(id: u32) -> Spawner {
    let user = Identity { uid: id, gid: id };
    Spawner::new(Some(user), false, Fault::NONE)
}

pub(crate) fn rules() -> FsRules {
    FsRules {
        read: ["/usr", "/bin", "/lib", "/lib64", "/etc/passwd"]
            .map(|path| FsRoot::resolve(path).expect("it exists"))
            .into(),
        ..FsRules::default()
    }
}

pub(crate) fn profile() -> Profile {
    profile_of(Confinement {
        fs: rules(),
        ..Confinement::default()
    })
}

pub(crate) fn profile_of(confinement: Confinement) -> Profile {
    Profile {
        confinement: Arc::new(confinement),
        tmpfs_bytes: 16 * 1024 * 1024,
        processes: Some(256),
    }
}

pub(crate) fn session(profile: &Profile) -> Arc<Session> {
    Arc::new(Session::start(&spawner(), profile).expect("it starts"))
}

pub(crate) fn plan(program: &str, arguments: &[&str]) -> Plan {
    let file = Program::open(program).expect("it exists");
    let mut cwd = WorkingDirectory::open("/").expect("it exists");
    cwd.path = "/tmp".into();
    let name = Path::new(program)
        .file_name()
        .and_then(|name| name.to_str());
    let plan = Plan::new(name.unwrap_or("program"), file, cwd);
    let arguments = arguments.iter().map(|&argument| argument.into());
    Plan {
        argv: plan.argv.iter().cloned().chain(arguments).collect(),
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        ..plan
    }
}

/// Returns the plan of a shell that runs `text`.
pub(crate) fn script(text: &str) -> Plan {
    plan("/bin/sh", &["-c", text])
}

pub(crate) fn null() -> ChildStdio {
    ChildStdio::default()
}

/// Returns streams, and a descriptor from which standard output and standard error can be read.
pub(crate) fn piped() -> (ChildStdio, OwnedFd) {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    let stdio = ChildStdio {
        stdout: Some(writer.try_clone().expect("a copy")),
        stderr: Some(writer),
        ..null()
    };
    (stdio, reader)
}

/// Starts `plan`, and drops the host's copies of the streams.
pub(crate) fn launch(
    session: &Arc<Session>,
    plan: &Plan,
    stdio: ChildStdio,
) -> Result<SessionChild, LaunchError> {
    session.launch(plan, &stdio, Tree::default())
}

/// Waits until the leader has ended, and reaps it.
pub(crate) fn wait(process: &dyn Process) -> Result<Exit, io::ErrorKind> {
    loop {
        let fd = process.exit_fd();
        poll(&mut [PollFd::new(&fd.as_fd(), PollFlags::IN)], None).expect("it can be polled");
        match process.try_exit() {
            Ok(None) => {}
            Ok(Some(exit)) => {
                process.reap().expect("it has ended");
                return Ok(exit);
            }
            Err(error) => return Err(error.kind()),
        }
    }
}

/// Runs `plan` to its end, and returns its output and how it ended.
pub(crate) fn run(session: &Arc<Session>, plan: &Plan) -> (String, Exit) {
    run_with(|stdio| launch(session, plan, stdio))
}

/// Runs the child that `start` starts to its end, and returns its output and how it ended.
pub(crate) fn run_with(
    start: impl FnOnce(ChildStdio) -> Result<SessionChild, LaunchError>,
) -> (String, Exit) {
    let (stdio, reader) = piped();
    let child = start(stdio).expect("it starts");
    let mut output = String::new();
    File::from(reader)
        .read_to_string(&mut output)
        .expect("text");
    let exit = wait(&child).expect("it ends by itself");
    (output, exit)
}

/// Runs a script, and returns its output.
pub(crate) fn output(session: &Arc<Session>, text: &str) -> String {
    run(session, &script(text)).0
}

/// Returns the path of the system's Python.
pub(crate) fn python() -> String {
    let path = std::fs::canonicalize("/usr/bin/python3").expect("tests need Python");
    path.into_os_string().into_string().expect("text")
}

/// Returns a directory that the children's user can reach and write.
pub(crate) fn folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir_in("/var/tmp").expect("a directory");
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), open).expect("its mode");
    folder
}

/// Returns the children of this process, zombies included. `/proc` lists them also where it hides
/// the processes of other users (`hidepid`), as it does those that are not dumpable.
pub(crate) fn children() -> Vec<Pid> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("a /proc");
    // A thread that has ended meanwhile has no children.
    let lists =
        tasks.map(|task| std::fs::read_to_string(task.expect("a task").path().join("children")));
    let lists: Vec<_> = lists.flatten().collect();
    assert!(!lists.is_empty(), "CONFIG_PROC_CHILDREN");
    let pids = lists.iter().flat_map(|list| list.split_whitespace());
    pids.filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
        .collect()
}

/// Returns pid 1 of the session, and its first server.
pub(crate) fn processes(session: &Session) -> [Pid; 2] {
    let server = session.first_server();
    let is_other_server = |pid: Pid| {
        let status = status(pid).unwrap_or_default();
        let numbers = status.lines().find(|line| line.starts_with("NSpid:"));
        numbers.is_some_and(|numbers| !numbers.ends_with("\t1"))
    };
    let is_pid_1 =
        |pid: &Pid| *pid != server && getpgid(Some(*pid)) == Ok(server) && !is_other_server(*pid);
    let first = children().into_iter().find(is_pid_1);
    [first.expect("it runs"), server]
}

/// Returns the status of a process, or none where `/proc` hides the process (`hidepid`).
pub(crate) fn status(pid: Pid) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()));
    if status.is_err() {
        getpgid(Some(pid)).expect("it is hidden, and not gone");
        println!("/proc hides process {pid:?}");
    }
    status.ok()
}

/// Waits until the process has ended, without reaping it.
pub(crate) fn await_end(process: BorrowedFd<'_>) {
    let mut fds = [PollFd::new(&process, PollFlags::IN)];
    poll(&mut fds, None).expect("it can be polled");
}

/// Opens a process that is not reaped.
pub(crate) fn pidfd(pid: Pid) -> OwnedFd {
    pidfd_open(pid, PidfdFlags::empty()).expect("it is not reaped")
}

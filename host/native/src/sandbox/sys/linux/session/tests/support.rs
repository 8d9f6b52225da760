//! What the tests of sessions share.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use capspawn_raw::step::Fault;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

use crate::confinement::{Confinement, FsRoot, FsRules};
use crate::launch::{
    ChildStdio, Exit, Identity, LaunchError, Plan, Process, Program, WorkingDirectory,
};
use crate::sandbox::sys::linux::session::child::SessionChild;
use crate::sandbox::sys::linux::session::{Profile, Session};
use crate::sandbox::sys::linux::spawner::{NO_FAULT, Spawner, default_user};

pub(crate) fn spawner() -> Spawner {
    failing(NO_FAULT)
}

/// A spawner with a fault at one step.
pub(crate) fn failing(fault: Fault) -> Spawner {
    Spawner::new(default_user(), false, fault)
}

/// A spawner whose children run as the user and the group `id`.
pub(crate) fn spawner_as(id: u32) -> Spawner {
    let user = Identity { uid: id, gid: id };
    Spawner::new(Some(user), false, NO_FAULT)
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

/// A shell with this script.
pub(crate) fn script(text: &str) -> Plan {
    plan("/bin/sh", &["-c", text])
}

pub(crate) fn null() -> ChildStdio {
    ChildStdio::default()
}

/// Streams whose output, both together, can be read from the descriptor.
pub(crate) fn piped() -> (ChildStdio, OwnedFd) {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    let stdio = ChildStdio {
        stdout: Some(writer.try_clone().expect("a copy")),
        stderr: Some(writer),
        ..null()
    };
    (stdio, reader)
}

/// Starts `plan`; the host keeps nothing of the streams.
pub(crate) fn launch(
    session: &Arc<Session>,
    plan: &Plan,
    stdio: ChildStdio,
) -> Result<SessionChild, LaunchError> {
    session.launch(plan, &stdio)
}

/// Waits for the leader's end, and releases it.
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

/// Runs `plan` to its end: what it wrote, and how it ended.
pub(crate) fn run(session: &Arc<Session>, plan: &Plan) -> (String, Exit) {
    let (stdio, reader) = piped();
    let child = launch(session, plan, stdio).expect("it starts");
    let mut output = String::new();
    File::from(reader)
        .read_to_string(&mut output)
        .expect("text");
    let exit = wait(&child).expect("it ends by itself");
    (output, exit)
}

/// What a script writes.
pub(crate) fn output(session: &Arc<Session>, text: &str) -> String {
    run(session, &script(text)).0
}

/// The system's Python.
pub(crate) fn python() -> String {
    let path = std::fs::canonicalize("/usr/bin/python3").expect("tests need Python");
    path.into_os_string().into_string().expect("text")
}

/// A directory that whoever children run as can reach and write.
pub(crate) fn folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir_in("/var/tmp").expect("a directory");
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), open).expect("its mode");
    folder
}

/// Pid 1 of the session and its server.
pub(crate) fn processes(session: &Session) -> [Pid; 2] {
    let server = session.server();
    let group = server.as_raw_nonzero().to_string();
    let all = std::fs::read_dir("/proc").expect("it is there").flatten();
    let mut numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let first = numbers.find(|number| {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        // After the name in parentheses: the state, the parent, the group.
        let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.split(' '));
        let of_group = fields.is_some_and(|mut fields| fields.nth(2) == Some(&group));
        of_group && *number != server.as_raw_nonzero().get()
    });
    let first = first.and_then(Pid::from_raw).expect("it runs");
    [first, server]
}

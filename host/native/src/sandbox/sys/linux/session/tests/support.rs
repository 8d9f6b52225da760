//! What the tests of sessions share.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

use super::super::{Profile, Session, SessionChild};
use crate::error::LaunchError;
use crate::launch::{ChildStdio, Exit, Plan, Process, Program, WorkingDirectory};
use crate::limits::{CaptureCaps, Limits};
use crate::sandbox::{Confinement, FsRoot, FsRules, NativeLauncher};

pub(super) fn launcher() -> NativeLauncher {
    NativeLauncher::new()
}

pub(super) fn rules() -> FsRules {
    FsRules {
        read: ["/usr", "/bin", "/lib", "/lib64", "/etc/passwd"]
            .map(|path| FsRoot::resolve(path).expect("it exists"))
            .into(),
        ..FsRules::default()
    }
}

pub(super) fn profile() -> Profile {
    profile_of(Confinement {
        fs: rules(),
        ..Confinement::default()
    })
}

pub(super) fn profile_of(confinement: Confinement) -> Profile {
    Profile {
        confinement: Arc::new(confinement),
        tmpfs_bytes: 16 * 1024 * 1024,
        processes: Some(256),
    }
}

pub(super) fn session(profile: &Profile) -> Arc<Session> {
    Arc::new(Session::start(&launcher(), profile).expect("it starts"))
}

pub(super) fn plan(program: &str, arguments: &[&str]) -> Plan {
    let file = File::options();
    let mut file = file;
    let file = std::os::unix::fs::OpenOptionsExt::custom_flags(file.read(true), libc::O_PATH)
        .open(program)
        .expect("it exists");
    let dir = File::open("/").expect("it exists");
    let name = Path::new(program)
        .file_name()
        .and_then(|name| name.to_str());
    let mut argv = vec![name.unwrap_or("program").to_owned()];
    argv.extend(arguments.iter().map(|&argument| argument.into()));
    Plan {
        name: "test".into(),
        program: Arc::new(Program {
            path: program.into(),
            file,
        }),
        argv,
        env: vec![("PATH".into(), "/usr/bin:/bin".into())],
        cwd: WorkingDirectory {
            path: "/tmp".into(),
            dir: Arc::new(dir.into()),
            named: true,
        },
        limits: Limits::default(),
        capture: CaptureCaps::default(),
        confinement: Arc::default(),
        script: None,
        disclose_pid: false,
    }
}

/// A shell with this script.
pub(super) fn script(text: &str) -> Plan {
    plan("/bin/sh", &["-c", text])
}

pub(super) fn null() -> ChildStdio {
    ChildStdio::default()
}

/// Streams whose output, both together, can be read from the descriptor.
pub(super) fn piped() -> (ChildStdio, OwnedFd) {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    let stdio = ChildStdio {
        stdout: Some(writer.try_clone().expect("a copy")),
        stderr: Some(writer),
        ..null()
    };
    (stdio, reader)
}

/// Starts `plan`; the host keeps nothing of the streams.
pub(super) fn launch(
    session: &Arc<Session>,
    plan: &Plan,
    stdio: ChildStdio,
) -> Result<SessionChild, LaunchError> {
    session.launch(plan, &stdio)
}

/// Waits for the leader's end, and releases it.
pub(super) fn wait(process: &dyn Process) -> Result<Exit, io::ErrorKind> {
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
pub(super) fn run(session: &Arc<Session>, plan: &Plan) -> (String, Exit) {
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
pub(super) fn output(session: &Arc<Session>, text: &str) -> String {
    run(session, &script(text)).0
}

/// The system's Python.
pub(super) fn python() -> String {
    let path = std::fs::canonicalize("/usr/bin/python3").expect("tests need Python");
    path.into_os_string().into_string().expect("text")
}

/// A directory that whoever children run as can reach and write.
pub(super) fn folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir_in("/var/tmp").expect("a directory");
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), open).expect("its mode");
    folder
}

/// Pid 1 of the session and its server.
pub(super) fn processes(session: &Session) -> [Pid; 2] {
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

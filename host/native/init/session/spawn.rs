//! Starts a child on request.

use core::ffi::CStr;

use super::descriptor::{Descriptor, Mapped};
use super::domain;
use super::mount;
use super::passed_fds;
use super::server::{STACK, Server};
use super::socket::{self, MAX_DESCRIPTORS};
use capspawn_raw::child::{Announce, ChildArgs, FailureSlot, PassArguments};
use capspawn_raw::clone::{CLONE_INTO_CGROUP, CloneArgs, trampoline};
use capspawn_raw::confine::Confine;
use capspawn_raw::filter::{FilterProgram, INSTRUCTION_BYTES};
use capspawn_raw::step::Step;
use capspawn_raw::syscall::{call, number};
use capspawn_raw::wire::{
    CgroupEntry, MAX_CGROUP_FILES, MAX_SHARED, Report, SpawnFiles, SpawnRequest,
};

const EINVAL: i32 = 22;
/// The most bytes of a filter; the host's filters have about 250 instructions.
const MAX_FILTER: usize = 1024 * INSTRUCTION_BYTES;

/// Why there is no child.
struct Refusal {
    /// `None` if the child could not be cloned.
    step: Option<Step>,
    errno: i32,
    /// The process that failed, which the host reaps; 0 if there was none.
    pid: u32,
}

impl Refusal {
    /// A failure before the clone.
    fn at(step: Step) -> impl Fn(i32) -> Self {
        move |errno| Self {
            step: Some(step),
            errno,
            pid: 0,
        }
    }

    fn malformed() -> Self {
        Self::at(Step::Request)(EINVAL)
    }
}

/// A child: its pid as the host sees it, and its pidfd.
struct Cloned(u32, Descriptor);

/// Starts the child and replies.
pub(super) fn spawn(
    server: &mut Server<'_>,
    request: &SpawnRequest<'_>,
    descriptors: [Option<Descriptor>; MAX_DESCRIPTORS],
) {
    let passed = descriptors.into_iter().flatten();
    let Some(files) = SpawnFiles::from_passed(request, passed) else {
        domain::end(server, 1)
    };
    let started = start(server, request, &files);
    // Closed before the reply: from then on the child alone holds the other ends of its streams.
    drop(files);
    let (report, pidfd) = match started {
        Ok(Cloned(pid, pidfd)) => (Report::Started { pid }, Some(pidfd)),
        Err(Refusal { step, errno, pid }) => (Report::Refused { step, errno, pid }, None),
    };
    // Where the kernel passes no more descriptors, the host opens its own.
    if socket::send(server.control, &report, pidfd.as_ref()).is_err() && pidfd.is_some() {
        let _ = socket::send(server.control, &report, None);
    }
}

fn start(
    server: &mut Server<'_>,
    request: &SpawnRequest<'_>,
    files: &SpawnFiles<Descriptor>,
) -> Result<Cloned, Refusal> {
    if !passed_fds::are_allowed(files, request.alone.is_none()) {
        return Err(Refusal::malformed());
    }
    let stack_top = server.stack_top;
    let mapped = files
        .strings
        .as_ref()
        .map(|file| Mapped::new(file, MAX_SHARED));
    let mapped = mapped.transpose().map_err(Refusal::at(Step::Request))?;
    let strings = match (request.strings, &mapped) {
        (Some(strings), None) => strings,
        (None, Some(mapped)) => mapped.bytes(),
        _ => return Err(Refusal::malformed()),
    };
    let strings = request.split(strings, server.pointers);
    let strings = strings.ok_or_else(Refusal::malformed)?;
    let mut named = None;
    let alone = request.alone;
    let filter = files.filter.as_ref();
    let filter = filter.map(|file| Mapped::new(file, MAX_FILTER)).transpose();
    let filter = filter.map_err(Refusal::at(Step::Seccomp))?;
    let (path, opened) = if strings.cwd.is_empty() {
        (c"/tmp", &mut server.tmp)
    } else {
        (strings.cwd, &mut named)
    };
    let cwd = match (&files.cwd, opened) {
        (Some(passed), _) => passed,
        (None, Some(opened)) => opened,
        (None, opened) => {
            let directory = mount::inside(path, true, server.filter_pass);
            opened.insert(directory.map_err(Refusal::at(Step::WorkingDirectory))?)
        }
    };
    let visible = match alone {
        None => same_file(strings.program, &files.program, server.filter_pass),
        Some(_) => None,
    };
    let program = visible.as_ref().unwrap_or(&files.program);
    let null = null_device(&files.streams).map_err(Refusal::at(Step::Stdio))?;
    let mut cgroups = [-1; MAX_CGROUP_FILES as usize];
    let mut count = 0;
    for (number, file) in cgroups.iter_mut().zip(files.cgroup.iter().flatten()) {
        *number = file.number();
        count += 1;
    }
    let cgroups = cgroups.get(..count).unwrap_or(&[]);
    let into = match (request.cgroup, cgroups) {
        (CgroupEntry::Clone, [directory]) => Some(*directory),
        _ => None,
    };
    let args = ChildArgs {
        // The host's child has reset the signals before it executed this program, which sets no action.
        has_signal_actions: false,
        // The server has them.
        has_own_attributes: false,
        stdio: files.streams.each_ref().map(|stream| {
            let stream = stream.as_ref().or(null.as_ref());
            stream.map(Descriptor::number)
        }),
        cwd: cwd.number(),
        affinity: request.affinity,
        limits: &request.limits,
        keep: &[],
        filter_pass: server.filter_pass,
        announce: Some(Announce {
            socket: server.announcements.number(),
            session: Some(server.number as usize),
        }),
        cgroups: match request.cgroup {
            CgroupEntry::Write(_) => cgroups,
            CgroupEntry::None | CgroupEntry::Clone => &[],
        },
        user: alone.and_then(|alone| alone.user),
        confine: Some(Confine {
            lock_securebits: alone.is_some_and(|alone| alone.lock_securebits),
            capabilities: 0,
            ruleset: match alone {
                None => server.child_ruleset.as_ref(),
                Some(_) => files.ruleset.as_ref(),
            }
            .map(Descriptor::number),
            // A child of a session has the session's filter already; one that is observed gets another in front of it.
            filter: filter.as_ref().map_or(FilterProgram::NONE, |filter| {
                FilterProgram::from_bytes(filter.bytes())
            }),
            observer: files.observer.as_ref().map(Descriptor::number),
        }),
        program: program.number(),
        argv: strings.argv,
        envp: strings.envp,
        fault: request.fault,
        failure: FailureSlot::new(),
    };
    let cloned = vfork(stack_top, into, &args).map_err(|errno| Refusal {
        step: None,
        errno,
        pid: 0,
    })?;
    match args.failure.load() {
        None => Ok(cloned),
        Some((step, errno)) => Err(Refusal {
            step: Some(step),
            errno,
            pid: cloned.0,
        }),
    }
}

/// Opens the null device for a child that gets fewer than three streams. The server's own would not do: a child's lock
/// (`flock(2)`) on it would last as long as the session.
fn null_device(streams: &[Option<Descriptor>; 3]) -> Result<Option<Descriptor>, i32> {
    const AT_FDCWD: usize = -100isize as usize;
    const O_RDWR_CLOEXEC: usize = 0o2_000_002;
    if streams.iter().all(Option::is_some) {
        return Ok(None);
    }
    let path = c"/dev/null".as_ptr().expose_provenance();
    // SAFETY: the kernel reads a C string.
    let null = unsafe { call(number::OPENAT, [AT_FDCWD, path, O_RDWR_CLOEXEC, 0, 0, 0]) };
    Descriptor::new(null).map(Some)
}

/// Opens `path` in the private root if that is the file `program`: the child's
/// `/proc/self/exe` then names a path that the child can see.
fn same_file(path: &CStr, program: &Descriptor, pass: PassArguments) -> Option<Descriptor> {
    if path.is_empty() {
        return None;
    }
    let inside = mount::inside(path, false, pass).ok()?;
    let (own, passed) = (inside.stat().ok()?, program.stat().ok()?);
    (own.device == passed.device && own.inode == passed.inode).then_some(inside)
}

/// Clones a child of the host on the stack kept for it, into the cgroup `into` where there is
/// one, and returns once it executes or has failed.
fn vfork(top: usize, into: Option<i32>, child_args: &ChildArgs<'_>) -> Result<Cloned, i32> {
    const CLONE_VM: usize = 0x100;
    const CLONE_PIDFD: usize = 0x1000;
    const CLONE_VFORK: usize = 0x4000;
    const CLONE_PARENT: usize = 0x8000;
    const SIGCHLD: usize = 17;
    let flags = CLONE_VM | CLONE_PIDFD | CLONE_VFORK | CLONE_PARENT;
    let mut pidfd = -1i32;
    let pidfd_room = (&raw mut pidfd).expose_provenance();
    let result = match into {
        None => {
            let args = [flags | SIGCHLD, top, pidfd_room, 0];
            // SAFETY: these are the arguments of clone(2) on x86_64. The stack is the server's one for children, of
            // which one at a time has not executed yet, and the server blocks all signals.
            unsafe { trampoline(number::CLONE as isize, args, child_args) }
        }
        Some(cgroup) => {
            let args = CloneArgs {
                flags: flags as u64 | CLONE_INTO_CGROUP,
                pidfd: pidfd_room as u64,
                // With CLONE_PARENT the signal is that of the server itself, SIGCHLD, and none may be given.
                exit_signal: 0,
                stack: (top - STACK) as u64,
                stack_size: STACK as u64,
                cgroup: cgroup as u64,
                ..CloneArgs::default()
            };
            let args = [
                (&raw const args).expose_provenance(),
                size_of::<CloneArgs>(),
                0,
                0,
            ];
            // SAFETY: these are the arguments of clone3(2): a `struct clone_args` and its size. The rest as above.
            unsafe { trampoline(number::CLONE3 as isize, args, child_args) }
        }
    };
    let pid = u32::try_from(result).map_err(|_| result.wrapping_neg() as i32)?;
    Ok(Cloned(pid, Descriptor(pidfd)))
}

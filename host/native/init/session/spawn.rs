//! A request to start a child.

use core::ffi::CStr;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::descriptor::{CHARACTERS, Descriptor, Mapped, PIPE, REGULAR, SOCKET};
use super::given::{Files, Given, has_format};
use super::mount;
use super::serve::Server;
use super::socket::{self, MAX_DESCRIPTORS};
use capspawn_raw::child::{Limit, Prepared};
use capspawn_raw::clone::trampoline;
use capspawn_raw::syscall::{exit, number};
use capspawn_raw::steps::{Confine, Fault, FilterProgram, Step};
use capspawn_raw::wire::{MAX_LIMITS, MAX_SHARED, Report, Spawn};

const EINVAL: i32 = 22;
/// `/dev/null`.
const NULL_DEVICE: u64 = 0x103;

/// Why there is no child: the step, the error number, and the number of the process that
/// took it, which the host reaps; 0 is none.
struct Refusal {
    step: u32,
    errno: i32,
    pid: u32,
}

/// A process: its number as the host knows it, and its pidfd.
struct Made(u32, Descriptor);

/// Starts the child and answers.
pub(super) fn spawn(
    server: &mut Server<'_>,
    request: &Spawn<'_>,
    descriptors: [Option<Descriptor>; MAX_DESCRIPTORS],
) {
    let Some(Given { files, answer }) = Given::take(request, descriptors) else {
        // Nobody knows where an answer is awaited: the end is one.
        exit(1)
    };
    let status = answer.as_ref().unwrap_or(server.control);
    let started = start(server, request, &files);
    // Whoever reads or writes the other ends after the answer must have to do with the child alone.
    drop(files);
    match started {
        Ok(Made(pid, pidfd)) => {
            let report = Report::Started { pid };
            // Where too many descriptors are on their way, the host opens its own.
            if socket::send(status, &report, Some(&pidfd)).is_err() {
                let _ = socket::send(status, &report, None);
            }
        }
        Err(Refusal { step, errno, pid }) => {
            let _ = socket::send(status, &Report::Refused { step, errno, pid }, None);
        }
    }
}

/// A directory would lead out of the root by its `..`: streams are pipes, sockets
/// or the null device, and the program is a regular file.
fn is_stream(file: &Descriptor) -> bool {
    file.stat().is_ok_and(|stat| {
        let null = stat.format == CHARACTERS && stat.special == NULL_DEVICE;
        null || stat.format == PIPE || stat.format == SOCKET
    })
}

fn start(server: &mut Server<'_>, request: &Spawn<'_>, files: &Files) -> Result<Made, Refusal> {
    let at = |step: Step| {
        move |errno| Refusal {
            step: step as u32,
            errno,
            pid: 0,
        }
    };
    let malformed = || at(Step::Request)(EINVAL);
    let Files {
        streams,
        program,
        strings,
    } = files;
    if !streams.iter().flatten().all(is_stream) || !has_format(program, &[REGULAR]) {
        return Err(malformed());
    }
    let mapped = strings.as_ref().map(|file| Mapped::new(file, MAX_SHARED));
    let mapped = mapped.transpose().map_err(at(Step::Request))?;
    let strings = match (request.strings, &mapped) {
        (Some(strings), None) => strings,
        (None, Some(mapped)) => mapped.bytes(),
        _ => return Err(malformed()),
    };
    let split = request.split(strings, server.pointers);
    let (cwd, path) = split.ok_or_else(malformed)?;
    let mut named = None;
    let (cwd, opened) = if cwd.is_empty() {
        (c"/tmp", &mut server.tmp)
    } else {
        (cwd, &mut named)
    };
    let cwd = match opened {
        Some(opened) => opened,
        None => {
            let directory = mount::inside(cwd, true, server.key);
            opened.insert(directory.map_err(at(Step::WorkingDirectory))?)
        }
    };
    let inside = same_file(path, program, server.key);
    let program = inside.as_ref().unwrap_or(program);
    let mut limits = [const {
        Limit {
            resource: 0,
            values: [0; 2],
        }
    }; MAX_LIMITS];
    let mut count = 0;
    for (slot, (resource, values)) in limits.iter_mut().zip(request.limits()) {
        *slot = Limit { resource, values };
        count += 1;
    }
    let (step, errno) = request.fault;
    let argv = server.pointers.as_ptr();
    let prepared = Prepared {
        // The host's child has reset them before it executed this program, which handles none.
        has_handlers: false,
        // The server's own are the null device. (Who locks that does so until the session ends.)
        stdio: streams
            .each_ref()
            .map(|stream| stream.as_ref().map_or(-1, |stream| stream.0)),
        cwd: cwd.0,
        affinity: request
            .affinity
            .map_or(core::ptr::null(), |affinity| affinity),
        limits: limits.get(..count).unwrap_or(&[]),
        keep: &[],
        key: server.key,
        watcher: server.words.0,
        confine: Some(Confine {
            lock_securebits: false,
            ruleset: server.nested.as_ref().map_or(-1, |nested| nested.0),
            filter: FilterProgram::NONE,
        }),
        program: program.0,
        argv: argv.cast(),
        envp: argv.wrapping_add(request.arguments + 1).cast(),
        fault: Fault { step, errno },
        failed_step: AtomicU32::new(0),
        failed_errno: AtomicI32::new(0),
    };
    let made = vfork(server.stack_top, &prepared);
    let made = made.map_err(|errno| Refusal {
        step: 0,
        errno,
        pid: 0,
    })?;
    match prepared.failed_step.load(Ordering::Acquire) {
        0 => Ok(made),
        step => Err(Refusal {
            step,
            errno: prepared.failed_errno.load(Ordering::Relaxed),
            pid: made.0,
        }),
    }
}

/// Opens `path` in the private root if it is `program`: the child's
/// `/proc/self/exe` then names a path that it can see.
fn same_file(path: &CStr, program: &Descriptor, key: mount::Key) -> Option<Descriptor> {
    if path.is_empty() {
        return None;
    }
    let inside = mount::inside(path, false, key).ok()?;
    let (own, given) = (inside.stat().ok()?, program.stat().ok()?);
    (own.device == given.device && own.inode == given.inode).then_some(inside)
}

/// Clones a child of the host on the stack kept for it, and returns once it executes
/// or has failed.
fn vfork(stack_top: usize, prepared: &Prepared) -> Result<Made, i32> {
    const CLONE_VM: usize = 0x100;
    const CLONE_PIDFD: usize = 0x1000;
    const CLONE_VFORK: usize = 0x4000;
    const CLONE_PARENT: usize = 0x8000;
    const SIGCHLD: usize = 17;
    let flags = CLONE_VM | CLONE_PIDFD | CLONE_VFORK | CLONE_PARENT | SIGCHLD;
    let mut pidfd = -1i32;
    let args = [flags, stack_top, (&raw mut pidfd).addr(), 0];
    let result = trampoline(number::CLONE as isize, args, prepared);
    let pid = u32::try_from(result).map_err(|_| result.wrapping_neg() as i32)?;
    Ok(Made(pid, Descriptor(pidfd)))
}

//! A child by `clone3` with the host's memory shared until it executes.
//!
//! `Command::pre_exec` turns posix_spawn into fork, which copies the page tables
//! of the whole host: 50 times slower at 1 GiB resident. A launcher program
//! between (posix_spawn, confine, execute) costs a second exec, 1.35 times. So
//! the child is cloned with `CLONE_VM | CLONE_VFORK` and confines itself before
//! it executes, at the price of plain posix_spawn. It runs on a stack of its
//! own, below a guard page, with every signal blocked around the clone: no
//! handler of the host can run in it.

#![allow(
    unsafe_code,
    reason = "clone3, its stack and its trampoline have no safe form"
)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

use capspawn_raw::child::Prepared;
use capspawn_raw::clone::trampoline;
use capspawn_raw::steps::Step;
use parking_lot::Mutex;
use rustix::process::Pid;

use crate::launch::{LaunchError, Stage};

const STACK_BYTES: usize = 64 * 1024;
const GUARD_BYTES: usize = 4096;
/// Stacks kept for the next child; more than this many launches at once map new ones.
const KEPT_STACKS: usize = 8;

/// A mapped stack whose lowest page cannot be touched.
struct Stack(NonNull<libc::c_void>);

// SAFETY: the mapping belongs to this value alone and to no thread.
unsafe impl Send for Stack {}

impl Stack {
    fn new() -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        let size = GUARD_BYTES + STACK_BYTES;
        let base = std::ptr::null_mut();
        // SAFETY: a new anonymous mapping at an address of the kernel's choice.
        let base = unsafe { libc::mmap(base, size, libc::PROT_NONE, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Self(NonNull::new(base).ok_or(io::ErrorKind::OutOfMemory)?);
        let usable = base.wrapping_byte_add(GUARD_BYTES);
        // SAFETY: within the mapping made above, which nothing else uses.
        match unsafe { libc::mprotect(usable, STACK_BYTES, libc::PROT_READ | libc::PROT_WRITE) } {
            0 => Ok(stack),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The lowest usable address.
    fn bottom(&self) -> usize {
        self.0.addr().get() + GUARD_BYTES
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; no child runs on it any more, since the clone has returned.
        let _ = unsafe { libc::munmap(self.0.as_ptr(), GUARD_BYTES + STACK_BYTES) };
    }
}

/// Every signal blocked, until dropped.
struct Blocked(u64);

impl Blocked {
    fn new() -> io::Result<Self> {
        let mut old = 0;
        swap_mask(u64::MAX, &mut old)?;
        Ok(Self(old))
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        let mut ignored = 0;
        let _ = swap_mask(self.0, &mut ignored);
    }
}

/// Sets the thread's signal mask. By the raw call: libc's own leaves out the two
/// signals it uses itself, and their handlers may not run in the child either.
fn swap_mask(new: u64, old: &mut u64) -> io::Result<()> {
    let (how, size) = (libc::SIG_SETMASK, size_of::<u64>());
    let (new, old) = (&raw const new, std::ptr::from_mut(old));
    // SAFETY: both point to signal sets of 8 bytes.
    match unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, new, old, size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A child that executes, unreaped.
#[derive(Debug)]
pub(crate) struct Spawned {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
}

/// Starts children by vfork.
pub(crate) struct Vfork {
    stacks: Mutex<Vec<Stack>>,
    /// Set once clone3 turned out to be missing (a container's filter, an old kernel).
    legacy: AtomicBool,
}

impl Vfork {
    /// Starts with clone3, or with clone right away where `legacy`.
    pub(crate) fn new(legacy: bool) -> Self {
        Self {
            stacks: Mutex::default(),
            legacy: AtomicBool::new(legacy),
        }
    }

    /// Starts the child that `prepared` describes and returns once it executes.
    /// One that fails before is handed to `failed`, unreaped, and then reaped.
    ///
    /// # Safety
    ///
    /// `prepared` must keep what [`Prepared`] promises.
    pub(crate) unsafe fn spawn(
        &self,
        prepared: &Prepared,
        failed: impl FnOnce(&Spawned),
    ) -> Result<Spawned, LaunchError> {
        let spawn_error = |source| LaunchError::new(Stage::Spawn, source);
        let kept = self.stacks.lock().pop();
        let stack = kept.map_or_else(Stack::new, Ok).map_err(spawn_error)?;
        let cloned = {
            let _blocked = Blocked::new().map_err(spawn_error)?;
            self.clone_child(&stack, prepared)
        };
        let mut stacks = self.stacks.lock();
        if stacks.len() < KEPT_STACKS {
            stacks.push(stack);
        }
        drop(stacks);
        let spawned = cloned.map_err(spawn_error)?;
        let step = prepared.failed_step.load(Ordering::Acquire);
        if step == 0 {
            return Ok(spawned);
        }
        // It has called `_exit` already, so that this does not block for long.
        failed(&spawned);
        spawned.wait();
        let errno = prepared.failed_errno.load(Ordering::Relaxed);
        Err(LaunchError::new(
            stage_of(step),
            io::Error::from_raw_os_error(errno),
        ))
    }

    fn clone_child(&self, stack: &Stack, prepared: &Prepared) -> io::Result<Spawned> {
        let mut pidfd = -1;
        let mut result = -libc::ENOSYS as isize;
        if !self.legacy.load(Ordering::Relaxed) {
            result = clone3(stack, &mut pidfd, prepared);
        }
        if result == -libc::ENOSYS as isize {
            self.legacy.store(true, Ordering::Relaxed);
            result = clone(stack, &mut pidfd, prepared);
        }
        // A negative number is the error; `from_raw` takes none.
        let pid = i32::try_from(result).ok().filter(|pid| *pid > 0);
        match pid.and_then(Pid::from_raw) {
            Some(pid) => {
                // SAFETY: a successful clone with CLONE_PIDFD has stored a new descriptor, which nobody else owns.
                let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
                Ok(Spawned { pid, pidfd })
            }
            _ => Err(io::Error::from_raw_os_error(
                i32::try_from(-result).unwrap_or(libc::EIO),
            )),
        }
    }
}

/// The stage that a child's step is reported as.
pub(crate) fn stage_of(step: u32) -> Stage {
    const STAGES: [(Step, Stage); 16] = [
        (Step::Signals, Stage::Signals),
        (Step::Session, Stage::Session),
        (Step::Watch, Stage::Watch),
        (Step::Stdio, Stage::Stdio),
        (Step::Descriptors, Stage::Descriptors),
        (Step::WorkingDirectory, Stage::WorkingDirectory),
        (Step::Limits, Stage::Limits),
        (Step::Identity, Stage::Identity),
        (Step::NoNewPrivileges, Stage::Privileges),
        (Step::Capabilities, Stage::Privileges),
        (Step::Landlock, Stage::Ruleset),
        (Step::Seccomp, Stage::Filter),
        (Step::Exec, Stage::Exec),
        (Step::Namespaces, Stage::Namespaces),
        (Step::Root, Stage::Root),
        (Step::Request, Stage::Request),
    ];
    let found = STAGES.iter().find(|(known, _)| *known as u32 == step);
    found.map_or(Stage::Spawn, |(_, stage)| *stage)
}

#[allow(clippy::cast_sign_loss, reason = "bits, not numbers")]
const FLAGS: u64 = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64;
const CLONE: isize = 56;
const CLONE3: isize = 435;
const CLEAR_SIGHAND: u64 = 0x1_0000_0000;
#[allow(clippy::cast_sign_loss, reason = "a positive constant")]
const EXIT_SIGNAL: u64 = libc::SIGCHLD as u64;

/// `struct clone_args`, as of its first version with a stack.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

/// Clones with clone3; the child runs `main` and never comes back here.
fn clone3(stack: &Stack, pidfd: &mut i32, prepared: &Prepared) -> isize {
    let args = CloneArgs {
        flags: FLAGS | CLEAR_SIGHAND,
        pidfd: std::ptr::from_mut(pidfd).addr() as u64,
        exit_signal: EXIT_SIGNAL,
        stack: stack.bottom() as u64,
        stack_size: STACK_BYTES as u64,
        ..CloneArgs::default()
    };
    trampoline(
        CLONE3,
        [(&raw const args).addr(), size_of::<CloneArgs>(), 0, 0],
        prepared,
    )
}

/// Clones with clone, which takes no CLEAR_SIGHAND: the child's first step resets
/// the handlers, and until then all signals are blocked.
fn clone(stack: &Stack, pidfd: &mut i32, prepared: &Prepared) -> isize {
    let flags = usize::try_from(FLAGS | EXIT_SIGNAL).unwrap_or(0);
    let top = stack.bottom() + STACK_BYTES;
    let args = [flags, top, std::ptr::from_mut(pidfd).addr(), 0];
    trampoline(CLONE, args, prepared)
}

impl std::fmt::Debug for Vfork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vfork")
            .field("legacy", &self.legacy)
            .finish_non_exhaustive()
    }
}

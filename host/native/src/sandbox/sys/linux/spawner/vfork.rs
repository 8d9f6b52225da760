//! A child by `clone3(2)` that shares the host's memory until it executes.
//!
//! The child is cloned with `CLONE_VM | CLONE_VFORK` and prepares itself before it executes,
//! at the cost of a plain `posix_spawn(3)`. It runs on a stack of its own above a guard page.
//! Every signal is blocked during the clone, so that no signal handler of the host runs in
//! the child.
//!
//! Rejected: `Command::pre_exec`, which turns `posix_spawn` into a fork that copies the page
//! tables of the whole host, 50 times slower at 1 GiB resident. Rejected too: a launcher
//! program in between (`posix_spawn`, confine, execute), whose second exec makes a spawn take
//! 1.35 times as long.

#![allow(unsafe_code, reason = "clone3 has no safe form")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use capspawn_raw::child::ChildArgs;
use capspawn_raw::clone::{CLONE_INTO_CGROUP, CloneArgs, trampoline};
use parking_lot::Mutex;
use rustix::process::Pid;

use super::stack::{STACK_BYTES, Stack};
use crate::launch::{LaunchError, Stage};
use crate::sandbox::sys::linux::spawned::Spawned;

/// Stacks that are kept for later children; more launches at once map new ones.
const KEPT_STACKS: usize = 8;

/// Blocks every signal for the thread, until dropped.
struct BlockedSignals(u64);

impl BlockedSignals {
    fn new() -> io::Result<Self> {
        let mut old = 0;
        swap_mask(u64::MAX, &mut old)?;
        Ok(Self(old))
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        let mut ignored = 0;
        let _ = swap_mask(self.0, &mut ignored);
    }
}

/// Sets the thread's signal mask, by the raw call: the C library's function never blocks the
/// two signals that the library uses, and their handlers must not run in the child either.
fn swap_mask(new: u64, old: &mut u64) -> io::Result<()> {
    let (how, size) = (libc::SIG_SETMASK, size_of::<u64>());
    let (new, old) = (&raw const new, std::ptr::from_mut(old));
    // SAFETY: the kernel reads one signal set of 8 bytes and stores another.
    match unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, new, old, size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Starts children by vfork.
pub(crate) struct Vfork {
    stacks: Mutex<Vec<Stack>>,
    /// Whether to use clone: set once clone3 was missing (a container's filter, an old kernel).
    legacy: AtomicBool,
}

impl Vfork {
    /// Returns a value that tries clone3 first, unless `legacy`.
    pub(crate) fn new(legacy: bool) -> Self {
        Self {
            stacks: Mutex::default(),
            legacy: AtomicBool::new(legacy),
        }
    }

    /// Whether children can be cloned into a cgroup, as far as it is known.
    pub(crate) fn has_clone3(&self) -> bool {
        !self.legacy.load(Ordering::Relaxed)
    }

    /// Starts the child that `args` describe, in the cgroup `into` where there is one, and
    /// returns once it executes.
    ///
    /// # Errors
    ///
    /// The step that failed. A child that was cloned is passed to `failed`, unreaped, and
    /// reaped after that.
    pub(crate) fn spawn(
        &self,
        args: &ChildArgs<'_>,
        into: Option<BorrowedFd<'_>>,
        failed: impl FnOnce(&Spawned),
    ) -> Result<Spawned, LaunchError> {
        let spawn_error = |source| LaunchError::new(Stage::Spawn, source);
        let kept = self.stacks.lock().pop();
        let stack = kept.map_or_else(Stack::new, Ok).map_err(spawn_error)?;
        let cloned = {
            let _blocked = BlockedSignals::new().map_err(spawn_error)?;
            self.clone_child(&stack, into, args)
        };
        let mut stacks = self.stacks.lock();
        if stacks.len() < KEPT_STACKS {
            stacks.push(stack);
        }
        drop(stacks);
        let spawned = cloned.map_err(spawn_error)?;
        let Some(failure) = args.failure.load() else {
            return Ok(spawned);
        };
        // It has called `_exit` already, so that this waits only briefly.
        failed(&spawned);
        spawned.wait();
        Err(failure.into())
    }

    /// Clones with every signal blocked.
    fn clone_child(
        &self,
        stack: &Stack,
        into: Option<BorrowedFd<'_>>,
        args: &ChildArgs<'_>,
    ) -> io::Result<Spawned> {
        let mut pidfd = -1;
        let mut result = -libc::ENOSYS as isize;
        if !self.legacy.load(Ordering::Relaxed) {
            result = clone3(stack, &mut pidfd, into, args);
        }
        if result == -libc::ENOSYS as isize {
            if into.is_some() {
                // Only clone3 can do that; the caller chooses another way from now on.
                self.legacy.store(true, Ordering::Relaxed);
                return Err(io::Error::from_raw_os_error(libc::ENOSYS));
            }
            self.legacy.store(true, Ordering::Relaxed);
            result = clone(stack, &mut pidfd, args);
        }
        // A negative number is the error, which `from_raw` must not get.
        let pid = i32::try_from(result).ok().filter(|pid| *pid > 0);
        match pid.and_then(Pid::from_raw) {
            Some(pid) => {
                // SAFETY: a successful clone with CLONE_PIDFD has stored a new descriptor, which has no other owner.
                let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
                Ok(Spawned { pid, pidfd })
            }
            _ => Err(io::Error::from_raw_os_error(
                i32::try_from(-result).unwrap_or(libc::EIO),
            )),
        }
    }
}

#[allow(clippy::cast_sign_loss, reason = "bits, not numbers")]
const FLAGS: u64 = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64;
const CLONE: isize = 56;
const CLONE3: isize = 435;
const CLEAR_SIGHAND: u64 = 0x1_0000_0000;
#[allow(clippy::cast_sign_loss, reason = "a positive constant")]
const EXIT_SIGNAL: u64 = libc::SIGCHLD as u64;

/// Makes the call `clone3`, which also resets the signal handlers. The child starts in the
/// cgroup `into`, if there is one.
fn clone3(
    stack: &Stack,
    pidfd: &mut i32,
    into: Option<BorrowedFd<'_>>,
    child_args: &ChildArgs<'_>,
) -> isize {
    let into_flag = into.map_or(0, |_| CLONE_INTO_CGROUP);
    let cgroup = into.map(|directory| u64::from(directory.as_raw_fd().unsigned_abs()));
    let args = CloneArgs {
        flags: FLAGS | CLEAR_SIGHAND | into_flag,
        cgroup: cgroup.unwrap_or(0),
        pidfd: std::ptr::from_mut(pidfd).expose_provenance() as u64,
        exit_signal: EXIT_SIGNAL,
        stack: stack.bottom() as u64,
        stack_size: STACK_BYTES as u64,
        ..CloneArgs::default()
    };
    let address = (&raw const args).expose_provenance();
    let args = [address, size_of::<CloneArgs>(), 0, 0];
    // SAFETY: these are the arguments of clone3: a `struct clone_args` of the size that is passed. The stack belongs to
    // this child alone until the call returns, and the caller has blocked all signals.
    unsafe { trampoline(CLONE3, args, child_args) }
}

/// Makes the call `clone`, which leaves the signal handlers: the child's first step resets
/// them, and until then all signals are blocked.
fn clone(stack: &Stack, pidfd: &mut i32, child_args: &ChildArgs<'_>) -> isize {
    let flags = usize::try_from(FLAGS | EXIT_SIGNAL).unwrap_or(0);
    let pidfd = std::ptr::from_mut(pidfd).expose_provenance();
    // SAFETY: these are the arguments of clone on x86_64. The stack belongs to this child alone until the call returns,
    // and the caller has blocked all signals.
    unsafe { trampoline(CLONE, [flags, stack.top(), pidfd, 0], child_args) }
}

impl std::fmt::Debug for Vfork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vfork")
            .field("legacy", &self.legacy)
            .finish_non_exhaustive()
    }
}

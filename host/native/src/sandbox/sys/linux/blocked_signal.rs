//! A signal that a call of the host may cause, blocked for the thread while the call runs.
//!
//! The kernel sends some signals to the thread whose call fails, besides the error; their default
//! action ends the process. A library must not change the action for the whole process.

#![allow(unsafe_code, reason = "rustix has no signal masks")]

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// Blocks one signal for the thread until it is dropped, and then takes one that has come meanwhile.
pub(crate) struct BlockedSignal {
    signal: i32,
    before: libc::sigset_t,
    was_pending: bool,
}

impl BlockedSignal {
    /// Blocks `signal`.
    pub(crate) fn new(signal: i32) -> io::Result<Self> {
        let set = set_of(signal)?;
        let was_pending = is_pending(signal)?;
        let mut before = MaybeUninit::zeroed();
        // SAFETY: the function reads one signal set and stores another.
        let error =
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, before.as_mut_ptr()) };
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        Ok(Self {
            signal,
            // SAFETY: the function has succeeded, and has stored the set.
            before: unsafe { before.assume_init() },
            was_pending,
        })
    }
}

impl Drop for BlockedSignal {
    fn drop(&mut self) {
        if !self.was_pending
            && let Ok(set) = set_of(self.signal)
        {
            let now = libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            // SAFETY: the function reads one signal set and one time, and stores nothing.
            let _ = unsafe { libc::sigtimedwait(&raw const set, ptr::null_mut(), &raw const now) };
        }
        // SAFETY: the function reads one signal set.
        let _ = unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut())
        };
    }
}

fn set_of(signal: i32) -> io::Result<libc::sigset_t> {
    let mut set = MaybeUninit::zeroed();
    // SAFETY: the function stores a signal set.
    if unsafe { libc::sigemptyset(set.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the set was stored by `sigemptyset`.
    let mut set = unsafe { set.assume_init() };
    // SAFETY: the function changes the set.
    match unsafe { libc::sigaddset(&raw mut set, signal) } {
        0 => Ok(set),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether the signal is pending for the thread or the process.
fn is_pending(signal: i32) -> io::Result<bool> {
    let mut set = MaybeUninit::zeroed();
    // SAFETY: the function stores a signal set.
    if unsafe { libc::sigpending(set.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the set was stored by `sigpending`.
    let set: libc::sigset_t = unsafe { set.assume_init() };
    // SAFETY: the function reads the set.
    Ok(unsafe { libc::sigismember(&raw const set, signal) } == 1)
}

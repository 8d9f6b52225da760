//! The watcher: kills what a host that was itself killed has left running.
//!
//! It reads numbers from a socket: a process group that has started, or negated,
//! one that is gone. At the end of the socket the host is dead, or done: every
//! group that is left is killed. Each child writes its own number before it
//! executes anything, so that there is no moment in which it is unknown.

use core::sync::atomic::{AtomicI32, Ordering};

use capspawn_raw::syscall::{call, exit, number};

/// Groups at once; a registry has 1024 entries by default.
const MAX_GROUPS: usize = 8192;

static GROUPS: [AtomicI32; MAX_GROUPS] = [const { AtomicI32::new(0) }; MAX_GROUPS];

const SIG_BLOCK: usize = 0;
const SIGKILL: usize = 9;
const EINTR: i32 = 4;
const PR_SET_DUMPABLE: usize = 4;

/// Watches until the socket ends, then kills and exits.
pub(crate) fn run(socket: i32) -> ! {
    let all = u64::MAX;
    // SAFETY: a signal set of 8 bytes, read only. A signal to the host's terminal must not end the watcher first.
    let _ = unsafe {
        call(
            number::RT_SIGPROCMASK,
            [SIG_BLOCK, (&raw const all).addr(), 0, 8, 0, 0],
        )
    };
    // SAFETY: takes no pointer; the memory is the helper's own.
    let _ = unsafe { call(number::PRCTL, [PR_SET_DUMPABLE, 0, 0, 0, 0, 0]) };
    let mut messages = [0i32; 64];
    loop {
        let room = (&raw mut messages).addr();
        let args = [socket as usize, room, size_of_val(&messages), 0, 0, 0];
        // SAFETY: `messages` is writable for as many bytes as are asked for.
        match unsafe { call(number::READ, args) } {
            Ok(0) => break,
            Err(EINTR) => {}
            Err(_) => break,
            // Each is sent whole, and there is room for whole ones alone.
            Ok(bytes) => messages
                .iter()
                .take(bytes / 4)
                .for_each(|message| note(*message)),
        }
    }
    for group in &GROUPS {
        let group = group.load(Ordering::Relaxed);
        // 0 would be the watcher's own group, 1 every process there is.
        if group > 1 {
            let group = group.wrapping_neg() as usize;
            // SAFETY: takes no pointer.
            let _ = unsafe { call(number::KILL, [group, SIGKILL, 0, 0, 0, 0]) };
        }
    }
    exit(0)
}

/// Notes that a group has started or, negated, is gone.
fn note(message: i32) {
    let (old, new) = if message > 0 {
        (0, message)
    } else {
        (message.wrapping_neg(), 0)
    };
    for group in &GROUPS {
        if group.load(Ordering::Relaxed) == old {
            group.store(new, Ordering::Relaxed);
            return;
        }
    }
}

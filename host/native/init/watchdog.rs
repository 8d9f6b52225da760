//! The watchdog: kills what a host that was itself killed has left running.
//!
//! It reads from a socket which process groups start and which are gone. The socket ends
//! when the host has died or needs no watchdog any more; then it kills every group that is
//! left. Each child sends its own pid before it executes anything, so that there is no
//! moment in which a child is unknown. Rejected: `PR_SET_PDEATHSIG`, which follows the
//! thread that started a child, and not the host.

use core::sync::atomic::{AtomicI32, Ordering};

use capspawn_raw::syscall::{call, descriptor, exit, number};
use capspawn_raw::wire::{GROUP_CHANGE_BYTES, GroupChange};

/// The most groups at once; a registry has 1024 entries by default.
const MAX_GROUPS: usize = 8192;

/// The numbers of the running groups; 0 is a free slot.
static GROUPS: [AtomicI32; MAX_GROUPS] = [const { AtomicI32::new(0) }; MAX_GROUPS];

const SIG_BLOCK: usize = 0;
const SIGKILL: usize = 9;
const EINTR: i32 = 4;
const PR_SET_DUMPABLE: usize = 4;
const SIGSET_BYTES: usize = 8;

/// Reads changes until the socket ends, then kills what is left and exits.
pub(crate) fn run(socket: i32) -> ! {
    let all = u64::MAX;
    let mask = (&raw const all).expose_provenance();
    // A signal of the host's terminal must not end the watchdog before the host.
    // SAFETY: the kernel reads a signal set of 8 bytes.
    let _ = unsafe {
        call(
            number::RT_SIGPROCMASK,
            [SIG_BLOCK, mask, 0, SIGSET_BYTES, 0, 0],
        )
    };
    // SAFETY: the call takes no pointer. The memory is this process's own.
    let _ = unsafe { call(number::PRCTL, [PR_SET_DUMPABLE, 0, 0, 0, 0, 0]) };
    let mut messages = [[0u8; GROUP_CHANGE_BYTES]; 64];
    loop {
        let room = (&raw mut messages).expose_provenance();
        let args = [descriptor(socket), room, size_of_val(&messages), 0, 0, 0];
        // SAFETY: the kernel stores at most as many bytes as `messages` has.
        match unsafe { call(number::READ, args) } {
            Err(EINTR) => {}
            Ok(0) | Err(_) => break,
            // Every message is sent whole, and the room is a multiple of one.
            Ok(bytes) => {
                let received = messages.iter().take(bytes / GROUP_CHANGE_BYTES);
                received
                    .filter_map(|it| GroupChange::read(*it))
                    .for_each(note);
            }
        }
    }
    for group in &GROUPS {
        let group = group.load(Ordering::Relaxed);
        // 0 would be the watchdog's own group, and 1 every process there is.
        if group > 1 {
            let group = group.wrapping_neg() as usize;
            // SAFETY: the call takes no pointer.
            let _ = unsafe { call(number::KILL, [group, SIGKILL, 0, 0, 0, 0]) };
        }
    }
    exit(0)
}

/// Puts a group that has started into a free slot; frees the slot of one that is gone.
fn note(change: GroupChange) {
    let (old, new) = match change {
        GroupChange::Started(group) => (0, group),
        GroupChange::Gone(group) => (group, 0),
    };
    for group in &GROUPS {
        if group.load(Ordering::Relaxed) == old {
            group.store(new, Ordering::Relaxed);
            return;
        }
    }
}

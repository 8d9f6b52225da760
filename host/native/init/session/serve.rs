//! The server: one request, one child, one answer.
//!
//! It makes each child a child of the host (`CLONE_PARENT`) in the namespaces of
//! pid 1. So the host waits for it, signals it and reaps it itself, as it does
//! for one that it has cloned: between a child's end and whoever waits for it
//! there is nobody to be woken. The kernel refuses that flag to a pid 1, which is
//! why the server is another process, outside of the namespace: who is inside
//! has no name for it either.

use super::descriptor::{Descriptor, guard, memory};
use super::schedule::Schedule;
use super::socket::{self, MAX_DESCRIPTORS};
use super::{mount, spawn};
use capspawn_raw::syscall::exit;
use capspawn_raw::wire::{MAX_DATAGRAM, MAX_STRINGS, Spawn};

const EINTR: i32 = 4;
const PAGE: usize = 4096;
const STACK: usize = 64 * 1024;

/// What the server has.
pub(super) struct Server<'a> {
    /// By which the filter tells the server's own calls.
    pub(super) key: mount::Key,
    /// What each child restricts itself with, if anything.
    pub(super) nested: Option<Descriptor>,
    /// `/tmp`, once a child has started there.
    pub(super) tmp: Option<Descriptor>,
    /// Where the requests come from, and the answers go that no socket comes along for.
    pub(super) control: &'a Descriptor,
    /// Where the children say that they are there.
    pub(super) words: &'a Descriptor,
    /// Where the stack of the child ends, which is vforked.
    pub(super) stack_top: usize,
    /// Room for the pointers of `execveat`.
    pub(super) pointers: &'a mut [*const u8],
}

impl<'a> Server<'a> {
    /// Takes the memory that serving needs, once.
    pub(super) fn new(
        key: [u64; 2],
        control: &'a Descriptor,
        words: &'a Descriptor,
    ) -> Result<Self, i32> {
        let stack = memory(PAGE + STACK)?;
        guard(stack)?;
        // Each array has its null.
        let count = MAX_STRINGS + 2;
        let pointers = memory(count * size_of::<*const u8>())?;
        let pointers = core::ptr::with_exposed_provenance_mut(pointers);
        // SAFETY: mapped above for this alone, for good, and zeroed.
        let pointers = unsafe { core::slice::from_raw_parts_mut(pointers, count) };
        Ok(Self {
            key: key.map(|word| word as usize),
            nested: None,
            tmp: None,
            control,
            words,
            stack_top: stack + PAGE + STACK,
            pointers,
        })
    }
}

/// Serves until the control socket ends.
pub(super) fn serve(server: &mut Server<'_>) -> ! {
    let mut datagram = [0u8; MAX_DATAGRAM];
    let schedule = Schedule::new();
    loop {
        schedule.wait();
        let mut descriptors = [const { None }; MAX_DESCRIPTORS];
        let count = match socket::receive(server.control, &mut datagram, &mut descriptors) {
            Ok(0) => exit(0),
            Ok(count) => count,
            Err(EINTR) => continue,
            // Too large, or too many descriptors. Nobody knows where an answer is awaited: the end is one.
            Err(_) => exit(1),
        };
        let Some(request) = Spawn::read(datagram.get(..count).unwrap_or(&[])) else {
            exit(1)
        };
        schedule.serve();
        spawn::spawn(server, &request, descriptors);
    }
}

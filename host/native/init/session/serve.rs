//! The loop of pid 1: requests, and the ends of processes.

use super::children::Children;
use super::descriptor::{Descriptor, guard, memory};
use super::socket::{self, MAX_DESCRIPTORS};
use super::{mount, spawn};
use crate::raw::{call, exit, number};
use crate::wire::{Configuration, MAX_DATAGRAM, MAX_STRINGS, Request};

const EINTR: i32 = 4;
const PAGE: usize = 4096;
const STACK: usize = 64 * 1024;

/// What pid 1 has.
pub(super) struct Server<'a> {
    /// By which the filter tells pid 1's own calls.
    pub(super) key: mount::Key,
    pub(super) ruleset: i32,
    control: &'a Descriptor,
    /// Readable when a child has ended.
    ends: Descriptor,
    pub(super) children: Children,
    /// Where the stack of the child ends, which is vforked.
    pub(super) stack_top: usize,
    /// Room for the pointers of `execveat`.
    pub(super) pointers: &'a mut [*const u8],
}

impl<'a> Server<'a> {
    /// Takes the memory that serving needs, once.
    pub(super) fn new(
        configuration: &Configuration<'_>,
        ruleset: i32,
        control: &'a Descriptor,
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
            key: configuration.key.map(|word| word as usize),
            ruleset,
            control,
            ends: ends()?,
            children: Children::new(),
            stack_top: stack + PAGE + STACK,
            pointers,
        })
    }
}

fn ends() -> Result<Descriptor, i32> {
    const NEW: usize = usize::MAX;
    const CLOEXEC_NONBLOCK: usize = 0o2_004_000;
    let child_ended = 1u64 << (17 - 1);
    let args = [
        NEW,
        (&raw const child_ended).addr(),
        8,
        CLOEXEC_NONBLOCK,
        0,
        0,
    ];
    // SAFETY: a signal set of 8 bytes, read only.
    Descriptor::new(unsafe { call(number::SIGNALFD4, args) })
}

/// Serves until the control socket ends. The kernel then kills all that is left.
pub(super) fn serve(server: &mut Server<'_>) -> ! {
    let mut datagram = [0u8; MAX_DATAGRAM];
    let mut more = false;
    loop {
        let (requested, ended) = wait(server, !more);
        if ended || more {
            let mut signal = [0u8; 128];
            let room = (&raw mut signal).addr();
            let args = [server.ends.arg(), room, size_of_val(&signal), 0, 0, 0];
            // Read before looking: a child that ends meanwhile makes it readable again.
            // SAFETY: a `struct signalfd_siginfo`, writable.
            let _ = unsafe { call(number::READ, args) };
            more = server.children.reap();
        }
        if requested {
            answer(server, &mut datagram);
        }
    }
}

/// Looks for requests and ends; waits for one of them where `patient`.
fn wait(server: &Server<'_>, patient: bool) -> (bool, bool) {
    const POLLIN: u64 = 1 << 32;
    let entry = |fd: &Descriptor| u64::from(fd.0.cast_unsigned()) | POLLIN;
    let mut entries = [entry(server.control), entry(&server.ends)];
    let timeout = if patient { usize::MAX } else { 0 };
    let args = [(&raw mut entries).addr(), 2, timeout, 0, 0, 0];
    // SAFETY: two `struct pollfd`s, writable.
    if unsafe { call(number::POLL, args) }.is_err() {
        return (false, false);
    }
    let [control, ends] = entries;
    // Any event, the end of the socket included.
    (control >> 48 != 0, ends >> 48 != 0)
}

fn answer(server: &mut Server<'_>, datagram: &mut [u8]) {
    let mut descriptors = [const { None }; MAX_DESCRIPTORS];
    let count = match socket::receive(server.control, datagram, &mut descriptors) {
        Ok(0) => exit(0),
        Ok(count) => count,
        // Too large, or too many descriptors: those that came are closed, which tells the host.
        Err(EINTR | 90) => return,
        Err(_) => exit(1),
    };
    let bytes = datagram.get(..count).unwrap_or(&[]);
    match Request::read(bytes) {
        Some(Request::Spawn(request)) => spawn::spawn(server, &request, descriptors),
        Some(Request::Signal { child, signal, all }) => {
            server.children.signal(child, signal, all);
        }
        Some(Request::Release { child }) => server.children.release(child),
        None => {}
    }
}

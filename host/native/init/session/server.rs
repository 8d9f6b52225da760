//! What the server has while it serves.

use core::ffi::c_char;

use super::descriptor::{Descriptor, guard, memory};
use super::state::Files;
use capspawn_raw::child::PassArguments;
use capspawn_raw::wire::MAX_STRINGS;

const PAGE: usize = 4096;
/// The bytes of the stack for the vfork child.
pub(super) const STACK: usize = 64 * 1024;

/// The server's descriptors and memory.
pub(super) struct Server<'a> {
    /// What the server's own calls carry, by which the filter lets them pass.
    pub(super) filter_pass: PassArguments,
    /// The pid namespace of the children, if this is the first server of a session: the servers
    /// that it starts join it.
    pub(super) pid_namespace: Option<Descriptor>,
    /// The Landlock ruleset of each child's own domain, where the kernel has Landlock.
    pub(super) child_ruleset: Option<Descriptor>,
    /// `/tmp`, once a child has started there.
    pub(super) tmp: Option<Descriptor>,
    /// The files of the session's own file systems before any child has started; none outside a session.
    pub(super) files: Option<Files>,
    /// Where requests come from, and where replies go.
    pub(super) control: &'a Descriptor,
    /// Whether the server is in a Landlock domain of its own, with a scope for signals.
    pub(super) has_domain: bool,
    /// Where children announce themselves.
    pub(super) announcements: &'a Descriptor,
    /// The number that they send there, which a server that starts children gets when it is started.
    pub(super) number: u32,
    /// The upper end of the stack for the vfork child.
    pub(super) stack_top: usize,
    /// Room for the pointers of `execveat(2)`.
    pub(super) pointers: &'a mut [*const c_char],
}

impl<'a> Server<'a> {
    /// Allocates the memory that serving needs, once.
    pub(super) fn new(
        filter_pass: [u64; 2],
        control: &'a Descriptor,
        announcements: &'a Descriptor,
    ) -> Result<Self, i32> {
        let stack = memory(PAGE + STACK)?;
        guard(stack)?;
        // The argument vector and the environment each end with a null pointer.
        let count = MAX_STRINGS + 2;
        let pointers = memory(count * size_of::<*const c_char>())?;
        let pointers = core::ptr::with_exposed_provenance_mut(pointers);
        // SAFETY: `memory` has mapped as many bytes, zeroed and for good, and nothing else refers to them.
        let pointers = unsafe { core::slice::from_raw_parts_mut(pointers, count) };
        Ok(Self {
            filter_pass: filter_pass.map(|word| word as usize),
            pid_namespace: None,
            child_ruleset: None,
            tmp: None,
            files: None,
            control,
            has_domain: false,
            announcements,
            number: 0,
            stack_top: stack + PAGE + STACK,
            pointers,
        })
    }
}

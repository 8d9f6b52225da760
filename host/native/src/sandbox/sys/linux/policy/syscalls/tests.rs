//! The programs, interpreted: every system call number gets the action that the policy says.

mod alone;
mod interpreter;
mod observed;
mod session;

use self::interpreter::{Returned, X86_64, interpret};
use super::{FilterOptions, Groups, program};
use crate::confinement::Network;
use crate::sandbox::sys::linux::policy::set_group_id::SetGroupId;

/// A host without scopes for signals.
const OPTIONS: FilterOptions = FilterOptions {
    groups: Groups::Fixed,
    has_domain: true,
    set_group_id: SetGroupId::Denied,
};

/// Runs the program of a child outside a session; missing arguments are 0.
fn native(network: Network, number: u32, args: &[u64]) -> Returned {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    interpret(&program(network, OPTIONS), X86_64, number, all)
}

/// The same without a network.
fn closed(number: u32, args: &[u64]) -> Returned {
    native(Network::None, number, args)
}

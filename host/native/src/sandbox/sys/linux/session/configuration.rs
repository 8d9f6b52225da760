//! A session's configuration, as the helper reads it.

use std::io;
use std::os::fd::OwnedFd;

use capspawn_raw::wire::flag;
use rustix::fs::MemfdFlags;

use super::profile::Profile;
use super::root_layout::RootLayout;
use crate::confinement::{Network, Sandbox};
use crate::launch::Identity;
use crate::sandbox::sys::linux::fd::memfd;
use crate::sandbox::sys::linux::policy::filter_pass::FilterPass;
use crate::sandbox::sys::linux::policy::{landlock, syscalls};

/// Returns a sealed memfd with the configuration of `profile` for the user
/// `user`, which the helper has to become or is already. Its calls will carry `pass`.
pub(crate) fn file(
    profile: &Profile,
    layout: &RootLayout,
    (user, become_user): (Identity, bool),
    pass: FilterPass,
) -> io::Result<OwnedFd> {
    let mut flags = 0;
    if become_user {
        flags |= flag::BECOME_USER;
    }
    match profile.confinement.network {
        Network::None => flags |= flag::OWN_NETWORK,
        Network::Loopback => flags |= flag::OWN_NETWORK | flag::LOOPBACK,
        Network::Host => {}
    }
    // Pid 1 and the server count.
    let tasks = profile
        .processes
        .map_or(u64::MAX, |tasks| tasks.saturating_add(2));
    let mut bytes = Vec::new();
    for word in pass.arguments() {
        bytes.extend(word.to_ne_bytes());
    }
    for word in [flags, user.uid, user.gid] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(tasks.to_ne_bytes());
    for rights in landlock::session_rights() {
        bytes.extend(rights.to_ne_bytes());
    }
    bytes.extend(landlock::session_scopes().to_ne_bytes());
    let network = profile.confinement.network;
    let filter = match profile.confinement.sandbox {
        Sandbox::None => Vec::new(),
        Sandbox::Required | Sandbox::BestEffort => syscalls::session_program(network, pass),
    };
    let filter = memfd::instructions(&filter);
    let length = u32::try_from(filter.len()).map_err(io::Error::other)?;
    bytes.extend(length.to_ne_bytes());
    bytes.extend(filter);
    bytes.extend_from_slice(layout.bytes());
    memfd::sealed("capspawn-session", &bytes, MemfdFlags::empty())
}

//! A session's configuration, as the helper reads it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::MemfdFlags;

use super::super::key::Key;
use super::super::{helper, landlock, policy};
use super::profile::Profile;
use super::view::View;
use super::wire::flag;
use crate::sandbox::{Network, Sandbox};

/// Returns a sealed memfd with the configuration of `profile` for the user
/// `(uid, gid, whether the helper has to become it)`. Its calls will carry `key`.
pub(super) fn file(
    profile: &Profile,
    view: &View,
    (uid, gid, become_user): (u32, u32, bool),
    key: Key,
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
    for word in key.arguments() {
        bytes.extend(word.to_ne_bytes());
    }
    for word in [flags, uid, gid] {
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
        Sandbox::Required | Sandbox::BestEffort => policy::session(network, key),
    };
    let filter = helper::instructions(&filter);
    let length = u32::try_from(filter.len()).map_err(io::Error::other)?;
    bytes.extend(length.to_ne_bytes());
    bytes.extend(filter);
    bytes.extend_from_slice(&view.bytes);
    helper::sealed("capspawn-session", &bytes, MemfdFlags::empty())
}

//! A session's configuration, from its profile.

use std::io;
use std::os::fd::OwnedFd;

use capspawn_raw::wire::{Configuration, NetworkNamespace};
use rustix::fs::MemfdFlags;

use super::profile::Profile;
use super::view::View;
use crate::confinement::{Network, Sandbox};
use crate::launch::Identity;
use crate::sandbox::sys::linux::fd::memfd;
use crate::sandbox::sys::linux::policy::pass_key::Key;
use crate::sandbox::sys::linux::policy::{landlock, syscalls};

/// Returns a sealed memfd with the configuration of `profile` for the user `user`, to which
/// the session's processes change if `becomes_user`. Their own calls will carry `key`.
pub(crate) fn file(
    profile: &Profile,
    view: &View,
    (user, becomes_user): (Identity, bool),
    key: Key,
) -> io::Result<OwnedFd> {
    let network = profile.confinement.network;
    let filter = match profile.confinement.sandbox {
        Sandbox::None => Vec::new(),
        Sandbox::Required | Sandbox::BestEffort => syscalls::session(network, key),
    };
    let [list_rights, proc_rights, write_rights] = landlock::session_rights();
    let configuration = Configuration {
        becomes_user,
        network: match network {
            Network::None => NetworkNamespace::Own,
            Network::Loopback => NetworkNamespace::OwnWithLoopback,
            Network::Host => NetworkNamespace::Host,
        },
        uid: user.uid,
        gid: user.gid,
        // Pid 1 and the server count.
        tasks: profile
            .processes
            .map_or(u64::MAX, |tasks| tasks.saturating_add(2)),
        list_rights,
        proc_rights,
        write_rights,
        scopes: landlock::session_scopes(),
        filter: &memfd::instructions(&filter),
        operations: &view.bytes,
    };
    let mut bytes = Vec::new();
    configuration.write(key.arguments(), |part| bytes.extend_from_slice(part));
    memfd::sealed("capspawn-session", &bytes, MemfdFlags::empty())
}

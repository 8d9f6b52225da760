//! A session's configuration, from its profile.

use std::io;
use std::os::fd::OwnedFd;

use capspawn_raw::wire::{Configuration, NetworkNamespace};
use rustix::fs::MemfdFlags;

use super::profile::Profile;
use super::root_layout::RootLayout;
use super::user::SessionUser;
use crate::confinement::{Network, Sandbox};
use crate::sandbox::sys::linux::fd::memfd;
use crate::sandbox::sys::linux::policy::filter_pass::FilterPass;
use crate::sandbox::sys::linux::policy::set_group_id::SetGroupId;
use crate::sandbox::sys::linux::policy::{landlock, syscalls};

/// Returns a sealed memfd with the configuration of `profile` for `user`; `hides_cgroup` as in
/// [`Configuration::hides_cgroup`]. The own calls of the
/// session's processes will carry `pass`.
pub(crate) fn file(
    profile: &Profile,
    layout: &RootLayout,
    user: &SessionUser,
    hides_cgroup: bool,
    pass: FilterPass,
) -> io::Result<OwnedFd> {
    let network = profile.confinement.network;
    let filter = match profile.confinement.sandbox {
        Sandbox::None => Vec::new(),
        Sandbox::Required | Sandbox::BestEffort => {
            let rules = &profile.confinement.fs;
            let set_group_id = SetGroupId::in_session(user.identity, user.becomes, rules);
            syscalls::session_program(network, set_group_id, pass)
        }
    };
    let [list_rights, proc_rights, write_rights] = landlock::session_rights();
    let configuration = Configuration {
        becomes_user: user.becomes,
        hides_cgroup,
        network: match network {
            Network::None => NetworkNamespace::Own,
            Network::Loopback => NetworkNamespace::OwnWithLoopback,
            Network::Host => NetworkNamespace::Host,
        },
        uid: user.identity.uid,
        gid: user.identity.gid,
        inner_uid: user.inner_uid,
        // Pid 1 and the server count.
        tasks: profile
            .processes
            .map_or(u64::MAX, |tasks| tasks.saturating_add(2)),
        list_rights,
        proc_rights,
        write_rights,
        scopes: landlock::session_scopes(),
        filter: &memfd::instructions(&filter),
        operations: layout.bytes(),
    };
    let mut bytes = Vec::new();
    configuration.write(pass.arguments(), |part| bytes.extend_from_slice(part));
    memfd::sealed("capspawn-session", &bytes, MemfdFlags::empty())
}

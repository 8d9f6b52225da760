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
use crate::sandbox::sys::linux::policy::landlock;
use crate::sandbox::sys::linux::policy::set_group_id::SetGroupId;
use crate::sandbox::sys::linux::policy::syscalls::{self, FilterOptions, Groups};

/// Returns what the filter of a session depends on; `has_domain` is whether each child gets a Landlock domain of its own.
pub(super) fn options(set_group_id: SetGroupId, has_domain: bool) -> FilterOptions {
    FilterOptions {
        groups: Groups::of_domains(landlock::has_signal_scope()),
        has_domain,
        set_group_id,
    }
}

/// Returns a sealed memfd with the configuration of `profile` for `user`; `hides_cgroup` as in
/// [`Configuration::hides_cgroup`]; its filter depends on `options`. The own calls of the
/// session's processes will carry `pass`. If its children are observed, their own filters make the denials.
pub(crate) fn file(
    profile: &Profile,
    layout: &RootLayout,
    user: &SessionUser,
    options: FilterOptions,
    hides_cgroup: bool,
    pass: FilterPass,
    is_observed: bool,
) -> io::Result<OwnedFd> {
    let network = profile.confinement.network;
    let mut filter = match profile.confinement.sandbox {
        Sandbox::None => Vec::new(),
        Sandbox::Required | Sandbox::BestEffort => {
            syscalls::session_program(network, options, pass)
        }
    };
    if is_observed {
        syscalls::leave_denials(&mut filter);
    }
    let [list_rights, proc_rights, write_rights, terminal_rights] = landlock::session_rights();
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
        shared_memory_bytes: profile.tmpfs_bytes,
        list_rights,
        proc_rights,
        write_rights,
        terminal_rights,
        scopes: landlock::session_scopes(),
        filter: &memfd::instructions(&filter),
        system_v_filter: &memfd::instructions(&syscalls::system_v_denied()),
        operations: layout.bytes(),
    };
    let mut bytes = Vec::new();
    configuration.write(pass.arguments(), |part| bytes.extend_from_slice(part));
    memfd::sealed("capspawn-session", &bytes, MemfdFlags::empty())
}

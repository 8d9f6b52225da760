//! A user id for each owner, on hosts that run as root.
//!
//! The problem: the kernel counts inotify instances, descriptors in flight and keys by user,
//! and lets a process signal and trace the others of its user. Children of all owners that
//! run as one user share all of that, whatever else keeps them apart.
//!
//! The way chosen: an owner gets a user id of a range when its first child starts, and keeps
//! it until it has no guest, no session and no child. The group stays the same for all: the
//! kernel counts nothing by group, and files that the operator gave to the group stay usable.
//! Files that belong to the children's common user stay that user's on disk: a session shows
//! them as the owner's, through mounts that map the one id to the other (`session`). Outside
//! a session there are no such mounts, so that children with roots of that user run as that
//! user ([`roots`]).
//!
//! Rejected: an id computed from the owner's name. Two names can have one id, and then they
//! share what is to be kept apart. Rejected: access control lists on the write roots. They
//! change the operator's files, and files that exist already need one each. Rejected: the
//! owner's id as the real user alone. A program whose real and effective users differ counts
//! as set-user-ID, so that shells and the dynamic linker behave differently.

mod host_lock;
mod ids;
mod in_use;
pub(crate) mod roots;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use self::host_lock::HostLock;
use self::ids::Ids;
use crate::launch::{LaunchError, Owner, OwnerUids, Scope, Stage};
use crate::shortage::Shortage;

pub(crate) use self::in_use::is_mapped;

/// The owners of running children, and their user ids.
#[derive(Debug)]
pub(crate) struct Owners {
    uids: OwnerUids,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    ids: Ids,
    guests: HashMap<Scope, Guest>,
    leases: HashMap<Name, Weak<Lease>>,
}

/// A guest, and the user id of its owner once the guest has started a child.
#[derive(Debug)]
struct Guest {
    owner: Name,
    lease: Option<Arc<Lease>>,
}

/// Names an owner. A guest whose owner is unknown is one of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Name {
    Known { component: String, tenant: String },
    Unknown(Scope),
}

/// A user id that belongs to one owner. It is given back when the last copy is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    uid: u32,
    /// Whether it is no owner's yet.
    is_reserved: AtomicBool,
    /// Whether a process may have left its tree, and run on after its child has ended.
    may_leave_processes: AtomicBool,
    state: Arc<Mutex<State>>,
}

impl Owners {
    pub(crate) fn new(uids: OwnerUids) -> Self {
        let state = State {
            ids: Ids::new(uids, HostLock::open()),
            guests: HashMap::new(),
            leases: HashMap::new(),
        };
        Self {
            uids,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Returns the range of ids.
    pub(crate) fn uids(&self) -> OwnerUids {
        self.uids
    }

    /// Learns the owner of a guest.
    pub(crate) fn open(&self, scope: Scope, owner: Owner<'_>) {
        let owner = Name::Known {
            component: owner.component.to_owned(),
            tenant: owner.tenant.to_owned(),
        };
        let guest = Guest { owner, lease: None };
        let replaced = self.state.lock().guests.insert(scope, guest);
        // Not under the lock, which giving an id back takes.
        drop(replaced);
    }

    /// Forgets a guest. Its owner keeps the id as long as it has another guest, a session or
    /// a child.
    pub(crate) fn close(&self, scope: Scope) {
        let guest = self.state.lock().guests.remove(&scope);
        drop(guest);
    }

    /// Returns the user id of the guest's owner, who gets one now if it has none.
    ///
    /// # Errors
    ///
    /// [`Stage::Identity`], with [`Shortage::UserIds`] where every id is another owner's.
    pub(crate) fn lease(&self, scope: Scope) -> Result<Arc<Lease>, LaunchError> {
        if let Some(lease) = self.known(scope) {
            return Ok(lease);
        }
        let reserved = self.reserve()?;
        let mut state = self.state.lock();
        // Another thread may have been faster.
        if let Some(lease) = state.find(scope) {
            return Ok(lease);
        }
        state.give(scope, &reserved);
        Ok(reserved)
    }

    /// Returns the user id of the guest's owner, if the owner has one.
    pub(crate) fn known(&self, scope: Scope) -> Option<Arc<Lease>> {
        self.state.lock().find(scope)
    }

    /// Returns a user id that is no owner's yet.
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    pub(crate) fn reserve(&self) -> Result<Arc<Lease>, LaunchError> {
        let at_identity = |source| LaunchError::new(Stage::Identity, source);
        let known = self.state.lock().ids.take_known();
        let uid = match known {
            Some(uid) => uid,
            None => {
                // Not under the lock: it reads a file for each process of the machine.
                let in_use = in_use::uids().map_err(at_identity)?;
                let taken = self.state.lock().ids.take(&in_use);
                taken.ok_or_else(|| at_identity(Shortage::UserIds.into()))?
            }
        };
        Ok(Arc::new(Lease {
            uid,
            is_reserved: AtomicBool::new(true),
            may_leave_processes: AtomicBool::new(false),
            state: Arc::clone(&self.state),
        }))
    }

    /// Returns whether the id of `lease` is that of the guest's owner: it was before, or the owner had none and it was
    /// no owner's, and it is from here on.
    pub(crate) fn assign(&self, scope: Scope, lease: &Arc<Lease>) -> bool {
        let mut state = self.state.lock();
        match state.find(scope) {
            Some(owners) => Arc::ptr_eq(&owners, lease),
            None if lease.is_reserved.load(Ordering::Relaxed) => {
                state.give(scope, lease);
                true
            }
            // Another owner's.
            None => false,
        }
    }
}

impl State {
    fn guest(&mut self, scope: Scope) -> &mut Guest {
        self.guests.entry(scope).or_insert_with(|| Guest {
            owner: Name::Unknown(scope),
            lease: None,
        })
    }

    /// Makes the id of `reserved` that of the guest's owner, who has none.
    fn give(&mut self, scope: Scope, reserved: &Arc<Lease>) {
        reserved.is_reserved.store(false, Ordering::Relaxed);
        let guest = self.guest(scope);
        guest.lease = Some(Arc::clone(reserved));
        let owner = guest.owner.clone();
        self.leases.insert(owner, Arc::downgrade(reserved));
    }

    /// Returns the lease of the guest's owner, if it has one.
    fn find(&mut self, scope: Scope) -> Option<Arc<Lease>> {
        let guest = self.guest(scope);
        if let Some(lease) = &guest.lease {
            return Some(Arc::clone(lease));
        }
        let owner = guest.owner.clone();
        let lease = self.leases.get(&owner)?.upgrade()?;
        self.guest(scope).lease = Some(Arc::clone(&lease));
        Some(lease)
    }
}

impl Lease {
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// Notes that a child starts whose descendants can leave its tree: the id is given to
    /// another owner only when no process has it.
    pub(crate) fn may_leave_processes(&self) {
        self.may_leave_processes.store(true, Ordering::Relaxed);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        let leaves = *self.may_leave_processes.get_mut();
        state.ids.give_back(self.uid, leaves);
        // This one, unless its owner has a new one already.
        state.leases.retain(|_, lease| lease.strong_count() > 0);
    }
}

#[cfg(test)]
mod tests;

//! A cgroup for each child: the kernel itself counts and limits the memory, the tasks and the
//! processor time of the child's whole tree.
//!
//! The problem: rlimits hold for one process, and whoever samples `/proc` misses what a tree
//! holds elsewhere (page tables, socket buffers, pages of a mapping that it gave up) and what
//! lives shorter than a sample. The kernel charges all of it to a cgroup, at the moment it is
//! used.
//!
//! The way chosen: below its own cgroup the host makes one directory ([`place`]), and in it one
//! cgroup for each child ([`Leaf`]). Making and removing a cgroup takes about 150 µs, a third of a
//! spawn, so a cgroup that has become empty and holds nothing is used again. In version 1 the child enters by writing to `tasks`, in version 2 it is
//! cloned into the cgroup: writing to version 2's `cgroup.procs` waits for an RCU grace period
//! of about 10 ms.
//!
//! Rejected: one cgroup for a session. Its children would share one limit, and the kernel would
//! end one of them for the memory of another. Rejected too: the cgroups of a service manager
//! over D-Bus, which costs milliseconds a child and needs a service manager.

mod directory;
mod entry;
mod hierarchy;
mod leaf_limits;
mod mounted;
mod place;
mod version1;
mod version2;

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

pub(crate) use self::entry::Entry;
pub(crate) use self::hierarchy::Controllers;
pub(crate) use self::place::Leaf;
use self::place::Place;
use crate::launch::{Identity, is_shortage};
use crate::limits::Limits;

/// The cgroups of a launcher's children.
#[derive(Debug, Default)]
pub(crate) struct Cgroups {
    /// None until it is known, and after a shortage.
    place: Mutex<Option<Result<Arc<Place>, &'static str>>>,
}

/// Why no cgroup can be made.
#[derive(Debug)]
pub(crate) enum Unavailable {
    /// The host offers none; what the operator can do about it.
    Hint(&'static str),
    /// The host was short of descriptors, memory or the like.
    Shortage(io::Error),
}

/// What the operator can do where the host may make no cgroup.
const DELEGATE_HINT: &str = "run the host in a delegated cgroup: `systemd-run --user --scope -p Delegate=yes`, or `Delegate=yes` in its unit";
const OFF_HINT: &str = "the embedder has turned cgroups off";

impl Cgroups {
    /// Returns a value that makes no cgroup.
    pub(crate) fn off() -> Self {
        Self {
            place: Mutex::new(Some(Err(OFF_HINT))),
        }
    }

    /// Returns what cgroups can limit and count on this host.
    ///
    /// # Errors
    ///
    /// Why there are none. A shortage is not kept: the next call looks again.
    pub(crate) fn controllers(&self) -> Result<Controllers, Unavailable> {
        self.place().map(|place| place.hierarchy().controllers())
    }

    /// Returns an empty cgroup with the limits of one child, which a child of `user` can enter, by
    /// `clone3(2)` where the system has it; none where the host has no place for cgroups.
    ///
    /// # Errors
    ///
    /// The error of making the cgroup. A host that can make cgroups starts no child without
    /// one: the child would have fewer limits than the report promises.
    pub(crate) fn assign(
        &self,
        limits: &Limits,
        user: Identity,
        has_clone3: bool,
    ) -> io::Result<Option<Leaf>> {
        let Some(place) = self.place_if_any()? else {
            return Ok(None);
        };
        match place.take(limits, user, has_clone3) {
            // Someone else has removed the directory.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::warn!("the host's cgroup was removed: making another");
                self.forget(&place);
                let place = self.place_if_any()?;
                let taken = place.map(|place| place.take(limits, user, has_clone3));
                taken.transpose()
            }
            taken => taken.map(Some),
        }
    }

    /// Returns the cgroup that a session's server has to be started in, so that it may clone
    /// children into theirs; none where that does not matter.
    pub(crate) fn servers(&self) -> io::Result<Option<Entry>> {
        match self.place_if_any()? {
            Some(place) => place.hierarchy().servers(),
            None => Ok(None),
        }
    }

    fn place_if_any(&self) -> io::Result<Option<Arc<Place>>> {
        match self.place() {
            Ok(place) => Ok(Some(place)),
            Err(Unavailable::Hint(_)) => Ok(None),
            Err(Unavailable::Shortage(error)) => Err(error),
        }
    }

    fn place(&self) -> Result<Arc<Place>, Unavailable> {
        let mut kept = self.place.lock();
        if let Some(place) = &*kept {
            return place.clone().map_err(Unavailable::Hint);
        }
        // Under the lock, once: with version 2 two threads that move the host would undo each other's work.
        let place = match Place::find() {
            Ok(place) => Ok(Arc::new(place)),
            Err(error) if is_shortage(&error) => return Err(Unavailable::Shortage(error)),
            Err(error) => {
                tracing::debug!(%error, "no cgroup can be made here");
                Err(DELEGATE_HINT)
            }
        };
        kept.insert(place).clone().map_err(Unavailable::Hint)
    }

    /// Forgets a place that is gone, unless another has taken its place already.
    fn forget(&self, gone: &Arc<Place>) {
        let mut kept = self.place.lock();
        let is_gone = |place: &mut Result<_, _>| matches!(place, Ok(it) if Arc::ptr_eq(it, gone));
        let forgotten = kept.take_if(is_gone);
        drop(kept);
        // Not under the lock: it waits for the cgroups to become empty.
        drop(forgotten);
    }
}

#[cfg(test)]
mod tests;

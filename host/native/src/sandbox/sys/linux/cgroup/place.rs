//! The host's place for cgroups, and the cgroups in it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::entry::{Entry, LeafLimits};
use super::mounted::Mounted;
use super::version1::Version1;
use super::version2::Version2;
use crate::launch::{Identity, TreeCounters};
use crate::limits::Limits;

/// Empty cgroups that are kept for later children.
const KEPT: usize = 16;
/// The most memory that may still be charged to an empty cgroup that is used again: 1 MiB. The
/// kernel charges in batches of 64 pages a processor, and gives them back late.
const LEFT_BYTES: u64 = 1024 * 1024;

/// What cgroups can limit and count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Controllers {
    pub(crate) memory: bool,
    pub(crate) tasks: bool,
    pub(crate) cpu: bool,
}

#[derive(Debug)]
enum Hierarchy {
    V1(Version1),
    V2(Version2),
}

/// The host's directory, or with version 1 one for each controller.
#[derive(Debug)]
pub(super) struct Place {
    hierarchy: Hierarchy,
    next: AtomicU64,
    idle: Mutex<Vec<Cgroup>>,
    /// To be removed as soon as they are empty.
    ended: Mutex<Vec<String>>,
}

/// A cgroup, its limits, and the processor time of those that were in it before.
#[derive(Debug)]
struct Cgroup {
    name: String,
    limits: LeafLimits,
    cpu_before: Duration,
}

impl Place {
    /// Makes the directory where this host may.
    ///
    /// # Errors
    ///
    /// The error at the last place that was tried.
    pub(super) fn find() -> io::Result<Self> {
        let mounted = Mounted::all()?;
        let second = mounted.iter().find(|it| it.controllers.is_none());
        let second = second.map(Version2::make);
        let hierarchy = match second {
            Some(Ok(version2)) => Hierarchy::V2(version2),
            // Both versions may be mounted, the controllers in one of them.
            _ => Hierarchy::V1(Version1::make(&mounted)?),
        };
        Ok(Self {
            hierarchy,
            next: AtomicU64::new(0),
            idle: Mutex::default(),
            ended: Mutex::default(),
        })
    }

    pub(super) fn controllers(&self) -> Controllers {
        match &self.hierarchy {
            Hierarchy::V1(it) => it.controllers(),
            Hierarchy::V2(it) => Controllers {
                memory: true,
                tasks: it.has_tasks(),
                cpu: true,
            },
        }
    }

    /// Returns an empty cgroup with these limits.
    pub(super) fn take(self: &Arc<Self>, limits: &Limits) -> io::Result<Leaf> {
        self.remove_ended();
        let limits = LeafLimits::of(limits);
        let kept = {
            let mut idle = self.idle.lock();
            let equal = idle.iter().rposition(|cgroup| cgroup.limits == limits);
            equal
                .map(|index| idle.swap_remove(index))
                .or_else(|| idle.pop())
        };
        if let Some(mut cgroup) = kept {
            if self.prepare(&mut cgroup, limits).is_ok() {
                return Ok(Leaf {
                    place: Arc::clone(self),
                    cgroup,
                });
            }
            self.end(cgroup.name);
        }
        let name = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        self.add(&name)?;
        let leaf = Leaf {
            place: Arc::clone(self),
            cgroup: Cgroup {
                name,
                limits,
                cpu_before: Duration::ZERO,
            },
        };
        self.set_limits(&leaf.cgroup.name, limits)?;
        Ok(leaf)
    }

    /// Prepares a kept cgroup for another child.
    fn prepare(&self, cgroup: &mut Cgroup, limits: LeafLimits) -> io::Result<()> {
        if cgroup.limits != limits {
            self.set_limits(&cgroup.name, limits)?;
            cgroup.limits = limits;
        }
        match &self.hierarchy {
            Hierarchy::V1(it) => it.reset(&cgroup.name),
            Hierarchy::V2(it) => it.reset(&cgroup.name),
        }
    }

    /// Returns whether nothing of a child is left in the cgroup, and nothing that its counters
    /// would carry over to the next: it had one task, which has been reaped.
    fn is_as_new(&self, cgroup: &mut Cgroup) -> bool {
        let counters = self.counters(&cgroup.name);
        let Ok(counters) = counters else { return false };
        cgroup.cpu_before = counters.usage.cpu.unwrap_or_default();
        let left = match &self.hierarchy {
            Hierarchy::V1(it) => it.memory_bytes(&cgroup.name),
            Hierarchy::V2(it) => it.memory_bytes(&cgroup.name),
        };
        counters.usage.peak_tasks.is_some_and(|tasks| tasks <= 1)
            && !counters.out_of_memory
            && left.is_ok_and(|bytes| bytes <= LEFT_BYTES)
    }

    fn give_back(&self, mut cgroup: Cgroup) {
        if self.is_as_new(&mut cgroup) {
            let mut idle = self.idle.lock();
            if idle.len() < KEPT {
                idle.push(cgroup);
                return;
            }
        }
        self.end(cgroup.name);
    }

    /// Removes a cgroup, now or once it is empty.
    fn end(&self, name: String) {
        if self.remove(&name).is_err() {
            self.ended.lock().push(name);
        }
    }

    /// Removes cgroups that have become empty, a few at a time.
    fn remove_ended(&self) {
        const AT_ONCE: usize = 4;
        for _ in 0..AT_ONCE {
            let Some(name) = self.ended.lock().pop() else {
                return;
            };
            if self.remove(&name).is_err() {
                // The others have not been waiting for longer.
                self.ended.lock().insert(0, name);
                return;
            }
        }
    }

    fn add(&self, name: &str) -> io::Result<()> {
        match &self.hierarchy {
            Hierarchy::V1(it) => it.add(name),
            Hierarchy::V2(it) => it.add(name),
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match &self.hierarchy {
            Hierarchy::V1(it) => it.remove(name),
            Hierarchy::V2(it) => it.remove(name),
        }
    }

    fn set_limits(&self, name: &str, limits: LeafLimits) -> io::Result<()> {
        match &self.hierarchy {
            Hierarchy::V1(it) => it.set_limits(name, limits),
            Hierarchy::V2(it) => it.set_limits(name, limits),
        }
    }

    fn counters(&self, name: &str) -> io::Result<TreeCounters> {
        match &self.hierarchy {
            Hierarchy::V1(it) => it.counters(name),
            Hierarchy::V2(it) => it.counters(name),
        }
    }

    /// Returns the cgroup of a session's server, where that matters.
    pub(super) fn servers(&self) -> io::Result<Option<Entry>> {
        match &self.hierarchy {
            Hierarchy::V1(_) => Ok(None),
            Hierarchy::V2(it) => it.servers().map(Some),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What was killed just now leaves its cgroup within milliseconds.
        const ATTEMPTS: u32 = 50;
        const PAUSE: Duration = Duration::from_millis(2);
        let idle = std::mem::take(self.idle.get_mut());
        let mut names = std::mem::take(self.ended.get_mut());
        names.extend(idle.into_iter().map(|cgroup| cgroup.name));
        for _ in 0..ATTEMPTS {
            names.retain(|name| self.remove(name).is_err());
            if names.is_empty() {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        tracing::debug!(?names, "cgroups are left to the next host");
    }
}

/// The cgroup of one child, from before its start until it is reaped.
#[derive(Debug)]
pub(crate) struct Leaf {
    place: Arc<Place>,
    cgroup: Cgroup,
}

impl Leaf {
    /// Returns the cgroup's name.
    #[cfg(test)]
    pub(super) fn name(&self) -> &str {
        &self.cgroup.name
    }

    /// Returns how a child of the user `user` enters. `has_clone3`: the system can clone it there.
    pub(crate) fn entry(&self, user: Identity, has_clone3: bool) -> io::Result<Entry> {
        let name = &self.cgroup.name;
        match &self.place.hierarchy {
            Hierarchy::V1(it) => it.enter(name),
            Hierarchy::V2(it) => it.enter(name, user.uid, has_clone3),
        }
    }

    /// Returns what the kernel has counted since the child entered.
    pub(crate) fn counters(&self) -> TreeCounters {
        let Ok(mut counters) = self.place.counters(&self.cgroup.name) else {
            // It was removed, or the host is short of descriptors: the registry samples.
            return TreeCounters::default();
        };
        let before = self.cgroup.cpu_before;
        counters.usage.cpu = counters.usage.cpu.map(|cpu| cpu.saturating_sub(before));
        if self.cgroup.limits.memory_is_sampled {
            counters.usage.peak_memory_bytes = None;
        }
        counters.tasks_enforced = self.place.controllers().tasks;
        counters
    }

    /// Kills all processes in the cgroup, where the kernel has a call for that.
    pub(crate) fn kill(&self) {
        if let Hierarchy::V2(it) = &self.place.hierarchy {
            let _ = it.kill(&self.cgroup.name);
        }
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        let cgroup = Cgroup {
            name: std::mem::take(&mut self.cgroup.name),
            ..self.cgroup
        };
        self.place.give_back(cgroup);
    }
}

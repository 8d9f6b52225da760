//! The host's place for cgroups, and the cgroups in it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::{pwrite, retry_on_intr};

use super::directory::number;
use super::entry::{Controllers, CounterFiles, Entry, Kept, LeafLimits};
use super::mounted::Mounted;
use super::version1::Version1;
use super::version2::Version2;
use crate::launch::{Identity, TreeCounters, TreeUsage};
use crate::limits::Limits;

/// Empty cgroups that are kept for later children, and cgroups whose files are kept open: six
/// files each.
const KEPT: usize = 16;
/// The most memory that may still be charged to an empty cgroup that is used again: 1 MiB. The
/// kernel charges in batches of 64 pages a processor, and gives them back late.
const LEFT_BYTES: u64 = 1024 * 1024;

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
    /// Cgroups whose files are open.
    open: AtomicUsize,
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
    kept: Option<Kept>,
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
            open: AtomicUsize::new(0),
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

    /// Returns the cgroup of a session's server, where that matters.
    pub(super) fn servers(&self) -> io::Result<Option<Entry>> {
        match &self.hierarchy {
            Hierarchy::V1(_) => Ok(None),
            Hierarchy::V2(it) => it.servers().map(Some),
        }
    }

    /// Returns an empty cgroup with these limits, which a child of `user` can enter.
    pub(super) fn take(
        self: &Arc<Self>,
        limits: &Limits,
        user: Identity,
        has_clone3: bool,
    ) -> io::Result<Leaf> {
        self.remove_ended();
        let limits = LeafLimits::of(limits);
        let kept = {
            let mut idle = self.idle.lock();
            let equal = idle.iter().rposition(|cgroup| cgroup.limits == limits);
            let index = equal.or(idle.len().checked_sub(1));
            index.map(|index| idle.swap_remove(index))
        };
        let cgroup = match kept {
            Some(cgroup) => cgroup,
            None => self.add(limits)?,
        };
        let mut leaf = Leaf {
            place: Arc::clone(self),
            cgroup,
            entry: None,
            counted: Mutex::default(),
        };
        if leaf.cgroup.limits != limits {
            self.set_limits(&leaf.cgroup.name, limits)?;
            leaf.cgroup.limits = limits;
        }
        // What is kept is for a clone by the host's own user.
        let is_other = self.belongs_to_user() || !has_clone3;
        if leaf.cgroup.kept.is_none() || is_other {
            leaf.entry = Some(self.enter(&leaf.cgroup.name, user, has_clone3)?);
        }
        Ok(leaf)
    }

    /// Makes a cgroup.
    fn add(&self, limits: LeafLimits) -> io::Result<Cgroup> {
        let name = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        match &self.hierarchy {
            Hierarchy::V1(it) => it.add(&name),
            Hierarchy::V2(it) => it.add(&name),
        }?;
        let prepared = self.set_limits(&name, limits);
        if let Err(error) = prepared {
            self.end(name);
            return Err(error);
        }
        Ok(Cgroup {
            kept: self.keep(&name),
            name,
            limits,
            cpu_before: Duration::ZERO,
        })
    }

    /// Opens the files of a cgroup, unless so many are open already or the host is short of
    /// descriptors. They are opened for each use then.
    fn keep(&self, name: &str) -> Option<Kept> {
        let counters = (self.open.load(Ordering::Relaxed) < KEPT)
            .then(|| self.counter_files(name))?
            .ok()?;
        let entry = match &self.hierarchy {
            Hierarchy::V1(it) => it.enter(name),
            Hierarchy::V2(it) => it.enter(name, Identity::host().uid, true),
        };
        let entry = entry.ok()?;
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Kept { entry, counters })
    }

    /// Whether a cgroup must be given to the user who is to enter it.
    fn belongs_to_user(&self) -> bool {
        matches!(self.hierarchy, Hierarchy::V2(_)) && Identity::host().is_root()
    }

    fn enter(&self, name: &str, user: Identity, has_clone3: bool) -> io::Result<Entry> {
        match &self.hierarchy {
            Hierarchy::V1(it) => it.enter(name),
            Hierarchy::V2(it) => it.enter(name, user.uid, has_clone3),
        }
    }

    fn counter_files(&self, name: &str) -> io::Result<CounterFiles> {
        match &self.hierarchy {
            Hierarchy::V1(it) => it.counter_files(name),
            Hierarchy::V2(it) => it.counter_files(name),
        }
    }

    fn counters(&self, cgroup: &Cgroup) -> io::Result<TreeCounters> {
        let opened;
        let files = match &cgroup.kept {
            Some(kept) => &kept.counters,
            None => {
                opened = self.counter_files(&cgroup.name)?;
                &opened
            }
        };
        let (name, limits) = (&cgroup.name, cgroup.limits);
        let cpu = |file| match &self.hierarchy {
            Hierarchy::V1(_) => Version1::cpu(file),
            Hierarchy::V2(_) => Version2::cpu(file),
        };
        let peak = files.memory_peak.as_ref().map(number).transpose()?;
        let usage = TreeUsage {
            peak_memory_bytes: peak.filter(|_| !limits.memory_is_sampled),
            cpu: files.cpu.as_ref().map(cpu).transpose()?,
            peak_tasks: files.tasks_peak.as_ref().map(number).transpose()?,
        };
        // Without this many bytes in use the kernel had no reason.
        let is_near = |limit: u64| peak.is_none_or(|peak| peak >= limit.saturating_sub(LEFT_BYTES));
        let kills = match limits.memory_bytes.is_some_and(is_near) {
            false => 0,
            true => match &self.hierarchy {
                Hierarchy::V1(it) => it.memory_kills(name)?,
                Hierarchy::V2(it) => it.memory_kills(name)?,
            },
        };
        Ok(TreeCounters {
            usage: TreeUsage {
                cpu: usage.cpu.map(|cpu| cpu.saturating_sub(cgroup.cpu_before)),
                ..usage
            },
            out_of_memory: kills > 0,
            tasks_enforced: self.controllers().tasks,
        })
    }

    /// Returns whether nothing of a child is left in the cgroup that its counters would carry
    /// over to the next: it had one task, which has been reaped, and used no memory that
    /// outlives it. `counted` is what it had used then.
    fn is_as_new(&self, cgroup: &mut Cgroup, counted: &TreeCounters) -> bool {
        let one_task = counted.usage.peak_tasks.is_some_and(|tasks| tasks <= 1);
        let Some(peak) = cgroup
            .kept
            .as_ref()
            .and_then(|kept| kept.counters.memory_peak.as_ref())
        else {
            return false;
        };
        if !one_task || counted.out_of_memory {
            return false;
        }
        // What never was there is not left.
        let few = |bytes: u64| bytes <= LEFT_BYTES;
        let has_few_left = || match &self.hierarchy {
            Hierarchy::V1(it) => it.memory_bytes(&cgroup.name).is_ok_and(few),
            Hierarchy::V2(it) => it.memory_bytes(&cgroup.name).is_ok_and(few),
        };
        if !(counted.usage.peak_memory_bytes.is_some_and(few) || has_few_left()) {
            return false;
        }
        cgroup.cpu_before += counted.usage.cpu.unwrap_or_default();
        let forget: &[u8] = match &self.hierarchy {
            Hierarchy::V1(_) => b"0",
            Hierarchy::V2(_) => b"reset",
        };
        retry_on_intr(|| pwrite(peak, forget, 0)).is_ok()
    }

    fn give_back(&self, mut cgroup: Cgroup, counted: Option<TreeCounters>) {
        let counted = counted.or_else(|| self.counters(&cgroup).ok());
        if counted.is_some_and(|counted| self.is_as_new(&mut cgroup, &counted)) {
            let mut idle = self.idle.lock();
            if idle.len() < KEPT {
                idle.push(cgroup);
                return;
            }
        }
        if cgroup.kept.take().is_some() {
            self.open.fetch_sub(1, Ordering::Relaxed);
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
                // The others have been waiting for longer.
                self.ended.lock().insert(0, name);
                return;
            }
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
    /// Where it is not kept.
    entry: Option<Entry>,
    /// What was last counted.
    counted: Mutex<Option<TreeCounters>>,
}

impl Leaf {
    /// Returns the cgroup's name.
    #[cfg(test)]
    pub(super) fn name(&self) -> &str {
        &self.cgroup.name
    }

    /// Returns how the child enters; none once it has entered.
    pub(crate) fn entry(&self) -> Option<&Entry> {
        let kept = self.cgroup.kept.as_ref().map(|kept| &kept.entry);
        self.entry.as_ref().or(kept)
    }

    /// Whether the kernel refuses tasks over the limit.
    pub(crate) fn limits_tasks(&self) -> bool {
        self.place.controllers().tasks
    }

    /// Closes what only entering needs.
    #[must_use]
    pub(crate) fn entered(mut self) -> Self {
        self.entry = None;
        self
    }

    /// Returns what the kernel has counted since the child entered.
    pub(crate) fn counters(&self) -> TreeCounters {
        let mut counted = self.counted.lock();
        match self.place.counters(&self.cgroup) {
            Ok(counters) => *counted.insert(counters),
            Err(error) => {
                // It was removed, or the host is short of descriptors: the registry samples.
                tracing::debug!(%error, "could not read the counters of a cgroup");
                TreeCounters::default()
            }
        }
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
            kept: self.cgroup.kept.take(),
            ..self.cgroup
        };
        self.place.give_back(cgroup, self.counted.get_mut().take());
    }
}

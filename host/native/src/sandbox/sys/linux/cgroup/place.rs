//! The host's place for cgroups, and the cgroups in it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::io::{pwrite, retry_on_intr};

use super::directory::number;
use super::entry::Entry;
use super::hierarchy::{CounterFiles, Hierarchy};
use super::leaf_limits::LeafLimits;
use super::mounted::Mounted;
use super::version1::Version1;
use super::version2::Version2;
use crate::launch::{Identity, TreeCounters, TreeUsage};
use crate::limits::Limits;
use crate::sandbox::sys::linux::deadline::Deadline;
use crate::sandbox::sys::linux::deferred::Deferred;

/// Empty cgroups that are kept for later children, and cgroups whose files are kept open: seven
/// files each.
const KEPT: usize = 16;
/// Cgroups that a launch removes at most: 4.
const AT_ONCE: usize = 4;

/// The most memory that may still be charged to an empty cgroup that is used again: 1 MiB. The
/// kernel charges in batches of 64 pages a processor, and gives them back late.
const LEFT_BYTES: u64 = 1024 * 1024;

/// The host's place: its directory, and what becomes of the cgroups in it.
#[derive(Debug)]
pub(super) struct Place {
    hierarchy: Box<dyn Hierarchy>,
    next: AtomicU64,
    /// Cgroups whose files are open.
    open: AtomicUsize,
    idle: Mutex<Vec<Cgroup>>,
    /// To be removed as soon as they are empty.
    ended: Mutex<Vec<String>>,
    /// Their removal: a thousand children that end at once do not wait for it.
    removal: Deferred,
}

/// Open files of a cgroup. To open them for each child would cost 4 % of a spawn.
#[derive(Debug)]
struct Kept {
    entry: Entry,
    counters: CounterFiles,
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
        let hierarchy: Box<dyn Hierarchy> = match second {
            Some(Ok(version2)) => Box::new(version2),
            // Both versions may be mounted, the controllers in one of them.
            _ => Box::new(Version1::make(&mounted)?),
        };
        Ok(Self {
            hierarchy,
            next: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            idle: Mutex::default(),
            ended: Mutex::default(),
            removal: Deferred::default(),
        })
    }

    pub(super) fn hierarchy(&self) -> &dyn Hierarchy {
        &*self.hierarchy
    }

    /// Returns an empty cgroup with these limits, which a child of `user` can enter.
    pub(super) fn take(
        self: &Arc<Self>,
        limits: &Limits,
        user: Identity,
        has_clone3: bool,
    ) -> io::Result<Leaf> {
        self.remove_ended(AT_ONCE);
        let limits = LeafLimits::of(limits);
        let cgroup = match self.take_idle(limits) {
            Some(cgroup) => self.limit(cgroup, limits)?,
            None => self.add(limits, has_clone3)?,
        };
        let mut leaf = Leaf {
            place: Arc::clone(self),
            cgroup,
            entry: None,
            counted: Mutex::default(),
        };
        let name = &leaf.cgroup.name;
        self.hierarchy.give_to(name, user)?;
        if leaf.cgroup.kept.is_none() {
            leaf.entry = Some(self.hierarchy.entry(name, has_clone3)?);
        }
        Ok(leaf)
    }

    /// Returns a kept cgroup, with equal limits if there is one.
    fn take_idle(&self, limits: LeafLimits) -> Option<Cgroup> {
        let mut idle = self.idle.lock();
        let equal = idle.iter().rposition(|cgroup| cgroup.limits == limits);
        let index = equal.or(idle.len().checked_sub(1))?;
        Some(idle.swap_remove(index))
    }

    /// Sets the limits of a kept cgroup, or removes it: after a failure its limits are unknown.
    fn limit(&self, mut cgroup: Cgroup, limits: LeafLimits) -> io::Result<Cgroup> {
        if cgroup.limits != limits {
            if let Err(error) = self.hierarchy.set_limits(&cgroup.name, limits) {
                self.remove(self.close(cgroup));
                return Err(error);
            }
            cgroup.limits = limits;
        }
        Ok(cgroup)
    }

    /// Makes a cgroup.
    fn add(&self, limits: LeafLimits, has_clone3: bool) -> io::Result<Cgroup> {
        let name = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        self.hierarchy.add(&name)?;
        if let Err(error) = self.hierarchy.set_limits(&name, limits) {
            self.remove(name);
            return Err(error);
        }
        Ok(Cgroup {
            kept: self.keep(&name, has_clone3),
            name,
            limits,
            cpu_before: Duration::ZERO,
        })
    }

    /// Opens the files of a cgroup, unless so many are open already or the host is short of
    /// descriptors. They are opened for each use then.
    fn keep(&self, name: &str, has_clone3: bool) -> Option<Kept> {
        if self.open.load(Ordering::Relaxed) >= KEPT {
            return None;
        }
        let kept = Kept {
            entry: self.hierarchy.entry(name, has_clone3).ok()?,
            counters: self.hierarchy.counter_files(name).ok()?,
        };
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(kept)
    }

    fn counters(&self, cgroup: &Cgroup) -> io::Result<TreeCounters> {
        let opened;
        let files = match &cgroup.kept {
            Some(kept) => &kept.counters,
            None => {
                opened = self.hierarchy.counter_files(&cgroup.name)?;
                &opened
            }
        };
        let (name, limits) = (&cgroup.name, cgroup.limits);
        let controllers = self.hierarchy.controllers();
        let memory = match &files.memory_peak {
            Some(peak) => Some(number(peak)?),
            // Without a peak the registry keeps the largest of what it is given.
            None if controllers.memory => Some(self.hierarchy.memory_bytes(name)?),
            None => None,
        };
        let cpu = files.cpu.as_ref().map(|file| self.hierarchy.cpu(file));
        // Well below its limit the kernel had no reason to end a process.
        let is_near = |limit: u64| {
            let enough = limit.saturating_sub(LEFT_BYTES);
            files.memory_peak.is_none() || memory.is_some_and(|peak| peak >= enough)
        };
        let may_have_ended = limits.memory_bytes.is_some_and(is_near);
        Ok(TreeCounters {
            usage: TreeUsage {
                peak_memory_bytes: memory.filter(|_| !limits.memory_is_sampled),
                cpu: cpu
                    .transpose()?
                    .map(|cpu| cpu.saturating_sub(cgroup.cpu_before)),
                peak_tasks: files.tasks_peak.as_ref().map(number).transpose()?,
            },
            out_of_memory: may_have_ended && self.hierarchy.memory_kills(name)? > 0,
            tasks_enforced: controllers.tasks,
        })
    }

    /// Returns whether nothing of a child is left in the cgroup, nor anything that its counters would carry
    /// over to the next: it had one task, which has been reaped, and used no memory that
    /// outlives it. `counted` is what it had used when it was last counted, perhaps before its end.
    fn is_as_new(&self, cgroup: &mut Cgroup, counted: &TreeCounters) -> bool {
        let TreeUsage {
            peak_memory_bytes,
            cpu,
            peak_tasks: _,
        } = counted.usage;
        let few = |bytes: u64| bytes <= LEFT_BYTES;
        // What never was there is not left.
        let has_few_left = || {
            let left = || self.hierarchy.memory_bytes(&cgroup.name);
            peak_memory_bytes.is_some_and(few) || left().is_ok_and(few)
        };
        let Some(files) = cgroup.kept.as_ref().map(|kept| &kept.counters) else {
            return false;
        };
        let Some(peak) = &files.memory_peak else {
            return false;
        };
        // Read now: a child that could not be killed may still be there, and may have forked since the last count.
        let at_most = |file: &Option<OwnedFd>, most| {
            let tasks = file.as_ref().map(number);
            tasks.is_some_and(|tasks| tasks.is_ok_and(|tasks| tasks <= most))
        };
        let is_empty = at_most(&files.tasks, 0) && at_most(&files.tasks_peak, 1);
        if !is_empty || counted.out_of_memory || !has_few_left() {
            return false;
        }
        cgroup.cpu_before += cpu.unwrap_or_default();
        retry_on_intr(|| pwrite(peak, self.hierarchy.forget(), 0)).is_ok()
    }

    fn give_back(self: &Arc<Self>, mut cgroup: Cgroup, counted: Option<TreeCounters>) {
        let counted = counted.or_else(|| self.counters(&cgroup).ok());
        if counted.is_some_and(|counted| self.is_as_new(&mut cgroup, &counted)) {
            let mut idle = self.idle.lock();
            if idle.len() < KEPT {
                idle.push(cgroup);
                return;
            }
        }
        let name = self.close(cgroup);
        self.ended.lock().push(name);
        self.removal
            .request(self, |place| place.remove_ended(usize::MAX));
    }

    /// Closes the files of a cgroup, and returns its name.
    fn close(&self, cgroup: Cgroup) -> String {
        if cgroup.kept.is_some() {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
        cgroup.name
    }

    /// Removes a cgroup, now or once it is empty.
    fn remove(&self, name: String) {
        if self.hierarchy.remove(&name).is_err() {
            self.ended.lock().push(name);
        }
    }

    /// Removes cgroups that have become empty, at most `count` of them.
    fn remove_ended(&self, count: usize) {
        let ended = {
            let mut ended = self.ended.lock();
            let rest = ended.len().saturating_sub(count);
            ended.split_off(rest)
        };
        for name in ended {
            if self.hierarchy.remove(&name).is_err() {
                // The others have been waiting for longer.
                self.ended.lock().insert(0, name);
            }
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
            names.retain(|name| self.hierarchy.remove(name).is_err());
            if names.is_empty() {
                return;
            }
            Deadline::after(PAUSE).sleep();
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
        self.place.hierarchy.controllers().tasks
    }

    /// Whether the kernel has never counted more than one task, which has ended by now.
    pub(crate) fn had_one_task(&self) -> bool {
        let tasks = match &self.cgroup.kept {
            Some(kept) => kept.counters.tasks_peak.as_ref().map(number),
            None => self.counters().usage.peak_tasks.map(Ok),
        };
        tasks.is_some_and(|tasks| tasks.is_ok_and(|tasks| tasks <= 1))
    }

    /// Whether the kernel enforces the child's limit on memory.
    pub(crate) fn limits_memory(&self) -> bool {
        let limits = self.cgroup.limits;
        let is_set = limits.memory_bytes.is_some() && !limits.memory_is_sampled;
        is_set && self.place.hierarchy.controllers().memory
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
        self.place.hierarchy.kill(&self.cgroup.name);
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

#[cfg(test)]
mod tests;

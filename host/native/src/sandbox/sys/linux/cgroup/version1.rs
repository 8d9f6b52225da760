//! The cgroups of version 1: a hierarchy of its own for each controller.

use std::io;
use std::time::Duration;

use rustix::fs::OFlags;

use super::directory::Directory;
use super::entry::{Entry, LeafLimits};
use super::mounted::Mounted;
use super::place::Controllers;
use crate::launch::{TreeCounters, TreeUsage};
use crate::sandbox::sys::linux::fd::stdio::above_stdio;

/// The host's directories, one for each controller that it may use.
#[derive(Debug)]
pub(super) struct Version1 {
    memory: Option<Directory>,
    tasks: Option<Directory>,
    cpu: Option<Directory>,
}

impl Version1 {
    /// Makes the directories.
    ///
    /// # Errors
    ///
    /// The error of the last, if none can be made.
    pub(super) fn make(mounted: &[Mounted]) -> io::Result<Self> {
        let mut error: io::Error = io::ErrorKind::NotFound.into();
        let mut used = Vec::new();
        let mut make = |controller| {
            let own = &mounted.iter().find(|it| it.has_v1(controller))?.own;
            // Controllers that share a hierarchy share its cgroups too: one directory, one controller.
            if used.contains(own) {
                return None;
            }
            let made = Directory::make(own).map_err(|it| error = it).ok()?;
            used.push(own.clone());
            Some(made)
        };
        let directories = Self {
            memory: make("memory"),
            tasks: make("pids"),
            cpu: make("cpuacct"),
        };
        if directories.all().next().is_none() {
            return Err(error);
        }
        Ok(directories)
    }

    fn all(&self) -> impl Iterator<Item = &Directory> {
        [&self.memory, &self.tasks, &self.cpu].into_iter().flatten()
    }

    pub(super) fn controllers(&self) -> Controllers {
        Controllers {
            memory: self.memory.is_some(),
            tasks: self.tasks.is_some(),
            cpu: self.cpu.is_some(),
        }
    }

    pub(super) fn add(&self, name: &str) -> io::Result<()> {
        for directory in self.all() {
            if let Err(error) = directory.add(name) {
                let _ = self.remove(name);
                return Err(error);
            }
        }
        Ok(())
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        self.all().try_for_each(|directory| directory.remove(name))
    }

    pub(super) fn set_limits(&self, name: &str, limits: LeafLimits) -> io::Result<()> {
        let value = |limit: Option<u64>, none: &str| limit.map_or(none.into(), |it| it.to_string());
        if let Some(memory) = &self.memory {
            let value = value(limits.memory_bytes, "-1");
            let file = format!("{name}/memory.limit_in_bytes");
            // Memory and swap together; only kernels that account for swap have the file. It may not be less than
            // the limit on memory alone, so that it is raised first, and lowered last.
            let with_swap = format!("{name}/memory.memsw.limit_in_bytes");
            let _ = memory.write(&with_swap, "-1");
            memory.write(&file, &value)?;
            match memory.write(&with_swap, &value) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if let Some(tasks) = &self.tasks {
            let value = value(limits.tasks, "max");
            tasks.write(&format!("{name}/pids.max"), &value)?;
        }
        Ok(())
    }

    /// Returns what a child writes to in order to enter.
    pub(super) fn enter(&self, name: &str) -> io::Result<Entry> {
        let open = |it: &Directory| {
            it.open(&format!("{name}/tasks"), OFlags::WRONLY)
                .and_then(above_stdio)
        };
        let files: io::Result<Vec<_>> = self.all().map(open).collect();
        files.map(Entry::Write)
    }

    /// Forgets the peak of the memory.
    pub(super) fn reset(&self, name: &str) -> io::Result<()> {
        match &self.memory {
            Some(memory) => memory.write(&format!("{name}/memory.max_usage_in_bytes"), "0"),
            None => Ok(()),
        }
    }

    /// Returns the memory that is charged to the cgroup now, in bytes.
    pub(super) fn memory_bytes(&self, name: &str) -> io::Result<u64> {
        match &self.memory {
            Some(memory) => memory.number(&format!("{name}/memory.usage_in_bytes")),
            None => Ok(0),
        }
    }

    pub(super) fn counters(&self, name: &str) -> io::Result<TreeCounters> {
        let mut counters = TreeCounters::default();
        if let Some(memory) = &self.memory {
            let peak = memory.number(&format!("{name}/memory.max_usage_in_bytes"))?;
            counters.usage.peak_memory_bytes = Some(peak);
            let kills = memory.entry(&format!("{name}/memory.oom_control"), "oom_kill")?;
            counters.out_of_memory = kills > 0;
        }
        let usage: &mut TreeUsage = &mut counters.usage;
        if let Some(tasks) = &self.tasks {
            // Older kernels have no peak: the registry samples it.
            usage.peak_tasks = tasks.number(&format!("{name}/pids.peak")).ok();
        }
        if let Some(cpu) = &self.cpu {
            let nanoseconds = cpu.number(&format!("{name}/cpuacct.usage"))?;
            usage.cpu = Some(Duration::from_nanos(nanoseconds));
        }
        Ok(counters)
    }
}

//! The cgroups of version 1: a hierarchy of its own for each controller.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::OFlags;

use super::directory::{Directory, number};
use super::entry::Entry;
use super::hierarchy::{Controllers, CounterFiles, Hierarchy};
use super::leaf_limits::LeafLimits;
use super::mounted::Mounted;
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
}

impl Hierarchy for Version1 {
    fn controllers(&self) -> Controllers {
        Controllers {
            memory: self.memory.is_some(),
            tasks: self.tasks.is_some(),
            cpu: self.cpu.is_some(),
        }
    }

    fn add(&self, name: &str) -> io::Result<()> {
        for directory in self.all() {
            if let Err(error) = directory.add(name) {
                let _ = self.remove(name);
                return Err(error);
            }
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.all().try_for_each(|directory| directory.remove(name))
    }

    fn set_limits(&self, name: &str, limits: LeafLimits) -> io::Result<()> {
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

    fn entry(&self, name: &str, _has_clone3: bool) -> io::Result<Entry> {
        let open = |it: &Directory| {
            it.open(&format!("{name}/tasks"), OFlags::WRONLY)
                .and_then(above_stdio)
        };
        let files: io::Result<Vec<_>> = self.all().map(open).collect();
        files.map(Entry::Write)
    }

    fn counter_files(&self, name: &str) -> io::Result<CounterFiles> {
        let open = |it: &Option<Directory>, file, flags| {
            let directory = it.as_ref()?;
            Some(directory.open(&format!("{name}/{file}"), flags))
        };
        Ok(CounterFiles {
            memory_peak: open(&self.memory, "memory.max_usage_in_bytes", OFlags::RDWR)
                .transpose()?,
            // Older kernels have no peak: the registry samples it.
            tasks_peak: open(&self.tasks, "pids.peak", OFlags::RDONLY).and_then(Result::ok),
            tasks: open(&self.tasks, "pids.current", OFlags::RDONLY).and_then(Result::ok),
            cpu: open(&self.cpu, "cpuacct.usage", OFlags::RDONLY).transpose()?,
        })
    }

    fn memory_bytes(&self, name: &str) -> io::Result<u64> {
        match &self.memory {
            Some(memory) => memory.number(&format!("{name}/memory.usage_in_bytes")),
            None => Ok(0),
        }
    }

    fn cpu(&self, file: &OwnedFd) -> io::Result<Duration> {
        number(file).map(Duration::from_nanos)
    }

    fn memory_kills(&self, name: &str) -> io::Result<u64> {
        match &self.memory {
            Some(memory) => memory.entry(&format!("{name}/memory.oom_control"), "oom_kill"),
            None => Ok(0),
        }
    }

    fn forget(&self) -> &'static [u8] {
        b"0"
    }
}

//! The cgroups of version 2: one hierarchy for all controllers.
//!
//! A cgroup there has either processes or controllers for the cgroups below it. So the host
//! makes its directory where no process is but itself, and moves itself into a cgroup of its
//! own; or next to its own cgroup, where that has no limit that would be escaped.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Gid, Mode, OFlags, Uid, fchmod, fchown};

use super::directory::{Directory, PREFIX, entry};
use super::entry::Entry;
use super::hierarchy::{Controllers, CounterFiles, Hierarchy};
use super::leaf_limits::LeafLimits;
use super::mounted::Mounted;
use crate::launch::Identity;
use crate::sandbox::sys::linux::fd::stdio::above_stdio;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);
/// The cgroup of the sessions' servers, which clone children into other cgroups.
const SERVERS: &str = "servers";
/// The controllers that are used. Processor time is counted without one.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];

/// The host's directory.
#[derive(Debug)]
pub(super) struct Version2 {
    // Dropped first: before the host moves back.
    directory: Directory,
    _moved: Option<Moved>,
    has_tasks: bool,
}

impl Version2 {
    /// Makes the directory.
    ///
    /// # Errors
    ///
    /// Why the last candidate cannot be used.
    pub(super) fn make(mounted: &Mounted) -> io::Result<Self> {
        let mut error: io::Error = io::ErrorKind::NotFound.into();
        for parent in candidates(mounted) {
            match Self::make_in(&parent, parent == mounted.own) {
                Ok(made) => return Ok(made),
                Err(it) => error = it,
            }
        }
        Err(error)
    }

    /// Opens the file by which a process enters a cgroup.
    fn procs(&self, name: &str) -> io::Result<OwnedFd> {
        let procs = format!("{name}/cgroup.procs");
        self.directory.open(&procs, OFlags::WRONLY)
    }

    fn make_in(parent: &Path, is_own: bool) -> io::Result<Self> {
        let available = words(&parent.join("cgroup.controllers"))?;
        let wanted = CONTROLLERS
            .into_iter()
            .filter(|name| available.iter().any(|it| it == name));
        let wanted: Vec<_> = wanted.collect();
        if !wanted.contains(&"memory") {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let control = parent.join("cgroup.subtree_control");
        let enabled = words(&control)?;
        let missing = wanted
            .iter()
            .filter(|name| !enabled.iter().any(|it| it == *name));
        let missing: Vec<_> = missing.copied().collect();
        let mut moved = None;
        if is_own {
            // The root of all cgroups may have both.
            if parent.join("cgroup.type").exists() {
                moved = Some(Moved::out_of(parent, &missing)?);
            }
            for name in &missing {
                fs::write(&control, format!("+{name}"))?;
            }
        } else if !missing.is_empty() {
            // Another's cgroup is used as it is.
            return Err(io::ErrorKind::Unsupported.into());
        }
        let directory = Directory::make(parent)?;
        for name in &wanted {
            directory.write("cgroup.subtree_control", &format!("+{name}"))?;
        }
        directory.add(SERVERS)?;
        if is_root() {
            // The kernel demands the right to write to the file of the cgroup that a child is cloned into, which is
            // its user's, and to this one, the one above it and the server's. Nothing below belongs to anyone else.
            let procs = directory.open("cgroup.procs", OFlags::WRONLY)?;
            fchmod(&procs, Mode::from_raw_mode(0o666))?;
        }
        Ok(Self {
            directory,
            _moved: moved,
            has_tasks: wanted.contains(&"pids"),
        })
    }
}

impl Hierarchy for Version2 {
    fn controllers(&self) -> Controllers {
        Controllers {
            memory: true,
            tasks: self.has_tasks,
            cpu: true,
        }
    }

    fn add(&self, name: &str) -> io::Result<()> {
        self.directory.add(name)?;
        let whole = self
            .directory
            .write(&format!("{name}/memory.oom.group"), "1");
        whole.inspect_err(|_| {
            let _ = self.remove(name);
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.directory.remove(name)
    }

    fn set_limits(&self, name: &str, limits: LeafLimits) -> io::Result<()> {
        let value = |limit: Option<u64>| limit.map_or("max".into(), |it| it.to_string());
        let write =
            |file: &str, value: &str| self.directory.write(&format!("{name}/{file}"), value);
        write("memory.max", &value(limits.memory_bytes))?;
        let swap = if limits.memory_bytes.is_some() {
            "0"
        } else {
            "max"
        };
        match write("memory.swap.max", swap) {
            // A kernel without swap has no such file.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if self.has_tasks {
            write("pids.max", &value(limits.tasks))?;
        }
        Ok(())
    }

    fn entry(&self, name: &str, has_clone3: bool) -> io::Result<Entry> {
        if has_clone3 {
            return self.directory.open(name, DIRECTORY).map(Entry::Clone);
        }
        let procs = self.procs(name)?;
        Ok(Entry::Write(vec![above_stdio(procs)?]))
    }

    fn give_to(&self, name: &str, user: Identity) -> io::Result<()> {
        if is_root() {
            fchown(
                self.procs(name)?,
                Some(Uid::from_raw(user.uid)),
                None::<Gid>,
            )?;
        }
        Ok(())
    }

    fn servers(&self) -> io::Result<Option<Entry>> {
        let servers = self.directory.open(SERVERS, DIRECTORY);
        servers.map(Entry::Clone).map(Some)
    }

    fn counter_files(&self, name: &str) -> io::Result<CounterFiles> {
        let open = |file: &str, flags| self.directory.open(&format!("{name}/{file}"), flags);
        Ok(CounterFiles {
            // Before Linux 6.12 it can only be read, before 5.19 there is none; later there is none of the tasks.
            memory_peak: open("memory.peak", OFlags::RDWR)
                .or_else(|_| open("memory.peak", OFlags::RDONLY))
                .ok(),
            tasks_peak: open("pids.peak", OFlags::RDONLY).ok(),
            tasks: open("pids.current", OFlags::RDONLY).ok(),
            cpu: Some(open("cpu.stat", OFlags::RDONLY)?),
        })
    }

    fn memory_bytes(&self, name: &str) -> io::Result<u64> {
        self.directory.number(&format!("{name}/memory.current"))
    }

    fn cpu(&self, file: &OwnedFd) -> io::Result<Duration> {
        entry(file, "usage_usec").map(Duration::from_micros)
    }

    fn memory_kills(&self, name: &str) -> io::Result<u64> {
        self.directory
            .entry(&format!("{name}/memory.events"), "oom_kill")
    }

    fn forget(&self) -> &'static [u8] {
        b"reset"
    }

    fn kill(&self, name: &str) {
        let _ = self.directory.write(&format!("{name}/cgroup.kill"), "1");
    }
}

impl Drop for Version2 {
    fn drop(&mut self) {
        let _ = self.directory.remove(SERVERS);
    }
}

/// The host's move out of its cgroup, so that the cgroup can have controllers for those below.
#[derive(Debug)]
struct Moved {
    from: PathBuf,
    enabled: Vec<&'static str>,
    _to: Directory,
}

impl Moved {
    /// Moves the host, if it is alone.
    fn out_of(from: &Path, enabled: &[&'static str]) -> io::Result<Self> {
        let own = std::process::id().to_string();
        if words(&from.join("cgroup.procs"))? != [&*own] {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let to = Directory::make(from)?;
        to.write("cgroup.procs", &own)?;
        Ok(Self {
            from: from.into(),
            enabled: enabled.into(),
            _to: to,
        })
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        for name in &self.enabled {
            let _ = fs::write(self.from.join("cgroup.subtree_control"), format!("-{name}"));
        }
        let own = std::process::id().to_string();
        let _ = fs::write(self.from.join("cgroup.procs"), own);
    }
}

/// Returns the cgroups below which the host may make its directory: its own, and those above
/// for as long as none has a limit that the children would escape.
fn candidates(mounted: &Mounted) -> Vec<PathBuf> {
    let mut candidates = Vec::new();
    if is_root() && Path::new("/run/systemd/system").exists() && !is_delegated(&mounted.own) {
        // The service manager may change what it has not delegated.
        return candidates;
    }
    let mut above = mounted.own.as_path();
    // Another launcher of this process has moved the host: next to that cgroup is room for all.
    let own = format!("{PREFIX}{}-", std::process::id());
    let name = above.file_name().and_then(|name| name.to_str());
    if name.is_some_and(|name| name.starts_with(&own)) {
        above = above.parent().unwrap_or(above);
    }
    loop {
        candidates.push(above.to_path_buf());
        let is_unlimited = |file| {
            let limit = words(&above.join(file));
            limit.is_ok_and(|limit| limit == ["max"])
        };
        match above.parent() {
            Some(parent)
                if above != mounted.mount_point
                    && is_unlimited("memory.max")
                    && is_unlimited("pids.max") =>
            {
                above = parent;
            }
            _ => return candidates,
        }
    }
}

/// Whether the service manager has marked the cgroup as delegated.
fn is_delegated(cgroup: &Path) -> bool {
    ["user.delegate", "trusted.delegate"].iter().any(|name| {
        let mut value = [0u8; 1];
        let length = rustix::fs::getxattr(cgroup, *name, &mut value[..]);
        length.is_ok_and(|length| length == 1 && value == *b"1")
    })
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn words(path: &Path) -> io::Result<Vec<String>> {
    let text = fs::read_to_string(path)?;
    Ok(text.split_ascii_whitespace().map(String::from).collect())
}

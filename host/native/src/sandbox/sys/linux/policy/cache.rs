//! Rulesets and filters, prepared once per confinement and shared by its children.
//!
//! Each keeps a descriptor of the host, so there are few, and a launch that finds no free
//! descriptor drops them all.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use capspawn_raw::filter::Instruction;
use parking_lot::Mutex;

use super::{landlock, syscalls};
use crate::confinement::{Confinement, Network, Sandbox, Tier};
use crate::launch::Program;
use crate::sandbox::sys::linux::fd::memfd;
use crate::sandbox::sys::linux::fd::stdio::above_stdio;

/// Policies kept, of one descriptor each; a grant has a handful of commands. Under a rule for any program the component
/// chooses how many there are.
const CAPACITY: usize = 32;

/// A filter, ready to be installed.
#[derive(Debug)]
struct Filter {
    instructions: Vec<Instruction>,
    /// The same filter, for `capspawn-init`.
    file: OwnedFd,
}

impl Filter {
    fn new(network: Network) -> io::Result<Self> {
        let instructions = syscalls::program(network);
        let file = above_stdio(memfd::filter(&instructions)?)?;
        Ok(Self { instructions, file })
    }
}

/// A ruleset and a filter, ready to be installed.
#[derive(Debug)]
pub(crate) struct Policy {
    /// None where Landlock is missing and not required.
    ruleset: Option<OwnedFd>,
    /// None for `sandbox = "none"`.
    filter: Option<Arc<Filter>>,
    /// Whether the confinement has roots of the children's common user; set when first asked.
    has_childrens_roots: OnceLock<bool>,
}

impl Policy {
    /// Returns a policy that confines nothing: a child under it only changes its user and gives
    /// up its privileges.
    pub(crate) fn open() -> Self {
        Self {
            ruleset: None,
            filter: None,
            has_childrens_roots: OnceLock::new(),
        }
    }

    /// The Landlock ruleset, if any.
    pub(crate) fn ruleset(&self) -> Option<&OwnedFd> {
        self.ruleset.as_ref()
    }

    /// The system call filter; empty where there is none.
    pub(crate) fn filter(&self) -> &[Instruction] {
        self.filter
            .as_ref()
            .map_or(&[], |filter| &filter.instructions)
    }

    /// The same filter in a memory file, for `capspawn-init`.
    pub(crate) fn filter_file(&self) -> Option<&OwnedFd> {
        self.filter.as_ref().map(|filter| &filter.file)
    }

    /// Returns whether the confinement has roots of the children's common user, as `find`
    /// finds out at the first call.
    pub(crate) fn has_childrens_roots(&self, find: impl FnOnce() -> bool) -> bool {
        *self.has_childrens_roots.get_or_init(find)
    }

    /// Prepares `confinement`, under which `program` can be executed; in tier C without
    /// Landlock.
    pub(crate) fn new(
        confinement: &Confinement,
        program: Option<&Program>,
        tier: Tier,
    ) -> io::Result<Self> {
        if confinement.sandbox == Sandbox::None {
            return Ok(Self::open());
        }
        let filter = Arc::new(Filter::new(confinement.network)?);
        Self::with_filter(confinement, program, tier, filter)
    }

    fn with_filter(
        confinement: &Confinement,
        program: Option<&Program>,
        tier: Tier,
        filter: Arc<Filter>,
    ) -> io::Result<Self> {
        let ruleset = match tier {
            Tier::C => None,
            Tier::A | Tier::B => {
                landlock::ruleset(confinement, program.map(|program| &program.file))?
            }
        };
        Ok(Self {
            ruleset: ruleset.map(above_stdio).transpose()?,
            filter: Some(filter),
            has_childrens_roots: OnceLock::new(),
        })
    }
}

/// The policies of the most recent confinements, all in one tier, and the filter of each network. The key includes the
/// program, which may lie outside the roots. Programs are equal if they are one file: a rule for any program opens its
/// program at each decision.
#[derive(Debug, Default)]
pub(crate) struct PolicyCache {
    policies: Mutex<Vec<Arc<CachedPolicy>>>,
    filters: Mutex<Vec<(Network, Arc<Filter>)>>,
}

#[derive(Debug)]
struct CachedPolicy {
    confinement: Arc<Confinement>,
    program: FileId,
    /// The roots that programs replace: files, and what is written to. A ruleset is about the
    /// files that these paths named when it was made.
    roots: Vec<(PathBuf, Option<FileId>)>,
    policy: Arc<Policy>,
}

impl CachedPolicy {
    /// Whether the host has replaced none of the roots.
    fn is_current(&self) -> bool {
        let mut roots = self.roots.iter();
        roots.all(|(path, id)| FileId::at(path) == *id)
    }
}

/// Returns the roots of `confinement` that are compared, with the files that they name now.
fn compared_roots(confinement: &Confinement) -> Vec<(PathBuf, Option<FileId>)> {
    let read = confinement.fs.read.iter().map(|root| &root.real);
    // The files of `/proc` are the kernel's.
    let files = read.filter(|path| !path.is_dir() && !path.starts_with("/proc"));
    let written = confinement.fs.write.iter().map(|root| &root.real);
    let all = files.chain(written);
    all.map(|path| (path.clone(), FileId::at(path))).collect()
}

/// The device and the inode of a file. The ruleset keeps the inode, so that no other file gets its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId(u64, u64);

impl FileId {
    fn of(program: &Program) -> io::Result<Self> {
        let stat = rustix::fs::fstat(&program.file)?;
        Ok(Self(stat.st_dev, stat.st_ino))
    }

    fn at(path: &Path) -> Option<Self> {
        let stat = rustix::fs::lstat(path).ok()?;
        Some(Self(stat.st_dev, stat.st_ino))
    }
}

impl PolicyCache {
    /// Returns the policy, and prepares it if it is not in the cache.
    pub(crate) fn get(
        &self,
        confinement: &Arc<Confinement>,
        program: &Arc<Program>,
        tier: Tier,
    ) -> io::Result<Arc<Policy>> {
        if confinement.sandbox == Sandbox::None {
            return Ok(Arc::new(Policy::open()));
        }
        let id = FileId::of(program)?;
        let is_wanted = |cached: &CachedPolicy| {
            cached.program == id
                && (Arc::ptr_eq(&cached.confinement, confinement)
                    || cached.confinement == *confinement)
        };
        let found = {
            let cache = self.policies.lock();
            let found = cache.iter().find(|cached| is_wanted(cached));
            found.map(Arc::clone)
        };
        // Not under the lock either: a root may be on a file system that hangs.
        if let Some(cached) = found
            && cached.is_current()
        {
            return Ok(Arc::clone(&cached.policy));
        }
        // Before the ruleset is made: what the host replaces meanwhile differs at the next launch.
        let roots = compared_roots(confinement);
        // Not under the lock: it opens every root. Two first launches at once both prepare it.
        let filter = self.filter(confinement.network)?;
        let policy = Policy::with_filter(confinement, Some(program), tier, filter)?;
        let policy = Arc::new(policy);
        let mut cache = self.policies.lock();
        cache.retain(|cached| !is_wanted(cached));
        if cache.len() >= CAPACITY {
            cache.remove(0);
        }
        cache.push(Arc::new(CachedPolicy {
            confinement: Arc::clone(confinement),
            program: id,
            roots,
            policy: Arc::clone(&policy),
        }));
        Ok(policy)
    }

    fn filter(&self, network: Network) -> io::Result<Arc<Filter>> {
        let mut filters = self.filters.lock();
        if let Some((_, filter)) = filters.iter().find(|(known, _)| *known == network) {
            return Ok(Arc::clone(filter));
        }
        let filter = Arc::new(Filter::new(network)?);
        filters.push((network, Arc::clone(&filter)));
        Ok(filter)
    }

    /// Drops every policy that no launch uses, and returns whether there was one.
    pub(crate) fn clear(&self) -> bool {
        let policies = std::mem::take(&mut *self.policies.lock());
        let filters = std::mem::take(&mut *self.filters.lock());
        !policies.is_empty() || !filters.is_empty()
    }
}

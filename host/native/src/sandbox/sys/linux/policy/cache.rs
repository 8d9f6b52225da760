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

use super::landlock;
use super::set_group_id::SetGroupId;
use super::syscalls::{self, FilterOptions, Groups};
use crate::confinement::{Confinement, Network, Sandbox, Tier};
use crate::launch::Program;
use crate::sandbox::sys::linux::fd::memfd;
use crate::sandbox::sys::linux::fd::stdio::above_stdio;

/// Policies kept, of one descriptor each; a grant has a handful of commands. Under a rule for any program the component
/// chooses how many there are.
const CAPACITY: usize = 32;

/// Returns what a tree outside a session may do with its groups: as it likes, where a domain names it.
fn groups(tier: Tier) -> Groups {
    Groups::of_domains(tier == Tier::B && landlock::has_signal_scope())
}

/// A filter, ready to be installed.
#[derive(Debug)]
struct Filter {
    options: FilterOptions,
    instructions: Vec<Instruction>,
    /// The same filter, for `capspawn-init`.
    file: OwnedFd,
}

impl Filter {
    fn new(network: Network, options: FilterOptions) -> io::Result<Self> {
        let instructions = syscalls::program(network, options);
        let file = above_stdio(memfd::filter(&instructions)?)?;
        Ok(Self {
            options,
            instructions,
            file,
        })
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

    /// What the filter depends on, if there is one.
    pub(crate) fn filter_options(&self) -> Option<FilterOptions> {
        self.filter.as_ref().map(|filter| filter.options)
    }

    /// Whether a process may leave its group.
    pub(crate) fn has_free_groups(&self) -> bool {
        self.filter
            .as_ref()
            .is_some_and(|filter| filter.options.groups == Groups::Free)
    }

    /// Returns whether the confinement has roots of the children's common user, as `find`
    /// finds out at the first call.
    pub(crate) fn has_childrens_roots(&self, find: impl FnOnce() -> bool) -> bool {
        *self.has_childrens_roots.get_or_init(find)
    }

    /// Prepares `confinement`, under which `program` can be executed, at its strictest; in tier C
    /// without Landlock.
    pub(crate) fn new(
        confinement: &Confinement,
        program: Option<&Program>,
        tier: Tier,
    ) -> io::Result<Self> {
        if confinement.sandbox == Sandbox::None {
            return Ok(Self::open());
        }
        let strictest = SetGroupId::Denied;
        Self::with_filter(confinement, program, tier, None, strictest, |options| {
            Filter::new(confinement.network, options).map(Arc::new)
        })
    }

    /// `filter` returns the filter with these options.
    fn with_filter(
        confinement: &Confinement,
        program: Option<&Program>,
        tier: Tier,
        tmp: Option<&Path>,
        set_group_id: SetGroupId,
        filter: impl FnOnce(FilterOptions) -> io::Result<Arc<Filter>>,
    ) -> io::Result<Self> {
        let ruleset = match tier {
            Tier::C => None,
            Tier::A | Tier::B => {
                let program = program.map(|program| &program.file);
                landlock::ruleset(confinement, program, tmp)?
            }
        };
        Ok(Self {
            filter: Some(filter(FilterOptions {
                groups: groups(tier),
                has_domain: ruleset.is_some(),
                set_group_id,
            })?),
            ruleset: ruleset.map(above_stdio).transpose()?,
            has_childrens_roots: OnceLock::new(),
        })
    }
}

/// The policies of the most recent confinements, all in one tier, and the filters that they share. The key includes the
/// program, which may lie outside the roots. Programs are equal if they are one file: a rule for any program opens its
/// program at each decision.
#[derive(Debug, Default)]
pub(crate) struct PolicyCache {
    policies: Mutex<Vec<Arc<CachedPolicy>>>,
    filters: Mutex<Vec<CachedFilter>>,
}

#[derive(Debug)]
struct CachedFilter {
    network: Network,
    options: FilterOptions,
    filter: Arc<Filter>,
}

#[derive(Debug)]
struct CachedPolicy {
    confinement: Arc<Confinement>,
    program: FileId,
    /// The roots that programs replace. A ruleset is about the files that these paths named when
    /// it was made.
    roots: Vec<(PathBuf, Option<FileId>)>,
    /// The temporary directory of the guest that it is for.
    tmp: Option<PathBuf>,
    policy: Arc<Policy>,
}

impl CachedPolicy {
    /// Whether the host has replaced none of the roots.
    fn is_current(&self) -> bool {
        let mut roots = self.roots.iter();
        roots.all(|(path, id)| FileId::at(path) == *id)
    }
}

/// Where packages install: an upgrade replaces files in these directories, and not the directories.
/// To compare them too would take 1 % of a spawn.
const INSTALLED: [&str; 2] = ["/usr", "/etc"];

/// Returns the roots of `confinement` that are compared, with the files that they name now.
fn compared_roots(confinement: &Confinement) -> Vec<(PathBuf, Option<FileId>)> {
    let is_installed = |path: &Path| INSTALLED.iter().any(|it| path.starts_with(it));
    let read = confinement.fs.read.iter().map(|root| &root.real);
    // The files of `/proc` are the kernel's.
    let is_left_out =
        |path: &Path| path.starts_with("/proc") || is_installed(path) && path.is_dir();
    let read = read.filter(|path| !is_left_out(path));
    let written = confinement.fs.write.iter().map(|root| &root.real);
    let all = read.chain(written);
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
    /// Returns the policy, and prepares it if it is not in the cache. Its children may write to
    /// `tmp`, their guest's temporary directory. All launches of a cache have the same
    /// `set_group_id`.
    pub(crate) fn get(
        &self,
        confinement: &Arc<Confinement>,
        program: &Arc<Program>,
        tier: Tier,
        tmp: Option<&Path>,
        set_group_id: SetGroupId,
    ) -> io::Result<Arc<Policy>> {
        if confinement.sandbox == Sandbox::None {
            return Ok(Arc::new(Policy::open()));
        }
        let id = FileId::of(program)?;
        let is_wanted = |cached: &CachedPolicy| {
            cached.program == id
                && cached.tmp.as_deref() == tmp
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
        let filter = |options| self.filter(confinement.network, options);
        let program = Some(&**program);
        let policy = Policy::with_filter(confinement, program, tier, tmp, set_group_id, filter)?;
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
            tmp: tmp.map(Path::to_owned),
            policy: Arc::clone(&policy),
        }));
        Ok(policy)
    }

    fn filter(&self, network: Network, options: FilterOptions) -> io::Result<Arc<Filter>> {
        let is_wanted = |it: &&CachedFilter| it.network == network && it.options == options;
        let mut filters = self.filters.lock();
        if let Some(cached) = filters.iter().find(is_wanted) {
            return Ok(Arc::clone(&cached.filter));
        }
        let filter = Arc::new(Filter::new(network, options)?);
        filters.push(CachedFilter {
            network,
            options,
            filter: Arc::clone(&filter),
        });
        Ok(filter)
    }

    /// Drops the policies of a guest that is gone, by its temporary directory.
    pub(crate) fn forget(&self, tmp: &Path) {
        let mut cache = self.policies.lock();
        cache.retain(|cached| cached.tmp.as_deref() != Some(tmp));
    }

    /// Drops every policy that no launch uses, and returns whether there was one.
    pub(crate) fn clear(&self) -> bool {
        let policies = std::mem::take(&mut *self.policies.lock());
        let filters = std::mem::take(&mut *self.filters.lock());
        !policies.is_empty() || !filters.is_empty()
    }
}

//! Rulesets and filters, prepared once per confinement and shared by its children.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};

use capspawn_raw::filter::Instruction;
use parking_lot::Mutex;

use super::{landlock, syscalls};
use crate::confinement::{Confinement, Sandbox, Tier};
use crate::launch::Program;
use crate::sandbox::sys::linux::fd::memfd;
use crate::sandbox::sys::linux::fd::stdio::above_stdio;

/// Policies kept; a grant has a handful of commands.
const CAPACITY: usize = 64;

/// A ruleset and a filter, ready to be installed.
#[derive(Debug)]
pub(crate) struct Policy {
    /// None where Landlock is missing and not required.
    ruleset: Option<OwnedFd>,
    /// Empty for `sandbox = "none"`.
    filter: Vec<Instruction>,
    /// The same filter, for `capspawn-init`.
    filter_file: Option<OwnedFd>,
    /// Whether the confinement has roots of the children's common user; set when first asked.
    has_childrens_roots: OnceLock<bool>,
}

impl Policy {
    /// Returns a policy that confines nothing: a child under it only changes its user and gives
    /// up its privileges.
    pub(crate) fn open() -> Self {
        Self {
            ruleset: None,
            filter: Vec::new(),
            filter_file: None,
            has_childrens_roots: OnceLock::new(),
        }
    }

    /// The Landlock ruleset, if any.
    pub(crate) fn ruleset(&self) -> Option<&OwnedFd> {
        self.ruleset.as_ref()
    }

    /// The system call filter; empty where there is none.
    pub(crate) fn filter(&self) -> &[Instruction] {
        &self.filter
    }

    /// The same filter in a memory file, for `capspawn-init`.
    pub(crate) fn filter_file(&self) -> Option<&OwnedFd> {
        self.filter_file.as_ref()
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
        let ruleset = match tier {
            Tier::C => None,
            Tier::A | Tier::B => {
                landlock::ruleset(confinement, program.map(|program| &program.file))?
            }
        };
        let ruleset = ruleset.map(above_stdio).transpose()?;
        let filter = syscalls::program(confinement.network);
        let filter_file = Some(above_stdio(memfd::filter(&filter)?)?);
        Ok(Self {
            ruleset,
            filter,
            filter_file,
            has_childrens_roots: OnceLock::new(),
        })
    }
}

/// The policies of the most recent confinements, all in one tier. The key includes the program,
/// which may lie outside the roots. Programs are equal if they are one open file.
#[derive(Debug, Default)]
pub(crate) struct PolicyCache(Mutex<Vec<CachedPolicy>>);

#[derive(Debug)]
struct CachedPolicy {
    confinement: Arc<Confinement>,
    program: Arc<Program>,
    policy: Arc<Policy>,
}

impl PolicyCache {
    /// Returns the policy, and prepares it if it is not in the cache.
    pub(crate) fn get(
        &self,
        confinement: &Arc<Confinement>,
        program: &Arc<Program>,
        tier: Tier,
    ) -> io::Result<Arc<Policy>> {
        let is_wanted = |cached: &CachedPolicy| {
            Arc::ptr_eq(&cached.program, program)
                && (Arc::ptr_eq(&cached.confinement, confinement)
                    || cached.confinement == *confinement)
        };
        if let Some(cached) = self.0.lock().iter().find(|cached| is_wanted(cached)) {
            return Ok(Arc::clone(&cached.policy));
        }
        // Not under the lock: it opens every root. Two first launches at once both prepare it.
        let policy = Arc::new(Policy::new(confinement, Some(program), tier)?);
        let mut cache = self.0.lock();
        if cache.len() >= CAPACITY {
            cache.remove(0);
        }
        cache.push(CachedPolicy {
            confinement: Arc::clone(confinement),
            program: Arc::clone(program),
            policy: Arc::clone(&policy),
        });
        Ok(policy)
    }
}

//! What is prepared once per confinement and used by every child under it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use capspawn_raw::filter::Instruction;
use parking_lot::Mutex;

use super::{landlock, syscalls};
use crate::confinement::{Confinement, Sandbox, Tier};
use crate::launch::Program;
use crate::sandbox::sys::linux::fd::memfd;
use crate::sandbox::sys::linux::fd::stdio::above_stdio;

/// Policies kept; a grant has a handful of commands.
const KEPT: usize = 64;

/// A ruleset and a filter, ready to be installed.
#[derive(Debug)]
pub(crate) struct Policy {
    /// None where Landlock is missing and not required.
    pub(crate) ruleset: Option<OwnedFd>,
    /// Empty for `sandbox = "none"`.
    pub(crate) filter: Vec<Instruction>,
    /// The same for the helper.
    pub(crate) filter_file: Option<OwnedFd>,
}

impl Policy {
    /// Nothing but the user and the privileges.
    pub(crate) fn open() -> Self {
        Self {
            ruleset: None,
            filter: Vec::new(),
            filter_file: None,
        }
    }

    /// Prepares `confinement`, under which `program` can be executed; in tier C
    /// without Landlock.
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
        })
    }
}

/// The policies of the latest confinements, in one tier. The program belongs to the key: it
/// may lie outside the roots. It counts by identity, since it is an open file.
#[derive(Debug, Default)]
pub(crate) struct Policies(Mutex<Vec<Entry>>);

#[derive(Debug)]
struct Entry {
    confinement: Arc<Confinement>,
    program: Arc<Program>,
    policy: Arc<Policy>,
}

impl Policies {
    /// Returns the policy, prepared now if it is not kept.
    pub(crate) fn get(
        &self,
        confinement: &Arc<Confinement>,
        program: &Arc<Program>,
        tier: Tier,
    ) -> io::Result<Arc<Policy>> {
        let same = |entry: &Entry| {
            Arc::ptr_eq(&entry.program, program)
                && (Arc::ptr_eq(&entry.confinement, confinement)
                    || entry.confinement == *confinement)
        };
        if let Some(entry) = self.0.lock().iter().find(|entry| same(entry)) {
            return Ok(Arc::clone(&entry.policy));
        }
        // Not under the lock: it opens every root. Two first launches at once both prepare it.
        let policy = Arc::new(Policy::new(confinement, Some(program), tier)?);
        let mut kept = self.0.lock();
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push(Entry {
            confinement: Arc::clone(confinement),
            program: Arc::clone(program),
            policy: Arc::clone(&policy),
        });
        Ok(policy)
    }
}

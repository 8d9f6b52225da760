//! What the vfork child does, from its first instruction to `execveat`.
//!
//! The child runs in the memory of the host (or of a session's server) while the
//! host's other threads run on.
//! So: nothing but system calls on what was prepared, no allocation, lock,
//! thread-local, panic or destructor, and none of the calls whose effect is
//! wider than the task (`PR_SET_DUMPABLE`, `PR_SET_MM`, `set*uid`, which makes
//! the shared memory undumpable). Failures go into [`Prepared`], which the
//! parent, suspended meanwhile, reads when it resumes.

use core::ffi::c_char;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use crate::steps::{self, Confine, Failure, Fault, Step};
use crate::syscall::{call, exit, number};

/// One resource limit, both values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The resource's number.
    pub resource: u32,
    /// The soft and the hard value, as `struct rlimit64`.
    pub values: [u64; 2],
}

/// The processors that a task may run on, a bit each: 1024, as the C library has it.
pub type Affinity = [u8; 128];

/// Everything the child reads, and the one place it writes.
///
/// Every pointer and descriptor must stay valid until the clone has returned in
/// the parent. The descriptors are 3 or higher: `dup3` onto 0, 1 and 2 must
/// overwrite none of them.
pub struct Prepared {
    /// Whether some signal may be handled or ignored: 62 calls put that right.
    pub has_handlers: bool,
    /// What becomes 0, 1 and 2; -1 where that is its maker's.
    pub stdio: [i32; 3],
    pub cwd: i32,
    /// The processors that it may run on; null for its maker's.
    pub affinity: *const Affinity,
    pub limits: *const [Limit],
    /// Descriptors that the program inherits beside its standard streams.
    pub keep: *const [i32],
    /// What the clone and `setsid` carry in their last two arguments, for a filter that asks for it.
    pub key: [usize; 2],
    /// The socket to who is told that the child is there, or -1.
    pub watcher: i32,
    /// None where the program (the helper) confines itself.
    pub confine: Option<Confine>,
    pub program: i32,
    pub argv: *const *const c_char,
    pub envp: *const *const c_char,
    pub fault: Fault,
    pub failed_step: AtomicU32,
    pub failed_errno: AtomicI32,
}

/// The child's first function, on a stack of its own.
pub extern "C" fn main(prepared: *const Prepared) -> ! {
    // SAFETY: the parent passes its own `Prepared` and is suspended until the child executes or exits.
    let prepared = unsafe { &*prepared };
    let (step, errno) = run(prepared);
    prepared.failed_errno.store(errno, Ordering::Relaxed);
    prepared.failed_step.store(step as u32, Ordering::Release);
    exit(127)
}

/// Takes every step; returns only with a failure.
fn run(prepared: &Prepared) -> Failure {
    match prepare(prepared) {
        Err(failure) => failure,
        Ok(()) if prepared.fault.step == Step::Exec as u32 => (Step::Exec, prepared.fault.errno),
        Ok(()) => {
            let (argv, envp) = (prepared.argv.addr(), prepared.envp.addr());
            // SAFETY: `Prepared`'s arrays are null-terminated arrays of C strings.
            (Step::Exec, unsafe {
                steps::execute(prepared.program, argv, envp)
            })
        }
    }
}

fn prepare(prepared: &Prepared) -> Result<(), Failure> {
    let fault = prepared.fault;
    fault.guard(Step::Signals, || {
        if prepared.has_handlers {
            steps::reset_signals()
        } else {
            steps::unblock_signals()
        }
    })?;
    fault.guard(Step::Watch, || {
        const MSG_NOSIGNAL: usize = 0x4000;
        let Ok(socket) = usize::try_from(prepared.watcher) else {
            return Ok(());
        };
        // Of the group too that it is about to lead. Said before: whoever has not said it is in its maker's group.
        // SAFETY: takes no pointer.
        let own = unsafe { call(number::GETPID, [0; 6]) }?;
        let own = (&raw const own).addr();
        // SAFETY: the number is its low 4 bytes, read only.
        unsafe { call(number::SENDTO, [socket, own, 4, MSG_NOSIGNAL, 0, 0]) }.map(drop)
    })?;
    fault.guard(Step::Session, || {
        let [first, second] = prepared.key;
        // SAFETY: takes no pointer; the child is a thread group of its own.
        unsafe { call(number::SETSID, [0, 0, 0, 0, first, second]) }.map(drop)
    })?;
    fault.guard(Step::Stdio, || {
        for (target, source) in [0, 1, 2].into_iter().zip(&prepared.stdio) {
            if *source < 0 {
                continue;
            }
            // SAFETY: takes no pointer; the descriptor table is the child's own copy.
            unsafe { call(number::DUP3, [descriptor(*source), target, 0, 0, 0, 0])? };
        }
        Ok(())
    })?;
    fault.guard(Step::Descriptors, || {
        steps::close_on_exec()?;
        // SAFETY: `Prepared`'s pointers are valid until the parent resumes.
        let keep = unsafe { &*prepared.keep };
        for kept in keep {
            const F_SETFD: usize = 2;
            // SAFETY: takes no pointer; the descriptor table is the child's own copy.
            unsafe { call(number::FCNTL, [descriptor(*kept), F_SETFD, 0, 0, 0, 0])? };
        }
        Ok(())
    })?;
    fault.guard(Step::WorkingDirectory, || {
        // SAFETY: takes no pointer; without CLONE_FS the working directory is the child's own.
        unsafe { call(number::FCHDIR, [descriptor(prepared.cwd), 0, 0, 0, 0, 0]) }.map(drop)
    })?;
    set_affinity(prepared.affinity);
    fault.guard(Step::Limits, || {
        // SAFETY: `Prepared`'s pointers are valid until the parent resumes.
        let limits = unsafe { &*prepared.limits };
        for limit in limits {
            let values = limit.values.as_ptr().addr();
            let args = [0, limit.resource as usize, values, 0, 0, 0];
            // SAFETY: `values` is a `struct rlimit64`, read only; pid 0 is the child.
            unsafe { call(number::PRLIMIT64, args)? };
        }
        Ok(())
    })?;
    match &prepared.confine {
        Some(confine) => steps::confine(confine, fault),
        // The helper goes on from here; what it executes must not regain rights either.
        None => fault.guard(Step::NoNewPrivileges, steps::no_new_privileges),
    }
}

/// Moves to the processors `wanted`. Who asks for all has no choice of its own and gets
/// those too that come to its cpuset later, as the child of a `fork` does. So a choice is
/// made only where that is another. No step: a child that stays where it is, is slower,
/// and no freer.
fn set_affinity(wanted: *const Affinity) {
    if wanted.is_null() {
        return;
    }
    let set = |mask: *const Affinity| {
        let args = [0, size_of::<Affinity>(), mask.addr(), 0, 0, 0];
        // SAFETY: `Prepared`'s pointers are valid until the parent resumes, a local mask is anyhow; read only.
        let _ = unsafe { call(number::SCHED_SETAFFINITY, args) };
    };
    let mut own: Affinity = [u8::MAX; _];
    set(&raw const own);
    own.fill(0);
    let args = [0, size_of_val(&own), (&raw mut own).addr(), 0, 0, 0];
    // SAFETY: `own` is writable.
    let _ = unsafe { call(number::SCHED_GETAFFINITY, args) };
    // SAFETY: as above.
    if unsafe { own != *wanted } {
        set(wanted);
    }
}

/// A descriptor as an argument of a call. The kernel looks at the low 32 bits.
#[inline(always)]
fn descriptor(fd: i32) -> usize {
    fd.cast_unsigned() as usize
}

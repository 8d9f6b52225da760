//! What the vfork child does, from its first instruction to `execveat(2)`.
//!
//! The child runs in the memory of the host (or of a session's server) while the host's
//! other threads keep running. So it makes system calls on prepared values and nothing
//! else: no allocation, lock, thread-local, panic or destructor. It makes no call that
//! affects more than the child itself: `PR_SET_DUMPABLE` and `PR_SET_MM` change the shared
//! memory, and so does `set*uid`, which makes it undumpable. A failure goes into
//! [`FailureSlot`]. The parent thread is suspended meanwhile and reads it when it resumes.

use core::fmt;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use crate::affinity::Affinity;
use crate::attributes;
use crate::confine::{self, Confine};
use crate::limit::{self, Limit};
use crate::step::{Failure, Fault, Step};
use crate::string_array::StringArray;
use crate::syscall::{call, descriptor, exit, number};
use crate::user::ChildUser;
use crate::wire::GroupChange;

/// The values that a call carries in the last two of its arguments, by which a session's
/// filter lets the call pass. Without a filter they are zero.
pub type PassArguments = [usize; 2];

/// How a child announces itself before it leaves the process group of its parent.
#[derive(Clone, Copy, Debug)]
pub struct Announce {
    /// The socket to which it sends a number.
    pub socket: i32,
    /// The number of its session, where the reader learns the sender from the kernel. `None` for the child's
    /// pid, which is also the process group that it will lead.
    pub session: Option<usize>,
}

/// Everything the child reads, and the one place to which it writes.
///
/// Every descriptor is 3 or higher: `dup3(2)` onto 0, 1 and 2 must overwrite none of them.
pub struct ChildArgs<'a> {
    /// Whether signals may have other actions than the default; to reset them costs 62 calls.
    pub has_signal_actions: bool,
    /// Whether the child starts with the attributes of a login; `false` for the parent's, as
    /// the host's own processes and the children of a session's server have them.
    pub has_own_attributes: bool,
    /// The descriptors that become 0, 1 and 2. `None` keeps the parent's.
    pub stdio: [Option<i32>; 3],
    /// The working directory.
    pub cwd: i32,
    /// The processors on which the child may run; `None` for the parent's.
    pub affinity: Option<&'a Affinity>,
    /// The resource limits.
    pub limits: &'a [Limit],
    /// Descriptors that the program inherits in addition to its standard streams.
    pub keep: &'a [i32],
    /// What the clone, `setsid(2)` and `prlimit(2)` carry for the filter.
    pub filter_pass: PassArguments,
    /// How the child announces itself.
    pub announce: Option<Announce>,
    /// The files by which the child enters its cgroup, one for each hierarchy.
    pub cgroups: &'a [i32],
    /// The user that the child becomes. `None` for the parent's, and always in the host's own vfork child, whose
    /// memory the change would make undumpable.
    pub user: Option<ChildUser>,
    /// `None` if the program confines itself, as `capspawn-init` does.
    pub confine: Option<Confine<'a>>,
    /// The program.
    pub program: i32,
    /// The program's arguments, its name first.
    pub argv: StringArray<'a>,
    /// The program's environment.
    pub envp: StringArray<'a>,
    /// The step that tests make fail.
    pub fault: Fault,
    /// Where the child leaves its failure.
    pub failure: FailureSlot,
}

/// Not the fields: the filter's pass must not reach a log.
impl fmt::Debug for ChildArgs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildArgs").finish_non_exhaustive()
    }
}

/// A failure that crosses from the child to its parent, in their common memory.
#[derive(Debug, Default)]
pub struct FailureSlot {
    /// The number of the step; 0 is no failure.
    step: AtomicU32,
    errno: AtomicI32,
}

impl FailureSlot {
    /// Returns an empty slot.
    pub const fn new() -> Self {
        Self {
            step: AtomicU32::new(0),
            errno: AtomicI32::new(0),
        }
    }

    /// Stores a failure.
    pub fn store(&self, (step, errno): Failure) {
        self.errno.store(errno, Ordering::Relaxed);
        self.step.store(step.number(), Ordering::Release);
    }

    /// Returns the failure, if one was stored.
    pub fn load(&self) -> Option<Failure> {
        let step = Step::from_number(self.step.load(Ordering::Acquire))?;
        Some((step, self.errno.load(Ordering::Relaxed)))
    }
}

/// The child's first function, on a stack of its own.
///
/// # Safety
///
/// `args` must stay valid until the process has executed a program or has ended, and the
/// process must be a vfork child: it exits without cleaning up.
pub(crate) unsafe extern "C" fn main(args: *const ChildArgs<'_>) -> ! {
    // SAFETY: the caller keeps `args` valid; its one field that changes is atomic.
    let args = unsafe { &*args };
    args.failure.store(run(args));
    exit(127)
}

/// Takes every step; returns only with a failure.
fn run(args: &ChildArgs<'_>) -> Failure {
    let executed = prepare(args).and_then(|()| {
        args.fault.guard(Step::Exec, || {
            confine::execute(args.program, args.argv, args.envp)
        })
    });
    let Err(failure) = executed;
    failure
}

fn prepare(args: &ChildArgs<'_>) -> Result<(), Failure> {
    let fault = args.fault;
    fault.guard(Step::Signals, || {
        if args.has_signal_actions {
            confine::reset_signals()
        } else {
            confine::unblock_signals()
        }
    })?;
    // Before `setsid`: a child that has not announced itself is still in its parent's process group.
    fault.guard(Step::Announce, || match args.announce {
        Some(how) => announce(how),
        None => Ok(()),
    })?;
    fault.guard(Step::Cgroup, || {
        for file in args.cgroups {
            // 0 is the caller itself: the kernel then needs no lock on the threads of other processes.
            let itself = c"0".as_ptr().expose_provenance();
            // SAFETY: the kernel reads one byte of the string. The call moves the child alone.
            unsafe { call(number::WRITE, [descriptor(*file), itself, 1, 0, 0, 0])? };
        }
        Ok(())
    })?;
    fault.guard(Step::Setsid, || {
        let [first, second] = args.filter_pass;
        // SAFETY: the call takes no pointer. The child is a process of its own, and leads no group yet.
        unsafe { call(number::SETSID, [0, 0, 0, 0, first, second]) }.map(drop)
    })?;
    fault.guard(Step::Stdio, || {
        for (target, source) in (0..).zip(args.stdio) {
            let Some(source) = source else { continue };
            // SAFETY: the call takes no pointer. The descriptor table is the child's own copy.
            unsafe { call(number::DUP3, [descriptor(source), target, 0, 0, 0, 0])? };
        }
        Ok(())
    })?;
    fault.guard(Step::Descriptors, || {
        confine::close_on_exec()?;
        for kept in args.keep {
            const F_SETFD: usize = 2;
            // SAFETY: the call takes no pointer. The descriptor table is the child's own copy.
            unsafe { call(number::FCNTL, [descriptor(*kept), F_SETFD, 0, 0, 0, 0])? };
        }
        Ok(())
    })?;
    fault.guard(Step::WorkingDirectory, || {
        // SAFETY: the call takes no pointer. Without CLONE_FS the working directory is the child's own.
        unsafe { call(number::FCHDIR, [descriptor(args.cwd), 0, 0, 0, 0, 0]) }.map(drop)
    })?;
    if args.has_own_attributes {
        attributes::reset();
    }
    if let Some(affinity) = args.affinity {
        set_affinity(affinity);
    }
    fault.guard(Step::Limits, || {
        for limit in args.limits {
            let values = (&raw const limit.values).expose_provenance();
            let [first, second] = args.filter_pass;
            let args = [0, limit.resource as usize, values, 0, first, second];
            // SAFETY: `values` is a `struct rlimit64`, which the kernel reads; pid 0 is the child.
            unsafe { call(number::PRLIMIT64, args)? };
        }
        Ok(())
    })?;
    if let Some(user) = args.user {
        fault.guard(Step::Identity, || confine::become_user(user.uid, user.gid))?;
        fault.guard(Step::Limits, || match user.tasks {
            None => Ok(()),
            Some(tasks) => limit::set_tasks(tasks),
        })?;
    }
    match &args.confine {
        Some(confine) => confine::confine(confine, fault),
        // The program confines itself, and what it executes must not regain privileges either.
        None => fault.guard(Step::NoNewPrivileges, confine::no_new_privileges),
    }
}

/// Sends the announcement.
fn announce(Announce { socket, session }: Announce) -> Result<(), i32> {
    const MSG_NOSIGNAL: usize = 0x4000;
    let number = match session {
        Some(session) => session,
        // SAFETY: the call takes no pointer.
        None => unsafe { call(number::GETPID, [0; 6]) }?,
    };
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "a pid has 22 bits, and the number of a session 31"
    )]
    let message = GroupChange::Started(number as i32).to_bytes();
    let bytes = (&raw const message).expose_provenance();
    let args = [descriptor(socket), bytes, message.len(), MSG_NOSIGNAL, 0, 0];
    // SAFETY: the kernel reads the bytes of `message`.
    unsafe { call(number::SENDTO, args) }.map(drop)
}

/// Moves the child to the processors `wanted`.
///
/// A task that asks for all processors has no mask of its own: it also gets those that its
/// cpuset gains later, as the child of `fork(2)` does. So `wanted` is set only if it is less
/// than all. Not a step: a child that keeps its parent's processors is slower, and no freer.
fn set_affinity(wanted: &Affinity) {
    let set = |mask: &Affinity| {
        let mask = core::ptr::from_ref(mask).expose_provenance();
        // SAFETY: the kernel reads the mask.
        let _ = unsafe {
            call(
                number::SCHED_SETAFFINITY,
                [0, AFFINITY_BYTES, mask, 0, 0, 0],
            )
        };
    };
    const AFFINITY_BYTES: usize = size_of::<Affinity>();
    let mut own: Affinity = [u8::MAX; _];
    set(&own);
    own.fill(0);
    let mask = (&raw mut own).expose_provenance();
    // SAFETY: the kernel stores at most as many bytes as `own` has.
    let _ = unsafe {
        call(
            number::SCHED_GETAFFINITY,
            [0, AFFINITY_BYTES, mask, 0, 0, 0],
        )
    };
    if own != *wanted {
        set(wanted);
    }
}

//! What a process inherits from the process that started it, and what a child has instead.
//!
//! A host may run with a real-time policy, another nice value or a umask of 0, and those are
//! its own affair: a child with a real-time policy would starve the machine. So a child
//! starts with the values that a login has. Rejected: to make a failure a step of the launch.
//! Where the kernel refuses a value, the child keeps the host's and is no freer than the host.

use core::ffi::CStr;

use crate::syscall::{call, number};

/// A new file is writable for its owner alone.
const UMASK: usize = 0o022;
const SCHED_OTHER: usize = 0;
const PRIO_PROCESS: usize = 0;
const IOPRIO_WHO_PROCESS: usize = 1;
/// The highest value: of all processes the kernel kills this one first when memory runs out.
const OOM_SCORE_ADJ: &[u8] = b"1000";

/// Sets scheduling policy, nice value, I/O priority, umask and personality to those of a login,
/// and makes the process the first that the kernel kills when memory runs out.
///
/// A nice value above 0 stays where the process may not lower it (`CAP_SYS_NICE`), and
/// the preference stays the host's where `/proc` is not mounted.
pub fn reset() {
    // The static priority, which is 0 in this policy.
    let parameters = 0u32;
    let parameters = (&raw const parameters).expose_provenance();
    // SAFETY: the kernel reads a `struct sched_param`; pid 0 is the caller.
    let _ = unsafe {
        call(
            number::SCHED_SETSCHEDULER,
            [0, SCHED_OTHER, parameters, 0, 0, 0],
        )
    };
    // SAFETY: the call takes no pointer; 0 is the caller.
    let _ = unsafe { call(number::SETPRIORITY, [PRIO_PROCESS, 0, 0, 0, 0, 0]) };
    // SAFETY: the call takes no pointer; 0 is the caller.
    let io_priority = unsafe { call(number::IOPRIO_GET, [IOPRIO_WHO_PROCESS, 0, 0, 0, 0, 0]) };
    // Setting it allocates memory in the kernel, even if it was not set before.
    if io_priority != Ok(0) {
        // SAFETY: the call takes no pointer; 0 is the caller.
        let _ = unsafe { call(number::IOPRIO_SET, [IOPRIO_WHO_PROCESS, 0, 0, 0, 0, 0]) };
    }
    // SAFETY: the call takes no pointer. Without CLONE_FS the mask is the caller's own.
    let _ = unsafe { call(number::UMASK, [UMASK, 0, 0, 0, 0, 0]) };
    // A host that was started without address space randomization keeps that to itself.
    // SAFETY: the call takes no pointer. The personality belongs to the calling task.
    let _ = unsafe { call(number::PERSONALITY, [0; 6]) };
    prefer_for_oom_kill();
}

/// Writes the preference. A vfork child's own: the kernel shares it among processes with one
/// memory, except with a child that has not executed yet. Where this process has
/// `CAP_SYS_RESOURCE`, no process without it can lower the value later.
fn prefer_for_oom_kill() {
    const AT_FDCWD: usize = (-100isize).cast_unsigned();
    const O_WRONLY_CLOEXEC: usize = 0o2_000_001;
    let path: &CStr = c"/proc/self/oom_score_adj";
    let path = path.as_ptr().expose_provenance();
    // SAFETY: the kernel reads a C string.
    let file = unsafe { call(number::OPENAT, [AT_FDCWD, path, O_WRONLY_CLOEXEC, 0, 0, 0]) };
    let Ok(file) = file else { return };
    let bytes = OOM_SCORE_ADJ.as_ptr().expose_provenance();
    // SAFETY: the kernel reads the bytes, whose number is passed.
    let _ = unsafe { call(number::WRITE, [file, bytes, OOM_SCORE_ADJ.len(), 0, 0, 0]) };
    // SAFETY: the call takes no pointer. The descriptor was opened above.
    let _ = unsafe { call(number::CLOSE, [file, 0, 0, 0, 0, 0]) };
}

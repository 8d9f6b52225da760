//! Resource limits of this process and of those that it starts.

use capspawn_raw::limit::Limit;
use capspawn_raw::syscall::{call, number};

/// Limits the tasks of the present user.
pub(crate) fn limit_tasks(tasks: u64) -> Result<(), i32> {
    const RLIMIT_NPROC: u32 = 6;
    set_limit(Limit {
        resource: RLIMIT_NPROC,
        values: [tasks; 2],
    })
}

/// Sets a limit, or the present hard limit where that is less.
pub(crate) fn set_limit(limit: Limit) -> Result<(), i32> {
    let resource = limit.resource as usize;
    let mut own = [0u64; 2];
    let args = [0, resource, 0, (&raw mut own).expose_provenance(), 0, 0];
    // SAFETY: the kernel stores a `struct rlimit64` in `own`.
    unsafe { call(number::PRLIMIT64, args)? };
    let [_, hard] = own;
    let values = limit.values.map(|value| value.min(hard));
    let values = (&raw const values).expose_provenance();
    // SAFETY: the kernel reads a `struct rlimit64`.
    unsafe { call(number::PRLIMIT64, [0, resource, values, 0, 0, 0]) }.map(drop)
}

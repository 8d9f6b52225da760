//! Resource limits of one process.
//!
//! The same format is used all the way: the host fills a [`LimitList`], the request carries
//! it, and the child passes each value to `prlimit(2)` without copying it.

use core::ops::Deref;

use crate::syscall::{call, number};

/// The most limits of a child; the host sets nine.
pub const MAX_LIMITS: usize = 12;

const RLIMIT_STACK: u32 = 3;
const RLIMIT_NICE: u32 = 13;
const RLIMIT_RTPRIO: u32 = 14;

/// The limits that a child has whatever its grant, in place of the host's: a stack of 8 MiB, as
/// a login has (a program may raise it), and neither real-time policies nor negative nice values.
pub const INHERITED: [Limit; 3] = [
    Limit {
        resource: RLIMIT_STACK,
        values: [8 << 20, u64::MAX],
    },
    Limit {
        resource: RLIMIT_NICE,
        values: [0; 2],
    },
    Limit {
        resource: RLIMIT_RTPRIO,
        values: [0; 2],
    },
];

/// One resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The resource, as `RLIMIT_DATA`.
    pub resource: u32,
    /// The soft and the hard limit, laid out as `struct rlimit64`; the unit is the
    /// resource's.
    pub values: [u64; 2],
}

/// Sets a limit of this process, or the present hard limit where that is less.
///
/// # Errors
///
/// The error number of `prlimit(2)`.
pub fn set(limit: Limit) -> Result<(), i32> {
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

/// Limits the tasks of the present user, as this process sees them.
///
/// # Errors
///
/// The error number of `prlimit(2)`.
pub fn set_tasks(tasks: u64) -> Result<(), i32> {
    const RLIMIT_NPROC: u32 = 6;
    set(Limit {
        resource: RLIMIT_NPROC,
        values: [tasks; 2],
    })
}

/// The limits of a child, without an allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitList {
    slots: [Limit; MAX_LIMITS],
    count: usize,
}

impl LimitList {
    /// Returns an empty list.
    pub const fn new() -> Self {
        const UNUSED: Limit = Limit {
            resource: 0,
            values: [0; 2],
        };
        Self {
            slots: [UNUSED; MAX_LIMITS],
            count: 0,
        }
    }

    /// Appends a limit; `None` if the list is full.
    pub fn push(&mut self, limit: Limit) -> Option<()> {
        *self.slots.get_mut(self.count)? = limit;
        self.count = self.count.wrapping_add(1);
        Some(())
    }
}

impl Default for LimitList {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for LimitList {
    type Target = [Limit];

    fn deref(&self) -> &[Limit] {
        self.slots.get(..self.count).unwrap_or(&[])
    }
}

impl<const N: usize> From<[Option<Limit>; N]> for LimitList {
    fn from(limits: [Option<Limit>; N]) -> Self {
        const { assert!(N <= MAX_LIMITS, "more limits than a request carries") };
        let mut list = Self::new();
        for limit in limits.into_iter().flatten() {
            // There is room for all, by the assertion.
            let _ = list.push(limit);
        }
        list
    }
}

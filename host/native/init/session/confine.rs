//! The session's processes give up everything that they do not need.

use core::ffi::CStr;

use super::descriptor::Descriptor;
use super::mount;
use super::namespaces::set_dumpable;
use capspawn_raw::syscall::{call, number};
use capspawn_raw::steps::{self, Confine, Failure, Fault, FilterProgram, Instruction, Step};
use capspawn_raw::wire::Configuration;

/// Takes every step of the server, the filter last. Returns what each child restricts
/// itself with, if anything.
pub(super) fn confine(
    configuration: &Configuration<'_>,
    ruleset: i32,
    fault: Fault,
) -> Result<Option<Descriptor>, Failure> {
    fault.guard(Step::Limits, || {
        raise_descriptors()?;
        limit_tasks(configuration.tasks)
    })?;
    let nested = fault.guard(Step::Landlock, || match ruleset {
        ..0 => Ok(None),
        _ => {
            own_rules(configuration, ruleset)?;
            nested(configuration).map(Some)
        }
    })?;
    give_up(filter(configuration.filter), ruleset, fault)?;
    Ok(nested)
}

/// Makes the ruleset of each child's own domain, nested in the server's: siblings
/// neither signal nor trace each other. What they may open is the server's domain to
/// say: to have each of its rules a second time costs a child 20 us.
fn nested(configuration: &Configuration<'_>) -> Result<Descriptor, i32> {
    const MAKE_BLOCK: u64 = 1 << 11;
    const REFER: u64 = 1 << 13;
    // Moving a file to another directory is denied by every domain that does not allow it. Where the kernel does not
    // know it yet, something else is handled, as something must be: what the outer domain denies everywhere.
    let refer = configuration.write & REFER;
    let handled = if refer == 0 { MAKE_BLOCK } else { refer };
    // A `struct landlock_ruleset_attr`: file system, network, scopes. A kernel that knows less of it takes the rest
    // as long as it is zero.
    let attributes = [handled, 0, configuration.scopes];
    let bytes = size_of_val(&attributes);
    let args = [(&raw const attributes).addr(), bytes, 0, 0, 0, 0];
    // SAFETY: as many bytes as are said, read only.
    let ruleset = Descriptor::new(unsafe { call(number::LANDLOCK_CREATE_RULESET, args) })?;
    let root = mount::inside(c"/", true, mount::NO_FILTER)?;
    add_rule(ruleset.0, &root, refer)?;
    Ok(ruleset)
}

/// What pid 1 still calls: it lets go of what it needs no more, and waits for its end. Its
/// own filter, since the server's takes 0.1 ms to be compiled a second time.
static FIRST: [Instruction; 10] = {
    const LOAD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const X86_64: u32 = 0xc000_003e;
    const KILL_PROCESS: u32 = 0x8000_0000;
    const EPERM: u32 = 0x0005_0001;
    const ALLOW: u32 = 0x7fff_0000;
    const fn instruction(code: u16, k: u32, jt: u8) -> Instruction {
        Instruction { code, jt, jf: 0, k }
    }
    [
        instruction(LOAD, 4, 0),
        instruction(JUMP_IF_EQUAL, X86_64, 1),
        instruction(RETURN, KILL_PROCESS, 0),
        instruction(LOAD, 0, 0),
        instruction(JUMP_IF_EQUAL, number::READ as u32, 4),
        instruction(JUMP_IF_EQUAL, number::CLOSE as u32, 3),
        instruction(JUMP_IF_EQUAL, number::MUNMAP as u32, 2),
        instruction(JUMP_IF_EQUAL, number::EXIT_GROUP as u32, 1),
        instruction(RETURN, EPERM, 0),
        instruction(RETURN, ALLOW, 0),
    ]
};

/// Gives up all rights of pid 1.
pub(super) fn first(ruleset: i32, fault: Fault) -> Result<(), Failure> {
    let own = FilterProgram {
        len: FIRST.len() as u16,
        code: FIRST.as_ptr(),
    };
    give_up(own, ruleset, fault)
}

/// Gives up all rights but those that `filter` leaves.
fn give_up(filter: FilterProgram, ruleset: i32, fault: Fault) -> Result<(), Failure> {
    fault.guard(Step::Capabilities, || {
        drop_bounding_set();
        set_dumpable(0)
    })?;
    let confine = Confine {
        lock_securebits: true,
        ruleset,
        filter,
    };
    steps::confine(&confine, fault)
}

fn filter(bytes: &[u8]) -> FilterProgram {
    FilterProgram {
        len: (bytes.len() / size_of::<Instruction>()) as u16,
        code: bytes.as_ptr().cast(),
    }
}

/// The host may have been short of descriptors just when it started the session:
/// as many as the hard limit lets the server have.
fn raise_descriptors() -> Result<(), i32> {
    const RLIMIT_NOFILE: usize = 7;
    limit(RLIMIT_NOFILE, u64::MAX)
}

/// In a user namespace the limit counts the namespace's tasks of this user, pid 1,
/// the server and zombies included, and no others: an exact cap.
fn limit_tasks(tasks: u64) -> Result<(), i32> {
    const RLIMIT_NPROC: usize = 6;
    if tasks == u64::MAX {
        return Ok(());
    }
    limit(RLIMIT_NPROC, tasks)
}

/// Sets both limits of `resource` to `value`, or to the hard one where that is less.
fn limit(resource: usize, value: u64) -> Result<(), i32> {
    let mut own = [0u64; 2];
    let args = [0, resource, 0, (&raw mut own).addr(), 0, 0];
    // SAFETY: the kernel stores a `struct rlimit64`.
    unsafe { call(number::PRLIMIT64, args)? };
    let [_, hard] = own;
    let values = [value.min(hard); 2];
    let args = [0, resource, (&raw const values).addr(), 0, 0, 0];
    // SAFETY: a `struct rlimit64`, read only.
    unsafe { call(number::PRLIMIT64, args) }.map(drop)
}

fn drop_bounding_set() {
    const PR_CAPBSET_DROP: usize = 24;
    for capability in 0..64 {
        // The first number that is no capability ends the list.
        // SAFETY: takes no pointer.
        if unsafe { call(number::PRCTL, [PR_CAPBSET_DROP, capability, 0, 0, 0, 0]) }.is_err() {
            return;
        }
    }
}

/// Adds what only the session has to the grant's ruleset.
fn own_rules(configuration: &Configuration<'_>, ruleset: i32) -> Result<(), i32> {
    let rules: [(&CStr, u64); 4] = [
        (c"/", configuration.list),
        (c"/proc", configuration.proc),
        (c"/tmp", configuration.write),
        (c"/dev/shm", configuration.write),
    ];
    for (path, access) in rules {
        let parent = mount::inside(path, true, mount::NO_FILTER)?;
        add_rule(ruleset, &parent, access)?;
    }
    Ok(())
}

fn add_rule(ruleset: i32, parent: &Descriptor, access: u64) -> Result<(), i32> {
    const PATH_BENEATH: usize = 1;
    if access == 0 {
        return Ok(());
    }
    // A packed `struct landlock_path_beneath_attr`: the access, the descriptor.
    let rule = [access, u64::from(parent.0.cast_unsigned())];
    let args = [
        ruleset as usize,
        PATH_BENEATH,
        (&raw const rule).addr(),
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads the first 12 bytes of `rule`.
    unsafe { call(number::LANDLOCK_ADD_RULE, args) }.map(drop)
}

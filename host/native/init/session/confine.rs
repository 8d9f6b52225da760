//! The session's processes give up every right that they do not need.

use core::ffi::CStr;

use super::descriptor::Descriptor;
use super::mount;
use super::namespaces::set_dumpable;
use capspawn_raw::confine::{self, Confine, no_new_privileges};
use capspawn_raw::filter::{FilterProgram, Instruction};
use capspawn_raw::limit::{self, INHERITED, Limit};
use capspawn_raw::step::{Failure, Fault, Step};
use capspawn_raw::syscall::{call, number};
use capspawn_raw::wire::{Configuration, Operation};

/// Takes every step of the server, the filter last. Returns the ruleset with which each
/// child restricts itself, where there is Landlock.
pub(super) fn server(
    configuration: &Configuration<'_>,
    ruleset: Option<&Descriptor>,
    ipc_is_limited: bool,
    fault: Fault,
) -> Result<Option<Descriptor>, Failure> {
    fault.guard(Step::Limits, || {
        raise_descriptors()?;
        for resource in INHERITED {
            limit::set(resource)?;
        }
        limit::set(MESSAGE_QUEUES)
    })?;
    let child_ruleset = fault.guard(Step::Landlock, || match ruleset {
        None => Ok(None),
        Some(ruleset) => {
            add_own_rules(configuration, ruleset)?;
            childrens_ruleset(configuration).map(Some)
        }
    })?;
    if !ipc_is_limited {
        // A second filter is slower than one, and this one is short.
        fault.guard(Step::Seccomp, || {
            no_new_privileges()?;
            confine::install(&FilterProgram::from_bytes(configuration.system_v_filter))
        })?;
    }
    give_up(
        FilterProgram::from_bytes(configuration.filter),
        ruleset,
        CAP_SYS_ADMIN,
        fault,
    )?;
    Ok(child_ruleset)
}

/// All POSIX message queues of the session together, 400 KiB: half of the kernel's default for a user, whose other programs
/// keep as much. Four queues of the default size.
const MESSAGE_QUEUES: Limit = Limit {
    resource: 12, // RLIMIT_MSGQUEUE
    values: [400 * 1024; 2],
};

/// Makes the ruleset of each child's own domain, which is nested in the server's: siblings
/// can neither signal nor trace each other. The server's domain decides what they may open;
/// the same rules a second time would cost each child 20 µs.
fn childrens_ruleset(configuration: &Configuration<'_>) -> Result<Descriptor, i32> {
    const MAKE_BLOCK: u64 = 1 << 11;
    const REFER: u64 = 1 << 13;
    // A ruleset must handle some right. Every domain denies REFER (to move a file to another directory) unless it
    // allows it, so this one handles and allows REFER. On a kernel that does not know it yet, the ruleset handles
    // MAKE_BLOCK, which the server's domain denies everywhere.
    let refer = configuration.write_rights & REFER;
    let handled = if refer == 0 { MAKE_BLOCK } else { refer };
    let root = mount::inside(c"/", true, mount::NO_PASS)?;
    child_ruleset([handled, 0, configuration.scopes], &root, refer)
}

/// Makes a ruleset with `attributes`, which allows `allowed` below `root`.
pub(super) fn child_ruleset(
    attributes: [u64; 3],
    root: &Descriptor,
    allowed: u64,
) -> Result<Descriptor, i32> {
    // A `struct landlock_ruleset_attr`: file system, network, scopes. A kernel that knows fewer fields accepts the
    // others if they are zero.
    let bytes = size_of_val(&attributes);
    let args = [
        (&raw const attributes).expose_provenance(),
        bytes,
        0,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads `attributes`, whose size is passed.
    let ruleset = Descriptor::new(unsafe { call(number::LANDLOCK_CREATE_RULESET, args) })?;
    add_rule(&ruleset, root, allowed)?;
    Ok(ruleset)
}

/// The filter of pid 1: it closes and unmaps what it needs no more, and waits for the end of
/// the host. A filter of its own, since the kernel would take 0.1 ms to compile the server's
/// a second time.
static PID1_FILTER: [Instruction; 10] = {
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
pub(super) fn pid1(ruleset: Option<&Descriptor>, fault: Fault) -> Result<(), Failure> {
    give_up(FilterProgram::new(&PID1_FILTER), ruleset, 0, fault)
}

/// In the session's user namespace, and used for one call alone, by which a server that the first one
/// has started joins the pid namespace. The filter denies it and all others that need the
/// capability to the children, who have neither it nor the pass.
const CAP_SYS_ADMIN: u32 = 1 << 21;

/// Gives up all rights except those that `filter` leaves, and the `capabilities`.
fn give_up(
    filter: FilterProgram<'_>,
    ruleset: Option<&Descriptor>,
    capabilities: u32,
    fault: Fault,
) -> Result<(), Failure> {
    fault.guard(Step::Capabilities, || {
        drop_bounding_set();
        set_dumpable(0)
    })?;
    let confine = Confine {
        lock_securebits: true,
        capabilities,
        ruleset: ruleset.map(Descriptor::number),
        filter,
        observer: None,
    };
    confine::confine(&confine, fault)
}

/// Raises the soft limit on descriptors to the hard one. The host may have been short of
/// descriptors when it started the session, and the server would keep that limit.
fn raise_descriptors() -> Result<(), i32> {
    const RLIMIT_NOFILE: u32 = 7;
    limit::set(Limit {
        resource: RLIMIT_NOFILE,
        values: [u64::MAX; 2],
    })
}

fn drop_bounding_set() {
    const PR_CAPBSET_DROP: usize = 24;
    for capability in 0..64 {
        // The kernel's capabilities are numbered without a gap: the first refused number ends the list.
        // SAFETY: the call takes no pointer.
        if unsafe { call(number::PRCTL, [PR_CAPBSET_DROP, capability, 0, 0, 0, 0]) }.is_err() {
            return;
        }
    }
}

/// Adds the session's own file systems and files to the grant's ruleset.
fn add_own_rules(configuration: &Configuration<'_>, ruleset: &Descriptor) -> Result<(), i32> {
    const READ_FILE: u64 = 1 << 2;
    let rules: [(&CStr, u64); 6] = [
        (c"/", configuration.list_rights),
        (c"/proc", configuration.proc_rights),
        (c"/tmp", configuration.write_rights),
        (c"/dev/shm", configuration.write_rights),
        // Message queues are files there, wherever `mq_open(2)` finds them.
        (c"/dev/mqueue", configuration.write_rights),
        (c"/dev/pts", configuration.terminal_rights),
    ];
    for (path, access) in rules {
        let parent = mount::inside(path, true, mount::NO_PASS)?;
        add_rule(ruleset, &parent, access)?;
    }
    // A host may have no such device.
    if let Ok(own_terminal) = mount::inside(c"/dev/tty", false, mount::NO_PASS) {
        let of_files = configuration.terminal_rights & !configuration.list_rights;
        add_rule(ruleset, &own_terminal, of_files)?;
    }
    let own = mount::inside(c"/dev", true, mount::NO_PASS)?.stat()?.device;
    let read = configuration.proc_rights & READ_FILE;
    for operation in configuration.operations() {
        let Ok(Operation::File { path, .. }) = operation else {
            continue;
        };
        // Where the host's file stayed, the grant's rules decide.
        if let Ok(file) = mount::inside(path, false, mount::NO_PASS)
            && file.stat()?.device == own
        {
            add_rule(ruleset, &file, read)?;
        }
    }
    Ok(())
}

fn add_rule(ruleset: &Descriptor, parent: &Descriptor, access: u64) -> Result<(), i32> {
    const PATH_BENEATH: usize = 1;
    if access == 0 {
        return Ok(());
    }
    // A packed `struct landlock_path_beneath_attr`: the access, the descriptor.
    let rule = [access, parent.arg() as u64];
    let args = [
        ruleset.arg(),
        PATH_BENEATH,
        (&raw const rule).expose_provenance(),
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads the first 12 bytes of `rule`.
    unsafe { call(number::LANDLOCK_ADD_RULE, args) }.map(drop)
}

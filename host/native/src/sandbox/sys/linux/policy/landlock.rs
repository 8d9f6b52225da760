//! The file system part of a confinement as a Landlock ruleset.
//!
//! A ruleset is a descriptor: it is built once per confinement and each child
//! restricts itself with it, which makes a domain of its own every time (two
//! children of one grant cannot signal each other). In a session its two processes
//! do, and each child has a domain in theirs. What the paths name is fixed
//! when the ruleset is built, like a preopened directory.
//!
//! Landlock allows, it cannot subtract: a grant's `deny` holes are not its to
//! enforce, and the report says so.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};

use crate::confinement::{Confinement, FsRoot, Network, Sandbox};

/// The ABI that `required` demands: the first with scopes for signals and
/// abstract sockets.
const REQUIRED: ABI = ABI::V6;

/// Devices that every program expects.
const READABLE_DEVICES: [&str; 4] = ["/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
const WRITABLE_DEVICE: &str = "/dev/null";

/// Builds the ruleset of `confinement`, under which `program` can be executed, wherever it lies.
/// None where the system has no Landlock and the confinement does not require it.
///
/// A read root that does not exist is left out; a write root must exist.
pub(crate) fn ruleset(
    confinement: &Confinement,
    program: Option<&File>,
) -> io::Result<Option<OwnedFd>> {
    if confinement.sandbox == Sandbox::None {
        return Ok(None);
    }
    let level = match confinement.sandbox {
        Sandbox::Required => CompatLevel::HardRequirement,
        Sandbox::BestEffort | Sandbox::None => CompatLevel::BestEffort,
    };
    let network = confinement.network != Network::Host;
    build(confinement, program, level, network).map(Into::into)
}

/// The same for a session, as much of it as this system has: its namespaces and its root confine,
/// and the ruleset stands behind them. None without Landlock.
///
/// Its network namespace is its own: the loopback interface there is the grant's to use.
pub(crate) fn session_ruleset(confinement: &Confinement) -> io::Result<Option<OwnedFd>> {
    if confinement.sandbox == Sandbox::None {
        return Ok(None);
    }
    let network = confinement.network == Network::None;
    build(confinement, None, CompatLevel::BestEffort, network).map(Into::into)
}

/// The scopes of each child of a session, as the kernel's bits.
pub(crate) fn session_scopes() -> u64 {
    Scope::from_all(running()).bits()
}

/// Rights for what a session has of its own, as the kernel's bits: to list, for
/// `/proc`, and to write. No more than this kernel knows.
pub(crate) fn session_rights() -> [u64; 3] {
    let known = AccessFs::from_all(running());
    let list = BitFlags::from(AccessFs::ReadDir);
    let proc = list | AccessFs::ReadFile | AccessFs::WriteFile;
    [list, proc, writable()].map(|rights| (rights & known).bits())
}

/// No new device nodes, and no ioctl on any that should lie there.
fn writable() -> BitFlags<AccessFs> {
    AccessFs::from_all(REQUIRED) & !(AccessFs::MakeBlock | AccessFs::MakeChar | AccessFs::IoctlDev)
}

fn build(
    confinement: &Confinement,
    program: Option<&File>,
    level: CompatLevel,
    network: bool,
) -> io::Result<RulesetCreated> {
    let mut ruleset = handled(level, network).map_err(io::Error::other)?;
    let execute = AccessFs::Execute | AccessFs::ReadFile;
    let read = execute | AccessFs::ReadDir;
    let device = AccessFs::ReadFile | AccessFs::IoctlDev;
    for path in READABLE_DEVICES {
        ruleset = allow_if_there(ruleset, &path.into(), device)?;
    }
    ruleset = allow_if_there(
        ruleset,
        &WRITABLE_DEVICE.into(),
        device | AccessFs::WriteFile,
    )?;
    for root in &confinement.fs.read {
        ruleset = allow_if_there(ruleset, root, read)?;
    }
    for root in &confinement.fs.write {
        ruleset = allow(ruleset, root.open()?, writable())?;
    }
    if let Some(program) = program {
        ruleset = allow(ruleset, program, execute)?;
    }
    Ok(ruleset)
}

fn handled(level: CompatLevel, network: bool) -> Result<RulesetCreated, RulesetError> {
    let ruleset = Ruleset::default()
        .set_compatibility(level)
        .handle_access(AccessFs::from_all(REQUIRED))?
        .scope(Scope::from_all(REQUIRED))?;
    let ruleset = if network {
        ruleset.handle_access(AccessNet::from_all(REQUIRED))?
    } else {
        ruleset
    };
    ruleset.create()
}

fn allow_if_there(
    ruleset: RulesetCreated,
    root: &FsRoot,
    access: BitFlags<AccessFs>,
) -> io::Result<RulesetCreated> {
    match root.open() {
        Ok(file) => allow(ruleset, file, access),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ruleset),
        Err(error) => Err(error),
    }
}

fn allow(
    ruleset: RulesetCreated,
    file: impl AsFd,
    access: BitFlags<AccessFs>,
) -> io::Result<RulesetCreated> {
    let stat = rustix::fs::fstat(&file)?;
    let directory = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir();
    let access = if directory {
        access
    } else {
        access & AccessFs::from_file(REQUIRED)
    };
    ruleset
        .add_rule(PathBeneath::new(file, access))
        .map_err(io::Error::other)
}

fn running() -> ABI {
    ABI::from(i32::try_from(abi()).unwrap_or(0))
}

/// Returns the running kernel's Landlock ABI; 0 where there is none.
#[allow(
    unsafe_code,
    reason = "the crate asks for the version but does not tell it"
)]
pub(crate) fn abi() -> u32 {
    const VERSION: libc::c_ulong = 1;
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: with the VERSION flag the call takes no attribute and makes no descriptor.
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0usize, VERSION) };
    u32::try_from(abi).unwrap_or(0)
}

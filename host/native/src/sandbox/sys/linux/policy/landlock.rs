//! The file system part of a confinement as a Landlock ruleset.
//!
//! A ruleset is a descriptor. It is built once per confinement, and each child restricts
//! itself with it, which creates a new domain each time: two children of one grant cannot
//! signal each other. In a session, pid 1 and the server restrict themselves with it, and
//! each child has a domain nested in theirs. The ruleset refers to the files that its
//! paths named when it was built, like a preopened directory.
//!
//! Landlock rules only allow. They cannot exclude a part of a root, so a grant's denied
//! paths are enforced in sessions alone, and the report says so.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};

use crate::confinement::{Confinement, FsRoot, Network, Sandbox};

/// The ABI that `sandbox = "required"` needs: the first with scopes for signals and
/// abstract sockets (Linux 6.12).
const REQUIRED: ABI = ABI::V6;

/// Devices that every program may read.
const READABLE_DEVICES: [&str; 4] = ["/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
const WRITABLE_DEVICE: &str = "/dev/null";

/// Builds the ruleset of `confinement`, under which `program` can be executed, wherever it lies,
/// and `tmp` can be written to. Returns none where the system has no Landlock and the confinement does not require it.
///
/// A read root that does not exist is left out.
///
/// # Errors
///
/// A write root does not exist, or the kernel lacks what the confinement requires.
pub(crate) fn ruleset(
    confinement: &Confinement,
    program: Option<&File>,
    tmp: Option<&Path>,
) -> io::Result<Option<OwnedFd>> {
    if confinement.sandbox == Sandbox::None {
        return Ok(None);
    }
    let level = match confinement.sandbox {
        Sandbox::Required => CompatLevel::HardRequirement,
        Sandbox::BestEffort | Sandbox::None => CompatLevel::BestEffort,
    };
    let network = confinement.network != Network::Host;
    let mut ruleset = build(confinement, program, level, network)?;
    if let Some(tmp) = tmp {
        ruleset = allow(ruleset, FsRoot::from(tmp).open()?, writable())?;
    }
    Ok(ruleset.into())
}

/// Builds the ruleset of a session, as far as this system supports it: the namespaces and the
/// private root confine its children, and the ruleset is a second line of defence. Returns none
/// without Landlock.
///
/// A session has a network namespace of its own, so the ruleset restricts TCP only where the
/// grant has no network: the loopback interface of the session is the grant's to use.
pub(crate) fn session_ruleset(confinement: &Confinement) -> io::Result<Option<OwnedFd>> {
    if confinement.sandbox == Sandbox::None {
        return Ok(None);
    }
    let network = confinement.network == Network::None;
    build(confinement, None, CompatLevel::BestEffort, network).map(Into::into)
}

/// Returns the scopes of each child of a session, as the kernel's bits.
pub(crate) fn session_scopes() -> u64 {
    Scope::from_all(running()).bits()
}

/// Returns the rights on a session's own file systems, as the kernel's bits: to list a directory,
/// those on `/proc`, to write, and those on terminals. Without rights that this kernel does not know.
pub(crate) fn session_rights() -> [u64; 4] {
    let known = AccessFs::from_all(running());
    let list = BitFlags::from(AccessFs::ReadDir);
    let proc = list | AccessFs::ReadFile;
    let terminal = proc | AccessFs::WriteFile | AccessFs::IoctlDev;
    [list, proc, writable(), terminal].map(|rights| (rights & known).bits())
}

/// Returns the rights below a write root: all but to create device nodes, and to call `ioctl` on
/// one that is there.
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

/// Returns whether a domain can have a scope for signals (Linux 6.12).
pub(crate) fn has_signal_scope() -> bool {
    Scope::from_all(running()).contains(Scope::Signal)
}

fn running() -> ABI {
    ABI::from(i32::try_from(abi()).unwrap_or(0))
}

/// Returns the Landlock ABI of the running kernel; 0 without Landlock.
#[allow(unsafe_code, reason = "the landlock crate does not expose the version")]
pub(crate) fn abi() -> u32 {
    const VERSION: libc::c_ulong = 1;
    let none = std::ptr::null::<libc::c_void>();
    // SAFETY: with the VERSION flag the call reads no attribute and creates no descriptor.
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0usize, VERSION) };
    u32::try_from(abi).unwrap_or(0)
}

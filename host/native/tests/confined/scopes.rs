//! Whether Landlock confines signals and abstract UNIX sockets.

use crate::syscall::call;

/// The first Landlock ABI that has scopes, of Linux 6.12.
const FIRST: usize = 6;

/// Whether the kernel's Landlock has scopes. Without them a child in a session can signal other processes
/// of its session, and reaches abstract UNIX sockets of the host's network where it has that.
pub(crate) fn has_scopes() -> bool {
    const LANDLOCK_CREATE_RULESET_VERSION: usize = 1;
    let abi = call(
        libc::SYS_landlock_create_ruleset,
        [0, 0, LANDLOCK_CREATE_RULESET_VERSION, 0, 0, 0],
    );
    abi.is_ok_and(|abi| abi >= FIRST)
}

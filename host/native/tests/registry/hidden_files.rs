//! Memory of files that a program tries to hide, or that is no memory of its own: memfds, segments, mapped files.

use std::fs::File;

use capspawn_native::ExitStatus;
use capspawn_native::sandbox::{NativeLauncher, Tier};
use tempfile::TempDir;
use test_kit::scratch;

use crate::hidden::{
    KILLED_MEMORY, LIVES, as_ordinary_user, end, ends, ends_in, has_cgroups, sampled_end, tiers,
};
use crate::support::*;

/// Runs a program that needs a session as [`ends`] does. In other tiers it ends by itself, as a call is refused.
#[track_caller]
fn ends_in_session(name: &str, limits: &str, program: &str, expected: ExitStatus) {
    for tier in tiers() {
        let expected = match tier {
            Tier::A => expected,
            Tier::B | Tier::C => ExitStatus::Exited(1),
        };
        ends_in(tier, name, limits, program, expected);
    }
    as_ordinary_user(name);
}

/// Fills memfds of 16 MiB, which are not mapped.
const MEMFDS: &str = "
def memfd(size=16 * MIB):
    f = os.memfd_create('a')
    for _ in range(size // MIB): os.write(f, b'x' * MIB)
    return f
";

/// Runs `program`, which fills 128 MiB or more of memfds, under a limit of 64 MiB.
#[track_caller]
fn memfds_count(name: &str, program: &str) {
    let program = format!("{MEMFDS}\n{program}\nhold()");
    ends_in_session(name, r#"memory = "64MiB""#, &program, KILLED_MEMORY);
}

#[test]
fn memfds_that_are_open_count() {
    memfds_count(test_name!(), "kept = [memfd() for _ in range(16)]");
}

#[test]
fn memfds_that_nothing_but_a_queue_holds_count() {
    let program = "
a, b = socket.socketpair()
for _ in range(16):
    f = memfd(); socket.send_fds(a, [b'x'], [f]); os.close(f)";
    memfds_count(test_name!(), program);
}

/// Only a socket in the queue of another one holds the memfds.
#[test]
fn memfds_in_the_queue_of_a_socket_in_a_queue_count() {
    let program = "
a, b = socket.socketpair()
c, d = socket.socketpair()
for _ in range(16):
    f = memfd(); socket.send_fds(c, [b'x'], [f]); os.close(f)
socket.send_fds(a, [b'x'], [d.fileno()]); d.close(); c.close()";
    memfds_count(test_name!(), program);
}

/// As the programs of running processes, without a descriptor and hardly mapped.
#[test]
fn memfds_that_are_executed_count() {
    let program = "
for _ in range(8):
    f = memfd(0)
    os.write(f, open('/bin/sleep', 'rb').read()); os.write(f, b'x' * 16 * MIB)
    if os.fork() == 0: os.execve(f, ['sleep', '600'], {})
    os.close(f)";
    memfds_count(test_name!(), program);
}

#[test]
fn a_memfd_counts_once_and_lives_within_its_limit() {
    let program = format!(
        "{MEMFDS}
f = memfd(32 * MIB); m = mmap.mmap(f, 32 * MIB); touch(m)
for _ in range(4):
    if os.fork() == 0: m[0]; end()
end()"
    );
    ends_in_session(test_name!(), r#"memory = "96MiB""#, &program, LIVES);
}

/// A segment that a process has attached counts as any shared memory.
#[test]
fn attached_segments_of_system_v_count() {
    let program = "
libc.shmat.restype = ctypes.c_void_p
kept = []
for _ in range(7):
    s = libc.shmget(0, 8 * MIB, 0o1600)
    if s < 0: sys.exit(1)
    at = libc.shmat(s, None, 0); ctypes.memset(at, 1, 8 * MIB)
hold()";
    ends_in_session(test_name!(), r#"memory = "40MiB""#, program, KILLED_MEMORY);
}

/// Returns a folder with a file `large` of `mib` MiB, and limits under which a program has `memory` and may read it.
fn large_file(mib: u64, memory: &str) -> (TempDir, String) {
    let folder = scratch();
    let large = File::create(folder.path().join("large")).expect("the folder is writable");
    large.set_len(mib << 20).expect("a file without blocks");
    let path = folder.path().display();
    let limits = format!("memory = \"{memory}\" }}\n[component.test]\nfs = {{ read = [\"{path}\"]");
    (folder, limits)
}

/// The kernel can give up such pages, and keeps them when the process ends.
#[test]
fn pages_of_mapped_files_do_not_count() {
    let (folder, limits) = large_file(300, "64MiB");
    let folder = folder.path().display();
    let program = format!(
        "
f = open('{folder}/large', 'rb')
m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
def read():
    for o in range(0, len(m), 4096): m[o]
read()
if os.fork() == 0: read(); end()
end()"
    );
    ends(test_name!(), &limits, &program, LIVES);
}

#[test]
fn changed_pages_of_mapped_files_count() {
    let (folder, limits) = large_file(40, "96MiB");
    let folder = folder.path().display();
    // RLIMIT_DATA refuses a process more than the limit, so there are several.
    let program = format!(
        "
f = open('{folder}/large', 'rb')
for _ in range(3): os.fork()
m = mmap.mmap(f.fileno(), 40 * MIB, access=mmap.ACCESS_COPY); touch(m)
hold()"
    );
    ends(test_name!(), &limits, &program, KILLED_MEMORY);
}

/// As the sanitizers of gcc and clang reserve their shadow: address space that may be written and is hardly used.
#[test]
fn unused_address_space_is_refused_only_where_no_cgroup_limits_memory() {
    let program = "
MAP_NORESERVE = 0x4000
m = mmap.mmap(-1, 64 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE)
touch(m, 8 * MIB)
end()";
    let limits = r#"memory = "128MiB""#;
    let name = test_name!();
    for tier in tiers() {
        sampled_end(name, tier, limits, program, ExitStatus::Exited(1));
        let launcher = NativeLauncher::builder().tier(tier).build();
        if has_cgroups(&launcher) {
            end(name, launcher, limits, program, LIVES);
        }
    }
    as_ordinary_user(name);
}

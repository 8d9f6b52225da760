//! Memory, processor time and tasks that a program tries to hide from its limits.
//!
//! Each program runs confined, in tiers A and B, without a cgroup and, where the host may make
//! one, in a cgroup, under a host that is root and one that is not.
//! Beside each is a program that does the same within its limit, and lives.

use std::sync::Arc;

use capspawn_native::confinement::{Confinement, Dimension, Enforced};
use capspawn_native::launch::{Launcher as _, TreeUsage};
use capspawn_native::sandbox::{NativeLauncher, Tier};
use capspawn_native::{Command, ExitStatus, KillReason, Registry};
use test_kit::{assert_passes_unprivileged, is_root, required_tier};

use crate::support::*;

/// Set for the run as an ordinary user.
const AS_USER: &str = "CAPSPAWN_TEST_AS_USER";

/// What the programs share. `end` waits until several samples have been taken.
const PRELUDE: &str = r#"
import ctypes, mmap, os, signal, socket, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
MIB = 1 << 20
def touch(m, size=None):
    for o in range(0, size or len(m), 4096): m[o] = 1
def shared(size): return mmap.mmap(-1, size)
def burn(seconds):
    start = time.thread_time()
    while time.thread_time() - start < seconds: pass
def hold(): time.sleep(600)
def end(): time.sleep(1.2); os._exit(0)
"#;

pub(crate) const KILLED_MEMORY: ExitStatus = ExitStatus::Killed(KillReason::Memory);
const KILLED_CPU: ExitStatus = ExitStatus::Killed(KillReason::CpuTime);
const KILLED_TASKS: ExitStatus = ExitStatus::Killed(KillReason::Processes);
pub(crate) const LIVES: ExitStatus = ExitStatus::Exited(0);

/// Runs `program` under `limits` and asserts how it ends: in both tiers, without and with a
/// cgroup, and as root and as an ordinary user where the test runs as root.
#[track_caller]
pub(crate) fn ends(name: &str, limits: &str, program: &str, expected: ExitStatus) {
    for tier in tiers() {
        ends_in(tier, name, limits, program, expected);
    }
    as_ordinary_user(name);
}

#[track_caller]
pub(crate) fn ends_in(tier: Tier, name: &str, limits: &str, program: &str, expected: ExitStatus) {
    sampled_end(name, tier, limits, program, expected);
    let launcher = NativeLauncher::builder().tier(tier).build();
    if !has_cgroups(&launcher) {
        println!("{name}, tier {tier}: no cgroup can be made here");
        return;
    }
    let usage = end(name, launcher, limits, program, expected);
    if expected == KILLED_MEMORY {
        let peak = usage.peak_memory_bytes.expect("it is counted");
        assert!(
            peak <= memory_limit(limits) / 4 * 5,
            "{name}, tier {tier}: {peak}"
        );
    }
}

#[track_caller]
pub(crate) fn sampled_end(
    name: &str,
    tier: Tier,
    limits: &str,
    program: &str,
    expected: ExitStatus,
) {
    let launcher = NativeLauncher::builder().tier(tier).without_cgroups();
    end(name, launcher.build(), limits, program, expected);
}

/// Runs `program`, asserts how it ends, and returns what it has used.
#[track_caller]
pub(crate) fn end(
    name: &str,
    launcher: NativeLauncher,
    limits: &str,
    program: &str,
    expected: ExitStatus,
) -> TreeUsage {
    let registry = build(Registry::builder().launcher(Arc::new(launcher)));
    let toml = format!(
        r#"
        version = 1
        [defaults]
        limits = {{ wall = "10min", cpu = "5min", open-files = 700, {limits} }}
        [[component.test.command]]
        name = "python"
        program = "/usr/bin/python3"
        args = ["-ISc", {{ any = true, allow-dash = true }}]
        interpreter = true
        "#
    );
    let toml = if limits.contains("cpu =") {
        toml.replace(r#"cpu = "5min", "#, "")
    } else {
        toml
    };
    let guest = registry.guest(load(&toml).component("test"), "");
    let command = Command::new("python").args(["-ISc", &format!("{PRELUDE}{program}")]);
    let child = guest.spawn(&command).expect("the grant allows it");
    let (status, stdout, stderr) = output(&child);
    let stderr = String::from_utf8_lossy(&stderr.data);
    let usage = child.usage();
    let last = stdout.data.rsplit(|byte| *byte == b'\n').nth(1);
    let last = String::from_utf8_lossy(last.unwrap_or_default());
    let root = is_root();
    println!("{name}, root {root}: {status}, {usage:?} {last}");
    assert_eq!(status, expected, "{name}, root {root}: {stderr}");
    usage
}

pub(crate) fn as_ordinary_user(name: &str) {
    if is_root() {
        assert_passes_unprivileged(|command| {
            command
                .args(["--exact", name, "--nocapture"])
                .env(AS_USER, "1");
        });
    }
}

/// Whether the kernel enforces the memory limit of a tree.
pub(crate) fn has_cgroups(launcher: &NativeLauncher) -> bool {
    let report = launcher.enforcement(&Confinement::default());
    let full = |(name, level): &(Dimension, Enforced)| {
        *name == Dimension::Memory && matches!(level, Enforced::Full { .. })
    };
    report.dimensions().iter().any(full)
}

/// Returns the bytes in `memory = "NMiB"`.
fn memory_limit(limits: &str) -> u64 {
    let after = limits.split_once("memory = \"").map(|(_, after)| after);
    let digits = after.and_then(|after| after.split_once("MiB"));
    let number: u64 = digits.expect("a limit").0.parse().expect("a number");
    number << 20
}

pub(crate) fn tiers() -> Vec<Tier> {
    required_tier().map_or_else(|| vec![Tier::A, Tier::B], |tier| vec![tier])
}

fn registry_in(tier: Tier) -> Registry {
    let launcher = NativeLauncher::builder().tier(tier).without_cgroups();
    build(Registry::builder().launcher(Arc::new(launcher.build())))
}

#[test]
fn shared_memory_that_was_given_up_counts() {
    let program = "
kept = []
for _ in range(16):
    m = shared(16 * MIB); touch(m); m.madvise(mmap.MADV_DONTNEED); kept.append(m)
hold()";
    ends(test_name!(), r#"memory = "64MiB""#, program, KILLED_MEMORY);
}

#[test]
fn shared_memory_that_was_given_up_counts_when_the_process_cannot_be_read() {
    let program = "
libc.prctl(4, 0, 0, 0, 0)
kept = []
for _ in range(16):
    m = shared(16 * MIB); touch(m); m.madvise(mmap.MADV_DONTNEED); kept.append(m)
hold()";
    ends(test_name!(), r#"memory = "64MiB""#, program, KILLED_MEMORY);
}

#[test]
fn shared_memory_that_was_given_up_counts_after_the_first_thread_has_ended() {
    let program = "
def work():
    time.sleep(0.3); kept = []
    for _ in range(16):
        m = shared(16 * MIB); touch(m); m.madvise(mmap.MADV_DONTNEED); kept.append(m)
    hold()
threading.Thread(target=work).start()
libc.syscall(60, 0)";
    ends(test_name!(), r#"memory = "64MiB""#, program, KILLED_MEMORY);
}

/// A mapping of 10 GiB of which 8 MiB are used. Without root the host knows the size of the mapping
/// and what the whole machine has in shared memory, tests that run beside this one included.
#[test]
fn a_sparse_shared_mapping_counts_with_what_it_holds() {
    let program = "
m = shared(10 << 30); touch(m, 8 * MIB)
if os.fork() == 0: end()
end()";
    let memory = if is_root() { "192MiB" } else { "2GiB" };
    let limits = format!(r#"memory = "{memory}""#);
    ends(test_name!(), &limits, program, LIVES);
}

#[test]
fn page_tables_count() {
    let program = "
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
size = 128 << 30
at = libc.mmap(None, size, 1, 0x4022, -1, 0)
libc.madvise(ctypes.c_void_p(at), ctypes.c_size_t(size), 15)
for o in range(0, size, 2 * MIB): ctypes.c_char.from_address(at + o).value
hold()";
    ends(test_name!(), r#"memory = "64MiB""#, program, KILLED_MEMORY);
}

/// Fills socket buffers until the process holds about 64 MiB, in each of four processes.
const FILL: &str = "
def fill(kind=socket.SOCK_STREAM, packet=b'x' * 32768):
    kept, held = [], 0
    for _ in range(300):
        a, b = socket.socketpair(socket.AF_UNIX, kind); a.setblocking(False)
        a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 * MIB)
        try:
            while held < 64 * MIB: held += max(a.send(packet), 700)
        except BlockingIOError: pass
        kept += [a, b]
        if held >= 64 * MIB: break
    return kept
def forks(count, work):
    for _ in range(count - 1):
        if os.fork() == 0: break
    kept = work(); hold()
";

#[test]
fn socket_buffers_count() {
    let program = format!("{FILL}\nforks(4, fill)");
    ends(
        test_name!(),
        r#"memory = "128MiB""#,
        &program,
        KILLED_MEMORY,
    );
}

#[test]
fn socket_buffers_whose_sender_is_closed_count() {
    let program = format!("{FILL}\nforks(4, lambda: fill()[1::2])");
    ends(
        test_name!(),
        r#"memory = "128MiB""#,
        &program,
        KILLED_MEMORY,
    );
}

#[test]
fn socket_buffers_full_of_small_packets_count() {
    let program = format!("{FILL}\nforks(4, lambda: fill(socket.SOCK_SEQPACKET, b'x')[1::2])");
    ends(
        test_name!(),
        r#"memory = "128MiB""#,
        &program,
        KILLED_MEMORY,
    );
}

#[test]
fn socket_buffers_of_a_process_that_cannot_be_read_count() {
    let program = format!("{FILL}\nlibc.prctl(4, 0, 0, 0, 0)\nforks(4, fill)");
    ends(
        test_name!(),
        r#"memory = "128MiB""#,
        &program,
        KILLED_MEMORY,
    );
}

/// Only the queue of one socket refers to the full sockets.
#[test]
fn sockets_in_flight_count() {
    // Each full socket holds 208 KiB, and the kernel lets a user have as many in flight as descriptors.
    let program = format!(
        "{FILL}
def full():
    a, b = socket.socketpair(); a.setblocking(False)
    try:
        while True: a.send(b'x' * 32768)
    except BlockingIOError: pass
    a.close()
    return b
def work():
    kept = []
    for _ in range(3):
        sockets = [full() for _ in range(50)]
        a, b = socket.socketpair()
        socket.send_fds(a, [b'x'], [s.fileno() for s in sockets]); kept += [a, b]
        for s in sockets: s.close()
    return kept
forks(4, work)"
    );
    ends(test_name!(), r#"memory = "64MiB""#, &program, KILLED_MEMORY);
}

#[test]
fn idle_sockets_and_pipes_count_nothing() {
    let program = "
kept = [socket.socketpair() for _ in range(150)] + [os.pipe() for _ in range(100)]
for a, b in kept[:150]: a.send(b'x')
if os.fork() == 0: end()
end()";
    ends(test_name!(), r#"memory = "128MiB""#, program, LIVES);
}

#[test]
fn shared_pages_of_a_process_that_cannot_be_read_count() {
    let program = "libc.prctl(4, 0, 0, 0, 0); m = shared(256 * MIB); touch(m); hold()";
    ends(test_name!(), r#"memory = "64MiB""#, program, KILLED_MEMORY);
}

#[test]
fn a_process_that_cannot_be_read_lives_within_its_limit() {
    let program = "libc.prctl(4, 0, 0, 0, 0); m = shared(32 * MIB); touch(m); end()";
    ends(test_name!(), r#"memory = "256MiB""#, program, LIVES);
}

/// Pages that a fork shares count once.
#[test]
fn processes_that_share_their_pages_count_them_once() {
    let program = "
m = bytearray(100 * MIB); touch(m)
for _ in range(4):
    if os.fork() == 0: end()
end()";
    ends(test_name!(), r#"memory = "192MiB""#, program, LIVES);
}

/// One child makes its own measurement slow; another one's limit holds all the same.
#[test]
fn no_child_delays_the_sampling_of_another() {
    for tier in tiers() {
        let registry = registry_in(tier);
        let toml = r#"
            version = 1
            [defaults]
            limits = { wall = "10min", memory = "1GiB" }
            [[component.slow.command]]
            name = "python"
            program = "/usr/bin/python3"
            args = ["-ISc", { any = true, allow-dash = true }]
            interpreter = true
            [component.small]
            limits = { memory = "64MiB" }
            [[component.small.command]]
            name = "python"
            program = "/usr/bin/python3"
            args = ["-ISc", { any = true, allow-dash = true }]
            interpreter = true
            "#;
        let grants = load(toml);
        let python =
            |program: &str| Command::new("python").args(["-ISc", &format!("{PRELUDE}{program}")]);
        // The page tables of 4 x 32 GiB, shared by processes whose resident pages exceed the limit
        // together, so that each sample is unclear.
        let slow = registry.guest(grants.component("slow"), "");
        let slow = slow.spawn(&python(
            "
m = bytearray(300 * MIB); touch(m)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
for _ in range(4):
    size = 32 << 30
    at = libc.mmap(None, size, 1, 0x4022, -1, 0)
    libc.madvise(ctypes.c_void_p(at), ctypes.c_size_t(size), 15)
    for o in range(0, size, 2 * MIB): ctypes.c_char.from_address(at + o).value
for _ in range(3):
    if os.fork() == 0: hold()
print('ready', flush=True)
hold()",
        ));
        let slow = slow.expect("the grant allows it");
        eventually("a slow child", || {
            stdout(&slow) == b"ready\n" || slow.poll().is_some()
        });
        assert_eq!(slow.poll(), None, "tier {tier}");
        let program = "m = shared(256 * MIB); touch(m); hold()";
        let small = registry.guest(grants.component("small"), "");
        let small = small.spawn(&python(program)).expect("the grant allows it");
        assert_eq!(ended(&small), KILLED_MEMORY, "tier {tier}");
        let peak = small.usage().peak_memory_bytes.expect("it was sampled");
        println!("tier {tier}: {} MiB of 64", peak >> 20);
    }
}

#[test]
fn processor_time_of_children_that_nobody_reaps_counts() {
    let program = "
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(40):
    pid = os.fork()
    if pid == 0: burn(0.5); os._exit(0)
    try: os.waitpid(pid, 0)
    except ChildProcessError: pass";
    ends(test_name!(), r#"cpu = "2s""#, program, KILLED_CPU);
}

#[test]
fn processor_time_of_short_children_that_nobody_reaps_counts() {
    let program = "
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
n = 0
while True:
    n += 1; print(n * 50, 'ms', flush=True)
    pid = os.fork()
    if pid == 0: burn(0.05); os._exit(0)
    try: os.waitpid(pid, 0)
    except ChildProcessError: pass";
    ends(test_name!(), r#"cpu = "1s""#, program, KILLED_CPU);
}

#[test]
fn processor_time_counts_once_whether_or_not_children_are_reaped() {
    let program = "
for ignored in (signal.SIG_DFL, signal.SIG_IGN):
    signal.signal(signal.SIGCHLD, ignored)
    for _ in range(4):
        pid = os.fork()
        if pid == 0: burn(0.2); os._exit(0)
        try: os.waitpid(pid, 0)
        except ChildProcessError: pass";
    ends(test_name!(), r#"cpu = "3s""#, program, LIVES);
}

#[test]
fn processor_time_counts_whatever_the_name_and_after_the_first_thread_has_ended() {
    let program = "
libc.prctl(15, b'\\xff\\xfe', 0, 0, 0)
def work():
    for _ in range(8):
        if os.fork() == 0: burn(0.8); os._exit(0)
    for _ in range(8): os.wait()
    hold()
threading.Thread(target=work).start()
libc.syscall(60, 0)";
    ends(test_name!(), r#"cpu = "2s""#, program, KILLED_CPU);
}

/// In tier A the kernel refuses the task, which is no end.
#[test]
fn tasks_count_whatever_the_name_and_after_the_first_thread_has_ended() {
    if required_tier::<Tier>() == Some(Tier::A) {
        return;
    }
    let registry = registry_in(required_tier().unwrap_or(Tier::B));
    let guest = registry.guest(grant("test", "limits = { processes = 20 }"), "");
    let program = "
libc.prctl(15, b\"\\xff\\xfe\", 0, 0, 0)
def work():
    for _ in range(40): threading.Thread(target=hold).start()
    hold()
threading.Thread(target=work).start()
libc.syscall(60, 0)";
    let script = format!("exec /usr/bin/python3 -ISc '{PRELUDE}{program}'");
    let child = guest.spawn(&sh(&script)).expect("the grant allows it");
    assert_eq!(ended(&child), KILLED_TASKS);
    assert!(child.usage().peak_tasks > Some(20));
}

//! The pass that allows the server's own calls: its children do not have it.

use std::io::{BufRead, BufReader};

use super::support::{launch, piped, plan, processes, profile, python, run, session, wait};
use crate::launch::Exit;

/// Makes the calls with each pair of last arguments, and prints those that did not return what the policy says.
const CALLS: &str = r#"
import ctypes, errno, os, random, resource
libc = ctypes.CDLL(None, use_errno=True)
limits = (ctypes.c_uint64 * 2)(0, 0)
mark = resource.prlimit(0, 10)
how = (ctypes.c_uint64 * 3)(os.O_RDONLY, 0, 0)
def call(number, a, b, c, d, guess):
    ctypes.set_errno(0)
    words = [ctypes.c_ulong(word) for word in (a, b, c, d, *guess)]
    result = libc.syscall(ctypes.c_long(number), *words)
    return result, ctypes.get_errno()
path = ctypes.create_string_buffer(b"/tmp")
here = ctypes.c_ulong(-100).value
guesses = [(0, 0), (2**64 - 1, 2**64 - 1)]
guesses += [(random.getrandbits(64), random.getrandbits(64)) for _ in range(1000)]
leader = os.getpid()
print("leads", os.getpgid(0) == leader and os.getsid(0) == leader)
if os.fork() == 0:
    for guess in guesses:
        denied = [
            # The limit on file locks, which marks the tree.
            call(302, 0, 10, ctypes.addressof(limits), 0, guess) == (-1, errno.EPERM),
            # CLONE_PARENT: the new process would be a child of the host.
            call(56, 0x8000 | 17, 0, 0, 0, guess) == (-1, errno.EPERM),
            call(437, here, ctypes.addressof(path), ctypes.addressof(how), 24, guess) == (-1, errno.ENOSYS),
            resource.prlimit(0, 10) == mark,
        ]
        if not all(denied):
            print(guess, denied)
    print("tried")
else:
    os.wait()
"#;

#[test]
fn a_child_leads_a_session_and_does_not_guess_the_pass() {
    let session = session(&profile());
    let (text, exit) = run(&session, &plan(&python(), &["-IuSc", CALLS]));
    assert_eq!(
        (text.as_str(), exit),
        ("leads True\ntried\n", Exit::Code(0))
    );
}

/// Prints what a child starts with: its descriptors, its strings and its auxiliary vector.
const HELD: &str = r#"
import os, sys
print(sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1])
held = b"".join(open("/proc/self/" + name, "rb").read() for name in ("cmdline", "environ", "auxv"))
print(held.hex())
sys.stdin.read()
"#;

#[test]
fn a_child_has_no_copy_of_the_pass() {
    let session = session(&profile());
    let pass = session.pass().arguments().map(u64::to_ne_bytes);
    let (stdio, reader) = piped();
    let (stdin, writer) = std::io::pipe().expect("a pipe");
    let stdio = crate::launch::ChildStdio {
        stdin: Some(stdin.into()),
        ..stdio
    };
    let child = launch(&session, &plan(&python(), &["-IuSc", HELD]), stdio).expect("it starts");
    let mut lines = BufReader::new(std::fs::File::from(reader)).lines();
    let mut line = || lines.next().expect("a line").expect("text");
    assert_eq!(line(), "[0, 1, 2]");
    let held = line();
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert!(pass.iter().all(|half| !held.contains(&hex(half))));
    // The host can read the memory of the child, as root or as the same user: the child is dumpable.
    let pid = crate::launch::Process::pid(&child);
    assert!(!is_in_memory(pid, &pass));
    drop(writer);
    assert_eq!(wait(&child), Ok(Exit::Code(0)));
}

/// Returns whether a half of the pass is in the memory of `pid`. False where this process may not read it.
fn is_in_memory(pid: u32, pass: &[[u8; 8]]) -> bool {
    use std::os::unix::fs::FileExt;

    let (Ok(maps), Ok(memory)) = (
        std::fs::read_to_string(format!("/proc/{pid}/maps")),
        std::fs::File::open(format!("/proc/{pid}/mem")),
    ) else {
        return false;
    };
    maps.lines().filter(|map| map.contains(" r")).any(|map| {
        let (range, _) = map.split_once(' ').expect("a range");
        let (start, end) = range.split_once('-').expect("two ends");
        let address = |text| u64::from_str_radix(text, 16).expect("an address");
        let (start, end) = (address(start), address(end));
        let mut bytes = vec![0; usize::try_from(end - start).expect("it fits")];
        // The kernel's own mappings cannot be read.
        if memory.read_exact_at(&mut bytes, start).is_err() {
            return false;
        }
        pass.iter()
            .any(|half| bytes.windows(half.len()).any(|window| window == half))
    })
}

/// A child that took over pid 1 could not obtain from it what pid 1 does not have.
#[test]
fn pid_1_has_one_socket_and_no_pass() {
    let session = session(&profile());
    let pass = session.pass().arguments().map(u64::to_ne_bytes);
    let [first, server] = processes(&session).map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    let open = |pid| {
        // Neither is dumpable: their files in /proc belong to root.
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
        let links = files.map(|file| std::fs::read_link(file.expect("it is there").path()));
        let mut names: Vec<_> = links
            .map(|link| link.expect("a link").to_string_lossy().into_owned())
            .collect();
        names.sort();
        Some(names)
    };
    let (Some(first_open), Some(server_open)) = (open(first), open(server)) else {
        assert!(!rustix::process::geteuid().is_root());
        return;
    };
    let kinds = |names: &[String]| {
        let kind = |name: &String| name.split(':').next().unwrap_or("").to_owned();
        names.iter().map(kind).collect::<Vec<_>>()
    };
    let null = "/dev/null";
    assert_eq!(kinds(&first_open), [null, null, null, "socket"]);
    assert_eq!(
        kinds(&server_open),
        [null, null, null, "anon_inode", "socket", "socket"]
    );
    assert!(!server_open.contains(&first_open[3]));
    assert!(!is_in_memory(first, &pass));
    assert!(is_in_memory(server, &pass), "its calls carry the pass");
}

//! The limits of a child and of its registry: each with its unit, its default, and
//! the attack or accident that it stops.

use std::time::Duration;

/// The longest single string of a request, in bytes: 128 KiB less the
/// terminating NUL, Linux's `MAX_ARG_STRLEN`.
pub const MAX_ARGUMENT_BYTES: usize = 128 * 1024 - 1;

/// Program, arguments, environment and working directory of one request, in
/// bytes, counted as the kernel does (the string, its NUL, its pointer): 1 MiB,
/// half of what Linux allows under the usual 8 MiB stack limit, so that a
/// request is refused here rather than halfway through an exec.
pub const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// The most bytes of standard input that a request may carry: 16 MiB. They stay in
/// the host's memory until the child has read them.
pub const MAX_STDIN_BYTES: usize = 16 * 1024 * 1024;

/// Look-ups of paths for one request: 65,536, of as many places, each a system call of some microseconds. A request
/// of [`MAX_REQUEST_BYTES`] has about as many paths of six bytes. Stops a request with many paths
/// from keeping a thread of the host.
pub const MAX_LOOKUPS: usize = 65_536;

/// How long the decision on one request may look paths up: 5 s. A path of 40 links with long
/// targets takes the kernel some milliseconds, and one on a slow network file system longer.
pub const DECISION_TIMEOUT: Duration = Duration::from_secs(5);

/// Entries of a registry, running and ended together: 1024. Bounds the host's
/// descriptors (five a child) and memory against any number of guests.
pub const DEFAULT_MAX_ENTRIES: usize = 1024;

/// Children of one owner that run at once: 64, so that no owner can take the
/// whole registry.
pub const DEFAULT_MAX_LIVE: u32 = 64;

/// Children that one guest may start in all: 10,000. Stops a loop that spawns
/// for ever; a grant's `max-total` replaces it.
pub const DEFAULT_MAX_TOTAL: u64 = 10_000;

/// Receipts of ended children that made room unobserved: 1024, some hundred bytes
/// each.
pub const DEFAULT_MAX_RECEIPTS: usize = 1024;

/// Bytes that a registry holds for all owners together: 1 GiB, the shares of sixteen owners, as
/// [`DEFAULT_MAX_ENTRIES`] are the live children of sixteen. Bounds the memory of the host
/// against any number of guests; beyond it no child starts.
pub const DEFAULT_MAX_HELD_BYTES: usize = 1024 * 1024 * 1024;

/// Bytes that the host holds for one owner: 64 MiB, which is [`DEFAULT_CAPTURE_STDOUT_BYTES`] for each of
/// [`DEFAULT_MAX_LIVE`] children. Stops an owner from taking the host's memory by output,
/// arguments, or standard input that no child reads; a grant's `max-held-memory` replaces it.
pub const DEFAULT_MAX_HELD_BYTES_OF_OWNER: u64 = 64 * 1024 * 1024;

/// Descriptors that the host holds for one owner: 512, five for each of [`DEFAULT_MAX_LIVE`] children and the
/// three pipes of as many more. Stops an owner from taking all descriptors of the host by streams that
/// it never closes; a grant's `max-held-descriptors` replaces it.
pub const DEFAULT_MAX_HELD_DESCRIPTORS: u32 = 512;

/// Children of one owner that the host holds, running and ended: 256, a quarter of
/// [`DEFAULT_MAX_ENTRIES`], or twice `max-live` where that is more. Beyond it the owner's oldest ended child
/// makes room. Stops an owner from filling the registry with its results; a grant's
/// `max-held-children` replaces it.
pub const DEFAULT_MAX_HELD_CHILDREN: u32 = 256;

/// How long a child may run: 30 s, measured on the wall clock.
pub const DEFAULT_WALL: Duration = Duration::from_secs(30);

/// Standard output kept for a child: 1 MiB; the rest is read and counted.
pub const DEFAULT_CAPTURE_STDOUT_BYTES: u64 = 1024 * 1024;

/// Standard error kept for a child: 64 KiB; the rest is read and counted.
pub const DEFAULT_CAPTURE_STDERR_BYTES: u64 = 64 * 1024;

/// How long the pipes of an ended child may still deliver output: 250 ms. A
/// grandchild that keeps a pipe open cannot keep the entry busy for longer.
pub const DRAIN_GRACE: Duration = Duration::from_millis(250);

/// How long a release waits until the child that it killed is reaped: 1 s.
pub const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);

/// Detached children of one owner that nobody has attached to: 64, the default of
/// `max-live`. At the bound the oldest ended one makes room and leaves a receipt; if
/// all of them run, the detach is refused. Stops an owner from filling the registry
/// with its results.
pub const MAX_DETACHED: usize = 64;

/// How long an approver may take for one answer: 60 s. After that the request is
/// denied, so that a guest does not wait for ever for a person who has left.
pub const DEFAULT_APPROVAL_TIMEOUT: Duration = Duration::from_secs(60);

/// Requests of one guest that wait for an approver, the open question included: 64.
/// They hold no slot, so nothing else bounds the memory that they take.
pub const MAX_WAITING_QUESTIONS: usize = 64;

/// Approvals that are remembered for one guest: 1024, 32 bytes each. Beyond it the
/// oldest is forgotten, and its command is asked about again.
pub const MAX_REMEMBERED_APPROVALS: usize = 1024;

/// The arguments that one event or line of the log shows, in bytes: 1 KiB. Of a longer vector it has the number of
/// arguments and bytes, and a hash. Stops a guest from filling the operator's disk with one request.
pub const MAX_EVENT_ARGUMENT_BYTES: usize = 1024;

/// The name of a command that one event or line of the log shows, in bytes: 256.
pub const MAX_EVENT_COMMAND_BYTES: usize = 256;

/// Refused requests of one owner that are reported one by one if they come at once: 64. Beyond it they are counted,
/// and the number is reported. As many again are reported of detaches, attaches and requests that an earlier answer
/// approves, which cost a guest as little.
pub const MAX_EVENTS_AT_ONCE: u32 = 64;

/// How many more such events of an owner are reported one by one in each second: 10. With [`MAX_EVENTS_AT_ONCE`] it
/// stops a guest whose every request is refused, and which no `rate` limits, from filling the log.
pub const EVENTS_PER_SECOND: u32 = 10;

/// The limits of one child, as the grant sets them.
///
/// `None` is no limit of that kind. [`Limits::default`] holds for a grant without a
/// `limits` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Time on the wall clock until the child is killed as `timeout`.
    pub wall: Duration,
    /// Processor time of the whole tree (`RLIMIT_CPU`): 60 s, what two processors do in the
    /// default of [`wall`](Self::wall). A first `go build`, which compiles its standard library,
    /// takes 32 s.
    pub cpu: Option<Duration>,
    /// Memory of the whole tree, in bytes: 1 GiB (a cgroup; without one `RLIMIT_DATA` for each
    /// process, and the tree is sampled). `RLIMIT_DATA` counts all address space that a process
    /// may write: 478 MiB for `java -version` on a machine of 24 GiB, 540 MiB for Deno. A first
    /// `go build` uses 257 MiB.
    pub memory_bytes: Option<u64>,
    /// Tasks of the whole tree, threads included.
    pub processes: Option<u64>,
    /// Open descriptors of each process (`RLIMIT_NOFILE`): 256. `go build` opens 37, npm 20.
    pub open_files: Option<u64>,
    /// The largest file that may be written, in bytes (`RLIMIT_FSIZE`).
    pub file_size_bytes: Option<u64>,
    /// The size of a private `/tmp`, and of `/dev/shm`, in bytes, for the children of
    /// one session together.
    pub tmpfs_bytes: u64,
    /// Bytes of output, both streams together, after which the child is killed.
    pub output_bytes: Option<u64>,
}

impl Default for Limits {
    /// 30 s on the wall clock, 60 s of processor time, 1 GiB of memory, 256 tasks,
    /// 256 open files, files of 64 MiB, 64 MiB of private `/tmp`, and no limit on
    /// output, of which the captures keep a bounded part.
    fn default() -> Self {
        Self {
            wall: DEFAULT_WALL,
            cpu: Some(Duration::from_secs(60)),
            memory_bytes: Some(1024 * 1024 * 1024),
            processes: Some(256),
            open_files: Some(256),
            file_size_bytes: Some(64 * 1024 * 1024),
            tmpfs_bytes: 64 * 1024 * 1024,
            output_bytes: None,
        }
    }
}

/// How much of each stream is kept, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureCaps {
    /// Of standard output; 1 MiB by default.
    pub stdout_bytes: u64,
    /// Of standard error; 64 KiB by default.
    pub stderr_bytes: u64,
}

impl Default for CaptureCaps {
    fn default() -> Self {
        Self {
            stdout_bytes: DEFAULT_CAPTURE_STDOUT_BYTES,
            stderr_bytes: DEFAULT_CAPTURE_STDERR_BYTES,
        }
    }
}

/// Returns a time as a grant file writes it, in the largest unit in which it is a whole number.
pub fn show_duration(time: Duration) -> String {
    let milliseconds = time.as_millis();
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "min"),
        (1000, "s"),
    ];
    let whole = |(unit, _): &&(u128, &str)| milliseconds > 0 && milliseconds.is_multiple_of(*unit);
    match units.iter().find(whole) {
        Some((unit, name)) => format!("{}{name}", milliseconds / unit),
        None => format!("{milliseconds}ms"),
    }
}

/// Returns a size as a grant file writes it, in the largest unit in which it is a whole number.
pub fn show_bytes(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = |(shift, _): &&(u32, &str)| bytes > 0 && bytes.trailing_zeros() >= *shift;
    match units.iter().find(whole) {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => format!("{bytes}B"),
    }
}

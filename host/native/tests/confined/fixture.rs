//! What an attack can be aimed at: files, sockets, shared memory and a process
//! of the host.

#![allow(
    unsafe_code,
    reason = "makes a segment of shared memory and a message queue"
)]

use std::ffi::CString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::chown;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram, UnixListener};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use test_kit::{TEST_TIMEOUT, is_readable, is_root, open_to_all, scratch};

/// The user and group of the children of a host that runs as root.
const NOBODY: u32 = 65534;

/// Makes `path` the property of the children's user.
pub(crate) fn give_to_children(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root may change the owner");
    }
}

/// A process that runs as the children's user and is not in any sandbox: only
/// the sandbox can keep a child from attacking it. It echoes lines, so that a
/// test sees whether it still runs.
pub(crate) struct Canary(Child);

impl Canary {
    pub(crate) fn new() -> Self {
        let mut command = Command::new("/bin/cat");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut canary = Self(command.spawn().expect("cat is installed"));
        assert!(canary.echoes(), "the canary runs");
        canary
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Sends a line and waits for its echo. A signal that was sent before arrives
    /// before the echo.
    pub(crate) fn echoes(&mut self) -> bool {
        let stdin = self.0.stdin.as_mut().expect("it is a pipe");
        let stdout = self.0.stdout.as_mut().expect("it is a pipe");
        let mut line = [0; 5];
        stdin.write_all(b"line\n").is_ok()
            && is_readable(&*stdout, TEST_TIMEOUT)
            && stdout.read_exact(&mut line).is_ok()
            && line == *b"line\n"
    }

    /// The signal that has ended it.
    pub(crate) fn ending_signal(&mut self) -> Option<i32> {
        self.0.wait().expect("it is a child of this test").signal()
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The targets of one child. Each child gets new ones.
pub(crate) struct Fixture {
    /// The write root of the child.
    pub(crate) inside: TempDir,
    pub(crate) outside: TempDir,
    /// A file outside that every user may read and write.
    pub(crate) shared_file: PathBuf,
    /// A file outside that belongs to the children's user.
    pub(crate) owned_file: PathBuf,
    pub(crate) canary: Canary,
    pub(crate) tcp: SocketAddr,
    pub(crate) udp: SocketAddr,
    pub(crate) stream_inside: PathBuf,
    pub(crate) stream_outside: PathBuf,
    pub(crate) datagram_inside: PathBuf,
    pub(crate) datagram_outside: PathBuf,
    /// The abstract address of a listener.
    pub(crate) abstract_name: String,
    pub(crate) shared_memory: SharedMemory,
    pub(crate) queue: MessageQueue,
    _listeners: Listeners,
}

/// Keeps the addresses of a [`Fixture`] open.
struct Listeners {
    _tcp: TcpListener,
    _udp: UdpSocket,
    _streams: [UnixListener; 2],
    _datagrams: [UnixDatagram; 2],
    _abstract: UnixListener,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (inside, outside) = (scratch(), scratch());
        let file = |name: &str| {
            let path = outside.path().join(name);
            fs::write(&path, "s").expect("the test may write the folder");
            path
        };
        let (shared_file, owned_file) = (file("shared"), file("owned"));
        open_to_all(&shared_file);
        give_to_children(&owned_file);
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let abstract_name = format!("capspawn-test-{}-{number}", std::process::id());
        let address = UnixAddress::from_abstract_name(&abstract_name).expect("the name is short");
        let [stream_inside, datagram_inside] =
            ["stream", "datagram"].map(|name| inside.path().join(name));
        let [stream_outside, datagram_outside] =
            ["stream", "datagram"].map(|name| outside.path().join(name));
        Self {
            canary: Canary::new(),
            tcp: tcp.local_addr().expect("it is bound"),
            udp: udp.local_addr().expect("it is bound"),
            shared_memory: SharedMemory::new(),
            queue: MessageQueue::new(number),
            _listeners: Listeners {
                _tcp: tcp,
                _udp: udp,
                _streams: [&stream_inside, &stream_outside].map(|path| listen(path)),
                _datagrams: [&datagram_inside, &datagram_outside].map(|path| receive(path)),
                _abstract: UnixListener::bind_addr(&address).expect("the name is new"),
            },
            inside,
            outside,
            shared_file,
            owned_file,
            stream_inside,
            stream_outside,
            datagram_inside,
            datagram_outside,
            abstract_name,
        }
    }
}

/// Every user may connect.
fn listen(path: &Path) -> UnixListener {
    let listener = UnixListener::bind(path).expect("the path is new");
    open_to_all(path);
    listener
}

/// Every user may send.
fn receive(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).expect("the path is new");
    open_to_all(path);
    socket
}

/// A System V segment that every user may read and write.
pub(crate) struct SharedMemory(i32);

impl SharedMemory {
    fn new() -> Self {
        // SAFETY: takes no pointer.
        let segment = unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, libc::IPC_CREAT | 0o666) };
        assert!(segment >= 0, "the host may make a segment");
        Self(segment)
    }

    /// The number that `shmat(2)` takes.
    pub(crate) fn number(&self) -> i32 {
        self.0
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: removing a segment takes no buffer.
        unsafe { libc::shmctl(self.0, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

/// A POSIX message queue that every user may open.
pub(crate) struct MessageQueue(CString);

impl MessageQueue {
    fn new(number: u32) -> Self {
        let name = format!("/capspawn-test-host-{}-{number}", std::process::id());
        let name = CString::new(name).expect("the text has no NUL");
        // One short message, so that the host's user may have many.
        // SAFETY: an `mq_attr` of zeroes is one.
        let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
        (attributes.mq_maxmsg, attributes.mq_msgsize) = (1, 1);
        let flags = libc::O_CREAT | libc::O_RDONLY | libc::O_CLOEXEC;
        // SAFETY: the name is a C string, and the attributes are initialized.
        let queue = unsafe { libc::mq_open(name.as_ptr(), flags, 0o666, &raw const attributes) };
        assert!(queue >= 0, "the host may make a queue");
        // SAFETY: `mq_open` has made it, and nothing else owns it.
        drop(unsafe { OwnedFd::from_raw_fd(queue) });
        Self(name)
    }

    /// The name as the system call takes it.
    pub(crate) fn name(&self) -> &str {
        let name = self.0.to_str().expect("it is text");
        name.trim_start_matches('/')
    }
}

impl Drop for MessageQueue {
    fn drop(&mut self) {
        // SAFETY: the name is a C string.
        unsafe { libc::mq_unlink(self.0.as_ptr()) };
    }
}

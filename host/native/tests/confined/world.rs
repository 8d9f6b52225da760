//! What an attack may aim at: a host with files, listeners and processes.

#![allow(unsafe_code, reason = "makes a segment of shared memory")]

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::bounded;
use crate::support::{Spec, is_root, probe, scratch};

/// Who children of a root host are.
pub(crate) const NOBODY: u32 = 65534;

/// A process of the children's user that answers each line: what the host is where it is not root.
pub(crate) struct Canary(pub(crate) Child);

impl Canary {
    pub(crate) fn new() -> Self {
        let mut command = Command::new("/bin/cat");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut canary = Self(command.spawn().expect("it starts"));
        assert!(canary.answers(), "it runs");
        canary
    }

    /// Whether it lives: a signal that was sent before is met before the answer.
    pub(crate) fn answers(&mut self) -> bool {
        use std::io::{Read, Write};
        let stdin = self.0.stdin.as_mut().expect("it is piped");
        let stdout = self.0.stdout.as_mut().expect("it is piped");
        let mut line = [0; 5];
        stdin.write_all(b"line\n").is_ok()
            && bounded::is_ready(&*stdout, std::time::Instant::now() + bounded::PATIENCE)
            && stdout.read_exact(&mut line).is_ok()
            && line == *b"line\n"
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A host, made anew for each attack.
pub(crate) struct World {
    /// The child's write root.
    pub(crate) inside: TempDir,
    pub(crate) outside: TempDir,
    /// Readable and writable for everybody, outside.
    pub(crate) secret: PathBuf,
    /// The children's user's own, outside.
    pub(crate) own: PathBuf,
    pub(crate) canary: Canary,
    pub(crate) tcp: SocketAddr,
    pub(crate) udp: SocketAddr,
    /// A socket inside, and one outside.
    pub(crate) stream: [PathBuf; 2],
    pub(crate) datagram: [PathBuf; 2],
    pub(crate) name: String,
    pub(crate) segment: i32,
    _listeners: Listeners,
}

struct Listeners {
    _tcp: TcpListener,
    _udp: UdpSocket,
    _streams: [UnixListener; 2],
    _datagrams: [UnixDatagram; 2],
    _named: UnixListener,
}

fn everybodys(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("it is ours");
}

impl World {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (inside, outside) = (scratch(), scratch());
        let secret = outside.path().join("secret");
        fs::write(&secret, "s").expect("written");
        everybodys(&secret);
        let own = outside.path().join("own");
        fs::write(&own, "s").expect("written");
        if is_root() {
            std::os::unix::fs::chown(&own, Some(NOBODY), Some(NOBODY)).expect("root may");
        }
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let stream = [inside.path().join("stream"), outside.path().join("stream")];
        let datagram = [
            inside.path().join("datagram"),
            outside.path().join("datagram"),
        ];
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("capspawn-test-{}-{number}", std::process::id());
        let address = UnixAddr::from_abstract_name(&name).expect("a name");
        // SAFETY: takes no pointer; a new segment that everybody may read.
        let segment = unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, libc::IPC_CREAT | 0o666) };
        assert!(segment >= 0, "the host may make one");
        let world = Self {
            canary: Canary::new(),
            tcp: tcp.local_addr().expect("bound"),
            udp: udp.local_addr().expect("bound"),
            name,
            segment,
            _listeners: Listeners {
                _tcp: tcp,
                _udp: udp,
                _streams: stream
                    .each_ref()
                    .map(|path| UnixListener::bind(path).expect("bound")),
                _datagrams: datagram
                    .each_ref()
                    .map(|path| UnixDatagram::bind(path).expect("bound")),
                _named: UnixListener::bind_addr(&address).expect("bound"),
            },
            inside,
            outside,
            secret,
            own,
            stream,
            datagram,
        };
        world
            .stream
            .iter()
            .chain(&world.datagram)
            .for_each(|path| everybodys(path));
        world
    }

    /// The probe `name`, which may write inside.
    pub(crate) fn probe(&self, name: &str) -> Spec {
        probe(name).home(self.inside.path())
    }

    /// The same, aimed at `target`.
    pub(crate) fn at(&self, name: &str, target: impl AsRef<Path>) -> Spec {
        self.probe(name).env("TARGET", target.as_ref().display())
    }

    /// The same, aimed at a process of the children's user.
    pub(crate) fn at_canary(&self, name: &str) -> Spec {
        self.probe(name).env("HOST", self.canary.0.id())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // SAFETY: removing takes no buffer.
        unsafe { libc::shmctl(self.segment, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

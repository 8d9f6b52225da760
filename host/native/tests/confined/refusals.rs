//! The escape table of tier B: what is refused, and beside it what is not.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};

use capspawn_native::launch::Exit;
use capspawn_native::sandbox::{Network, Sandbox};

use crate::probe::{DENIED, OPEN};
use crate::support::{Spec, is_root, probe, scratch};

const EPERM: i32 = 1;
const EBADF: i32 = 9;
const EACCES: i32 = 13;
const ENOSYS: i32 = 38;

#[track_caller]
fn refused(spec: &Spec, errno: i32) {
    let run = spec.run();
    let name = &spec.env["CAPSPAWN_PROBE"];
    assert_eq!(
        run.exit,
        Exit::Code(DENIED),
        "{name} got through: {}",
        run.output
    );
    assert!(
        run.output.contains(&format!("errno={errno}\n")),
        "{name}: {}",
        run.output
    );
}

#[track_caller]
fn admitted(spec: &Spec) {
    let run = spec.run();
    let name = &spec.env["CAPSPAWN_PROBE"];
    assert_eq!(
        run.exit,
        Exit::Code(OPEN),
        "{name} was refused: {}",
        run.output
    );
}

/// Refused when confined, and done by the same probe when not: it does test something.
#[track_caller]
fn refused_by_the_sandbox(spec: &Spec, errno: i32) {
    refused(spec, errno);
    admitted(&spec.clone().sandbox(Sandbox::None));
}

#[test]
fn files_outside_the_roots_cannot_be_opened_and_inside_they_can() {
    let (inside, outside) = (scratch(), scratch());
    let secret = outside.path().join("secret");
    let renew = || {
        use std::os::unix::fs::PermissionsExt;
        fs::write(&secret, "s").expect("written");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o666)).expect("it is ours");
    };
    renew();
    for name in ["read", "write", "rename", "unlink"] {
        let spec = probe(name)
            .home(inside.path())
            .env("TARGET", secret.display());
        refused_by_the_sandbox(&spec, EACCES);
        let _ = fs::remove_file(outside.path().join("secret"));
        renew();
    }
    let listing = probe("list").home(inside.path());
    refused_by_the_sandbox(
        &listing.clone().env("TARGET", outside.path().display()),
        EACCES,
    );
    admitted(&listing.env("TARGET", inside.path().display()));
    let new = inside.path().join("new");
    for name in ["create", "read", "write", "chmod", "unlink"] {
        admitted(&probe(name).home(inside.path()).env("TARGET", new.display()));
    }
    // A read root is not writable, whatever the file's mode.
    let mut spec = probe("write").env("TARGET", secret.display());
    spec.confinement.fs.read.push(outside.path().into());
    refused_by_the_sandbox(&spec, EACCES);
    spec.env.insert("CAPSPAWN_PROBE".into(), "read".into());
    admitted(&spec);
}

#[test]
fn the_host_in_proc_cannot_be_read() {
    let own = format!("/proc/{}/environ", std::process::id());
    let spec = probe("read").env("TARGET", own);
    refused(&spec, EACCES);
    if !is_root() {
        admitted(&spec.sandbox(Sandbox::None));
    }
}

#[test]
fn no_socket_reaches_anything() {
    let dir = scratch();
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = tcp.local_addr().expect("bound");
    let spec = probe("tcp").env("TARGET", address);
    refused_by_the_sandbox(&spec, EPERM);
    admitted(&spec.network(Network::Host));
    let spec = probe("udp").env("TARGET", udp.local_addr().expect("bound"));
    refused_by_the_sandbox(&spec, EPERM);
    admitted(&spec.network(Network::Host));

    let path = dir.path().join("stream");
    let _stream = UnixListener::bind(&path).expect("bound");
    let datagrams = dir.path().join("datagram");
    let _datagram = UnixDatagram::bind(&datagrams).expect("bound");
    for socket in [&path, &datagrams] {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(socket, fs::Permissions::from_mode(0o777)).expect("it is ours");
    }
    refused_by_the_sandbox(&probe("unix").env("TARGET", path.display()), EPERM);
    let spec = probe("unix-datagram-pair").env("TARGET", datagrams.display());
    refused_by_the_sandbox(&spec, EPERM);
    let name = format!("capspawn-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let _listener = UnixListener::bind_addr(&address).expect("bound");
    let spec = probe("abstract").env("TARGET", &name);
    refused_by_the_sandbox(&spec, EPERM);
    // The scope holds where the filter lets UNIX sockets through.
    refused(&spec.network(Network::Host), EPERM);

    for name in ["netlink", "mptcp", "inet6"] {
        refused_by_the_sandbox(&probe(name), EPERM);
    }
    refused(&probe("vsock"), EPERM);
    refused(&probe("vsock").network(Network::Host), EPERM);
    admitted(&probe("socketpair"));
}

#[test]
fn the_host_process_is_out_of_reach() {
    for name in [
        "ptrace",
        "vm-read",
        "signal",
        "prlimit",
        "setpriority",
        "affinity",
        "pidfd-getfd",
    ] {
        refused(&probe(name), EPERM);
    }
    if !is_root() {
        for name in ["signal", "prlimit", "setpriority", "affinity"] {
            admitted(&probe(name).sandbox(Sandbox::None));
        }
    }
    for name in ["signal-self", "prlimit-self", "setpriority-self"] {
        admitted(&probe(name));
    }
}

#[test]
fn no_process_leaves_the_group() {
    for name in ["fork-setsid", "fork-setpgid"] {
        refused_by_the_sandbox(&probe(name), EPERM);
    }
}

#[test]
fn kernel_interfaces_are_closed() {
    for name in [
        "memfd",
        "key",
        "personality",
        "shm",
        "mq",
        "fork-unshare-user",
    ] {
        refused_by_the_sandbox(&probe(name), EPERM);
    }
    for name in ["io-uring", "userfaultfd", "inject"] {
        refused(&probe(name), EPERM);
    }
    for name in ["clone3", "openat2", "x32", "future"] {
        refused(&probe(name), ENOSYS);
    }
    refused(&probe("terminal"), EACCES);
    admitted(&probe("nothing"));
}

#[test]
fn a_call_of_the_32_bit_abi_ends_the_process() {
    const SIGSYS: u8 = 31;
    let run = probe("ia32").run();
    assert_eq!(run.exit, Exit::Signal(SIGSYS), "{}", run.output);
}

#[test]
fn no_file_gets_a_set_id_bit_and_no_device_is_made() {
    let dir = scratch();
    let file = dir.path().join("file");
    let target = |name: &str, file: &str| {
        probe(name)
            .home(dir.path())
            .env("TARGET", dir.path().join(file).display())
    };
    admitted(&target("create", "file"));
    admitted(&target("chmod", "file"));
    refused_by_the_sandbox(&target("set-id-chmod", "file"), EPERM);
    refused(&target("set-id-create", "other"), EPERM);
    refused(&target("device", "device"), EPERM);
    admitted(&target("fifo", "fifo"));
    assert!(file.exists());
}

#[test]
fn no_descriptor_of_the_host_is_inherited() {
    use std::os::fd::AsRawFd;
    let leaked = fs::File::open("/etc/passwd").expect("it exists");
    let leaked = rustix::io::fcntl_dupfd_cloexec(&leaked, 50).expect("a descriptor");
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).expect("it is open");
    let spec = probe("descriptor");
    refused(&spec.clone().env("TARGET", leaked.as_raw_fd()), EBADF);
    admitted(&spec.env("TARGET", 1));
    refused(&probe("any-descriptor"), EBADF);
}

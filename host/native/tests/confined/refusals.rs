//! The escape table of tier B: what is refused, and beside it what is not.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};

use capspawn_native::launch::Exit;
use capspawn_native::sandbox::{Network, Sandbox};

use crate::probe::OPEN;
use crate::support::{probe, scratch};
use crate::verdict::{
    EACCES, ENOSYS, EPERM, EXDEV, admitted, refused, refused_by_the_sandbox, refused_where_offered,
};

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
    // Neither by a detour: through a link that lies inside, and by moving the file inside.
    let link = inside.path().join("link");
    std::os::unix::fs::symlink(&secret, &link).expect("made");
    let detour = format!("/proc/self/root{}", secret.display());
    for target in [link.display().to_string(), detour] {
        let spec = probe("read").home(inside.path()).env("TARGET", target);
        refused_by_the_sandbox(&spec, EACCES);
    }
    for (name, errno) in [("move-inside", EACCES), ("link-inside", EXDEV)] {
        let spec = probe(name)
            .home(inside.path())
            .env("TARGET", secret.display());
        refused_by_the_sandbox(&spec, errno);
        renew();
    }
    let spec = probe("truncate").home(inside.path());
    refused_by_the_sandbox(&spec.env("TARGET", secret.display()), EACCES);
    let shared = format!("/dev/shm/capspawn-test-{}", std::process::id());
    refused_by_the_sandbox(&probe("create").env("TARGET", &shared), EACCES);
    let _ = fs::remove_file(shared);
    // A read root is not writable, whatever the file's mode.
    let mut spec = probe("write").env("TARGET", secret.display());
    spec.confinement.fs.read.push(outside.path().into());
    refused_by_the_sandbox(&spec, EACCES);
    spec.env.insert("CAPSPAWN_PROBE".into(), "read".into());
    admitted(&spec);
}

/// What the report calls fs-metadata, partial: in this tier these get through.
#[test]
fn metadata_outside_the_roots_is_the_gap_that_the_report_names() {
    let outside = scratch();
    for name in ["stat", "enter", "watch"] {
        admitted(&probe(name).env("TARGET", outside.path().display()));
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
    // The first packet of a connection with data in it, which Landlock does not see.
    let spec = probe("fast-open").env("TARGET", address.port());
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
    for name in ["listen", "any-socket"] {
        refused_by_the_sandbox(&probe(name), EPERM);
    }
    const EAFNOSUPPORT: i32 = 97;
    refused_where_offered(&probe("vsock"), EPERM, &[EAFNOSUPPORT]);
    refused(&probe("vsock").network(Network::Host), EPERM);
    admitted(&probe("socketpair"));
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
        "memfd-execute",
        "key",
        "personality",
        "shm",
        "mq",
        "fork-unshare-user",
    ] {
        refused_by_the_sandbox(&probe(name), EPERM);
    }
    // Absent where the kernel has none, or is told to have none.
    for name in ["io-uring", "userfaultfd"] {
        let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
        let disabled = name == "io-uring" && disabled.is_ok_and(|text| text.trim() != "0");
        let absent = if disabled { EPERM } else { ENOSYS };
        refused_where_offered(&probe(name), EPERM, &[absent]);
    }
    for name in ["clone3", "openat2", "x32", "future"] {
        refused(&probe(name), ENOSYS);
    }
    // Denied and not executed: an x32 call meets the end of the known numbers, whatever its own.
    refused(&probe("x32-socket"), ENOSYS);
    admitted(&probe("nothing"));
}

#[test]
fn a_call_of_the_32_bit_abi_ends_the_process() {
    const SIGSYS: u8 = 31;
    const SIGSEGV: u8 = 11;
    let spec = probe("ia32");
    let run = spec.run();
    assert_eq!(run.exit, Exit::Signal(SIGSYS), "{}", run.output);
    let run = spec.sandbox(Sandbox::None).run();
    if run.exit == Exit::Signal(SIGSEGV) {
        println!("ia32: this machine does not offer it");
    } else {
        assert_eq!(run.exit, Exit::Code(OPEN), "{}", run.output);
    }
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

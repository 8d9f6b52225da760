//! The attempts of more than one call, for the probe's table.

#![allow(unsafe_code, reason = "an attacker makes raw calls")]

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::size_of_val;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Command, exit};
use std::ptr::null;

use crate::probe::{OPEN, call};

/// `TIOCSTI`, with a high bit that the kernel drops and a filter must not be misled by.
const TIOCSTI: usize = (1 << 32) | 0x5412;

/// Makes a terminal the caller's own.
const TIOCSCTTY: usize = 0x540e;

pub(crate) fn attempt(name: &str, target: &str, host: usize) -> io::Result<()> {
    match name {
        "fast-open" => fast_open(target.parse().unwrap_or(0)),
        "listen" => {
            let socket = socket(libc::AF_INET, libc::SOCK_STREAM)?;
            call(libc::SYS_listen, [raw(&socket), 1, 0, 0, 0, 0])
        }
        "any-socket" => any_socket(),
        "memfd-execute" => memfd_execute(),
        "execute-written" => execute_written(),
        "serve" => serve(),
        "watch" => inotify(target),
        "inject" => inject(),
        "inject-elsewhere" => call(libc::SYS_ioctl, [0, TIOCSTI, c"x".as_ptr().addr(), 0, 0, 0]),
        "terminal" => File::open("/dev/tty").map(drop),
        "attach" => call(
            libc::SYS_shmat,
            [
                target.parse().unwrap_or(0),
                0,
                libc::SHM_RDONLY as usize,
                0,
                0,
                0,
            ],
        ),
        "memory" => File::options()
            .read(true)
            .write(true)
            .open(format!("/proc/{host}/mem"))
            .map(drop),
        "memory-read" => File::open(format!("/proc/{host}/mem")).map(drop),
        "hold" => hold(),
        "environment" => {
            // It opens for everybody; whether it is read is asked at the first read.
            let mut first = [0];
            let mut file = File::open(format!("/proc/{host}/environ"))?;
            file.read_exact(&mut first)
        }
        "host-file" => File::open(format!("/proc/{host}/root/etc/passwd")).map(drop),
        "pidfd-signal" => {
            let pidfd = pidfd(host)?;
            call(libc::SYS_pidfd_send_signal, [raw(&pidfd), 0, 0, 0, 0, 0])
        }
        "thread-signal" => call(libc::SYS_tgkill, [host, host, 0, 0, 0, 0]),
        "signal-by-descriptor" => signal_by_descriptor(host),
        _ => panic!("no probe {name}"),
    }
}

fn raw(fd: &OwnedFd) -> usize {
    fd.as_raw_fd().cast_unsigned() as usize
}

fn owned(fd: i64) -> io::Result<OwnedFd> {
    match i32::try_from(fd) {
        // SAFETY: the call that returned it made it, and nobody else owns it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

fn socket(family: i32, kind: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointer.
    owned(unsafe { libc::socket(family, kind, 0) }.into())
}

fn pidfd(pid: usize) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointer.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// Connects with the first data, without connect(2).
fn fast_open(port: u16) -> io::Result<()> {
    let socket = socket(libc::AF_INET, libc::SOCK_STREAM)?;
    const AF_INET: u16 = 2;
    let address = libc::sockaddr_in {
        sin_family: AF_INET,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes([127, 0, 0, 1]),
        },
        sin_zero: [0; 8],
    };
    call(
        libc::SYS_sendto,
        [
            raw(&socket),
            c"x".as_ptr().addr(),
            1,
            libc::MSG_FASTOPEN as usize,
            (&raw const address).addr(),
            size_of_val(&address),
        ],
    )
}

/// A socket of whatever family and kind.
fn any_socket() -> io::Result<()> {
    const KINDS: [i32; 5] = [1, 2, 3, 5, 10];
    let mut last = io::Error::from_raw_os_error(0);
    for family in 0..64 {
        for kind in KINDS {
            match socket(family, kind) {
                Ok(_) => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::EPERM) => last = error,
                // Another answer than the filter's: it was asked of the kernel.
                Err(error) => println!("{family} {kind}: {error}"),
            }
        }
    }
    Err(last)
}

/// Executes a program that lies in no file system.
fn memfd_execute() -> io::Result<()> {
    // SAFETY: the name is a C string.
    let memory = owned(unsafe { libc::memfd_create(c"x".as_ptr(), 0) }.into())?;
    let mut image = Vec::new();
    File::open("/bin/sh")?.read_to_end(&mut image)?;
    File::from(memory.try_clone()?).write_all(&image)?;
    let script = CString::new(format!("exit {OPEN}")).expect("no NUL");
    let argv = [c"sh".as_ptr(), c"-c".as_ptr(), script.as_ptr(), null()];
    let envp = [null::<libc::c_char>()];
    call(
        libc::SYS_execveat,
        [
            raw(&memory),
            c"".as_ptr().addr(),
            argv.as_ptr().addr(),
            envp.as_ptr().addr(),
            libc::AT_EMPTY_PATH as usize,
            0,
        ],
    )
}

/// Executes a program that it has written itself.
fn execute_written() -> io::Result<()> {
    std::fs::copy("/bin/sh", "written")?;
    let script = format!("exit {OPEN}");
    let status = Command::new("./written").args(["-c", &script]).status()?;
    match status.code() {
        Some(OPEN) => Ok(()),
        _ => Err(io::Error::other("it did not run")),
    }
}

/// Serves on the loopback interface, and is its own client.
fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    client.write_all(b"x")?;
    listener.accept()?.0.read_exact(&mut [0])
}

/// Serves and keeps a file until it is killed, for others to look for.
fn hold() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    std::fs::write("/tmp/secret", "s")?;
    println!("port={} ready", listener.local_addr()?.port());
    loop {
        std::thread::park();
    }
}

/// Has `make` try each namespace: done if one is made.
pub(crate) fn each_namespace(make: impl Fn(usize) -> io::Result<()>) -> io::Result<()> {
    let flags = [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ];
    let mut last = Ok(());
    for flag in flags {
        last = make(flag.cast_unsigned() as usize);
        if last.is_ok() {
            break;
        }
    }
    last
}

fn inotify(target: &str) -> io::Result<()> {
    // SAFETY: takes no pointer.
    let watches = owned(unsafe { libc::inotify_init1(0) }.into())?;
    let path = CString::new(target).expect("no NUL");
    let changes = libc::IN_CREATE as usize;
    call(
        libc::SYS_inotify_add_watch,
        [raw(&watches), path.as_ptr().addr(), changes, 0, 0, 0],
    )
}

/// Makes the terminal at descriptor 0 its own, then types into it.
fn inject() -> io::Result<()> {
    let _ = call(libc::SYS_ioctl, [0, TIOCSCTTY, 0, 0, 0, 0]);
    let byte = c"x".as_ptr().addr();
    call(libc::SYS_ioctl, [0, TIOCSTI, byte, 0, 0, 0])
}

/// Has the kernel send `SIGIO` to the host, as the owner of a pipe that becomes readable.
/// No call of it fails; whether the signal arrives is for the host to see.
fn signal_by_descriptor(host: usize) -> io::Result<()> {
    let mut pair = [0; 2];
    // SAFETY: room for two descriptors.
    if unsafe { libc::pipe(pair.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let [read, write] = pair.map(|fd| fd.cast_unsigned() as usize);
    let control = |command: i32, value: usize| {
        let command = command.cast_unsigned() as usize;
        call(libc::SYS_fcntl, [read, command, value, 0, 0, 0])
    };
    control(libc::F_SETOWN, host)?;
    control(libc::F_SETFL, libc::O_ASYNC as usize)?;
    call(libc::SYS_write, [write, c"x".as_ptr().addr(), 1, 0, 0, 0])?;
    exit(OPEN)
}

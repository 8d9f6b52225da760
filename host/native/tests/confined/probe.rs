//! What a confined child tries. Run inside the child: `entry` is started there
//! as the one test, named by `CAPSPAWN_PROBE`.

#![allow(unsafe_code, reason = "an attacker makes raw calls")]

use std::env;
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::net::{TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::process::exit;

use crate::attack;

/// The exit code of an attempt that succeeded.
pub(crate) const OPEN: i32 = 70;
/// The exit code of an attempt that failed; the error number is printed.
pub(crate) const DENIED: i32 = 71;

#[test]
fn entry() {
    let Ok(name) = env::var("CAPSPAWN_PROBE") else {
        return;
    };
    match attempt(&name) {
        Ok(()) => exit(OPEN),
        Err(error) => {
            println!("errno={}", error.raw_os_error().unwrap_or(0));
            exit(DENIED)
        }
    }
}

pub(crate) fn call(number: libc::c_long, args: [usize; 6]) -> io::Result<()> {
    let [a, b, c, d, e, f] = args;
    // SAFETY: each attempt passes what its call takes, or nothing it can use.
    match unsafe { libc::syscall(number, a, b, c, d, e, f) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<()> {
    let bits = |value: i32| value.cast_unsigned() as usize;
    call(
        libc::SYS_socket,
        [bits(family), bits(kind), bits(protocol), 0, 0, 0],
    )
}

fn path(text: &str) -> CString {
    CString::new(text).expect("no NUL")
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn attempt(name: &str) -> io::Result<()> {
    let var = |name: &str| env::var(name).unwrap_or_default();
    let host: usize = var("HOST").parse().unwrap_or(0);
    let target = var("TARGET");
    let file = path(&target);
    let file = file.as_ptr().addr();
    let mut room = [0u64; 16];
    let room = room.as_mut_ptr().addr();
    const CWD: usize = usize::MAX - 99;
    match name {
        "read" => File::open(&target).map(drop),
        "list" => fs::read_dir(&target).map(drop),
        "write" => File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&target)
            .map(drop),
        "create" => fs::write(&target, "x"),
        "truncate" => call(libc::SYS_truncate, [file, 0, 0, 0, 0, 0]),
        "move-inside" => fs::rename(&target, "moved"),
        "link-inside" => fs::hard_link(&target, "linked").inspect(|()| {
            let _ = fs::remove_file("linked");
        }),
        "stat" => fs::metadata(&target).map(drop),
        "enter" => env::set_current_dir(&target),
        "utimes" => call(libc::SYS_utimensat, [CWD, file, 0, 0, 0, 0]),
        "setxattr" => {
            let name = path("user.capspawn");
            let name = name.as_ptr().addr();
            call(libc::SYS_setxattr, [file, name, name, 1, 0, 0])
        }
        "mount" => {
            let kind = path("tmpfs");
            let kind = kind.as_ptr().addr();
            call(libc::SYS_mount, [kind, file, kind, 0, 0, 0])
        }
        "umount" => call(libc::SYS_umount2, [file, 2, 0, 0, 0, 0]),
        "pivot-root" => call(libc::SYS_pivot_root, [file, file, 0, 0, 0, 0]),
        "chroot" => call(libc::SYS_chroot, [file, 0, 0, 0, 0, 0]),
        "open-tree" => call(libc::SYS_open_tree, [CWD, file, 1, 0, 0, 0]),
        "unlink" => fs::remove_file(&target),
        "rename" => fs::rename(&target, format!("{target}.moved")),
        "tcp" => TcpStream::connect(&target).map(drop),
        "udp" => UdpSocket::bind("127.0.0.1:0")?
            .send_to(b"x", &target)
            .map(drop),
        "unix" => UnixStream::connect(&target).map(drop),
        "abstract" => {
            let address = SocketAddr::from_abstract_name(&target)?;
            UnixStream::connect_addr(&address).map(drop)
        }
        "unix-datagram-pair" => {
            let (one, _two) = UnixDatagram::pair()?;
            one.send_to(b"x", &target).map(drop)
        }
        "socketpair" => UnixStream::pair().map(drop),
        "netlink" => socket(16, 3, 0),
        "vsock" => socket(40, 1, 0),
        "mptcp" => socket(2, 1, 262),
        "inet6" => socket(10, 1, 0),
        "ptrace" => call(
            libc::SYS_ptrace,
            [libc::PTRACE_ATTACH as usize, host, 0, 0, 0, 0],
        ),
        "vm-read" => call(libc::SYS_process_vm_readv, [host, room, 1, room, 1, 0]),
        "signal" => call(libc::SYS_kill, [host, 0, 0, 0, 0, 0]),
        "signal-self" => call(libc::SYS_kill, [std::process::id() as usize, 0, 0, 0, 0, 0]),
        "prlimit" => call(libc::SYS_prlimit64, [host, 7, 0, room, 0, 0]),
        "prlimit-self" => call(libc::SYS_prlimit64, [0, 7, 0, room, 0, 0]),
        "setpriority" => call(libc::SYS_setpriority, [0, host, 10, 0, 0, 0]),
        "setpriority-self" => call(libc::SYS_setpriority, [0, 0, 10, 0, 0, 0]),
        "affinity" => {
            // SAFETY: a zeroed mask with one processor set is a mask.
            let all = [u64::MAX; 16];
            call(
                libc::SYS_sched_setaffinity,
                [host, 128, all.as_ptr().addr(), 0, 0, 0],
            )
        }
        "pidfd-getfd" => {
            // SAFETY: takes no pointer.
            let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, host, 0) };
            call(
                libc::SYS_pidfd_getfd,
                [usize::try_from(pidfd).unwrap_or(0), 0, 0, 0, 0, 0],
            )
        }
        "fork-setsid" | "fork-setpgid" | "fork-unshare-user" => {
            // SAFETY: takes no argument.
            let group = || unsafe { libc::getpgrp() };
            let before = group();
            // SAFETY: the child makes a few calls and exits.
            let child = unsafe { libc::fork() };
            if child == 0 {
                let done = match name {
                    "fork-setsid" => call(libc::SYS_setsid, [0; 6]),
                    "fork-setpgid" => call(libc::SYS_setpgid, [0; 6]),
                    _ => call(
                        libc::SYS_unshare,
                        [libc::CLONE_NEWUSER as usize, 0, 0, 0, 0, 0],
                    ),
                };
                let code = done
                    .err()
                    .and_then(|error| error.raw_os_error())
                    .unwrap_or(0);
                // Done without an effect is not done.
                let left = name == "fork-unshare-user" || group() != before;
                exit(if code == 0 && !left { 1 } else { code });
            }
            let mut status = 0;
            // SAFETY: `status` is writable.
            let _ = unsafe { libc::waitpid(child, &raw mut status, 0) };
            match libc::WEXITSTATUS(status) {
                0 => Ok(()),
                errno => Err(io::Error::from_raw_os_error(errno)),
            }
        }
        "descriptor" => {
            let number = target.parse().unwrap_or(0);
            call(
                libc::SYS_fcntl,
                [number, libc::F_GETFD as usize, 0, 0, 0, 0],
            )
        }
        "any-descriptor" => {
            let open = |fd: &i32| {
                // SAFETY: takes no pointer.
                let flags = unsafe { libc::fcntl(*fd, libc::F_GETFD) };
                flags >= 0
            };
            let found: Vec<_> = (3..4096).filter(open).collect();
            println!("{found:?}");
            if found.is_empty() {
                Err(io::Error::from_raw_os_error(libc::EBADF))
            } else {
                Ok(())
            }
        }
        "io-uring" => {
            let params = [0u64; 32];
            call(
                libc::SYS_io_uring_setup,
                [1, params.as_ptr().addr(), 0, 0, 0, 0],
            )
        }
        "memfd" => call(
            libc::SYS_memfd_create,
            [path("x").as_ptr().addr(), 0, 0, 0, 0, 0],
        ),
        "userfaultfd" => call(libc::SYS_userfaultfd, [1, 0, 0, 0, 0, 0]),
        "key" => {
            let text = path("user");
            let text = text.as_ptr().addr();
            call(libc::SYS_add_key, [text, text, text, 4, usize::MAX - 2, 0])
        }
        "personality" => call(libc::SYS_personality, [0x0004_0000, 0, 0, 0, 0, 0]),
        "shm" => call(libc::SYS_shmget, [0, 4096, 0o1600, 0, 0, 0]),
        "mq" => call(
            libc::SYS_mq_open,
            [path("x").as_ptr().addr(), 0o102, 0o600, 0, 0, 0],
        ),
        "set-id-chmod" => call(libc::SYS_fchmodat, [CWD, file, 0o4755, 0, 0, 0]),
        "chmod" => call(libc::SYS_fchmodat, [CWD, file, 0o755, 0, 0, 0]),
        "set-id-create" => call(
            libc::SYS_openat,
            [CWD, file, libc::O_CREAT as usize | 1, 0o4755, 0, 0],
        ),
        "device" => call(libc::SYS_mknod, [file, 0o020_666, 0x103, 0, 0, 0]),
        "fifo" => call(libc::SYS_mknod, [file, 0o010_666, 0, 0, 0, 0]),
        "openat2" => call(libc::SYS_openat2, [CWD, file, room, 24, 0, 0]),
        "clone-namespaces" => attack::each_namespace(|flag| {
            call(
                libc::SYS_clone,
                [flag | libc::SIGCHLD as usize, 0, 0, 0, 0, 0],
            )
        }),
        "unshare-namespaces" => {
            attack::each_namespace(|flag| call(libc::SYS_unshare, [flag, 0, 0, 0, 0, 0]))
        }
        "clone3" => call(libc::SYS_clone3, [0, 0, 0, 0, 0, 0]),
        "x32" => call(0x4000_0000 + 39, [0; 6]),
        "future" => call(900, [0; 6]),
        "ia32" => {
            let result: i32;
            // SAFETY: getpid by the ia32 entry; rax alone changes.
            unsafe {
                std::arch::asm!(
                    "int 0x80", inlateout("eax") 20 => result,
                    out("r8") _, out("r9") _, out("r10") _, out("r11") _,
                );
            }
            if result > 0 {
                Ok(())
            } else {
                Err(io::Error::from_raw_os_error(-result))
            }
        }
        "x32-socket" => call(0x4000_0000 + 41, [1, 1, 0, 0, 0, 0]),
        "nothing" => Ok(()),
        _ => attack::attempt(name, &target, host),
    }
}

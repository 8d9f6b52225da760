//! The host's terminal: a child can neither type into it nor open it.

#![allow(unsafe_code, reason = "opens a pseudo terminal")]

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};
use std::ptr::{null, null_mut};
use std::time::Duration;

use capspawn_native::launch::{ChildStdio, Exit, Launcher};
use capspawn_native::sandbox::{Sandbox, Tier};
use capspawn_native::{LaunchError, Stage};
use libc::{EACCES, ENOENT, ENOSPC, ENXIO, EPERM};
use test_kit::{TEST_TIMEOUT, exit_status, is_readable, rerun_through, test_name};

use crate::attempt::{Attempt, FAILED, SUCCEEDED, Target, assert_fails, assert_succeeds};
use crate::launcher::{OwnScope, launcher, tier};
use crate::spec::{Spec, ended};
use crate::syscall::{bits, call, owned, raw};

pub(crate) const SINGLE: &[Attempt] = &[INJECT, OPEN, NOTHING, OWN, HOSTS, MANY, TYPE, LINE];

const OWN: Attempt = Attempt::new("a terminal of its own", talk_over_own);
const HOSTS: Attempt = Attempt::new("open a terminal of the host", |target| {
    File::open(&target.text).map(drop)
});
const MANY: Attempt = Attempt::new("65 terminals", |_| {
    let screens = (0..65).map(|_| screen());
    screens.collect::<io::Result<Vec<_>>>().map(drop)
});
const TYPE: Attempt = Attempt::new("type into a terminal of its own", |_| {
    let program = program(&screen()?)?;
    call(libc::SYS_setsid, [0; 6])?;
    call(libc::SYS_ioctl, [raw(&program), TIOCSCTTY, 0, 0, 0, 0])?;
    File::open("/dev/tty")?;
    let byte = c"x".as_ptr().addr();
    call(libc::SYS_ioctl, [raw(&program), TIOCSTI, byte, 0, 0, 0]).map(drop)
});
/// Another protocol of a serial line is code that the kernel may have to load.
const LINE: Attempt = Attempt::new("another line discipline", |_| {
    let program = program(&screen()?)?;
    let (request, mouse) = (0x5423, 2u32);
    let address = (&raw const mouse).addr();
    call(libc::SYS_ioctl, [raw(&program), request, address, 0, 0, 0]).map(drop)
});

const INJECT: Attempt = Attempt::new("type into the terminal", inject);
const OPEN: Attempt = Attempt::new("open the controlling terminal", |_| {
    File::open("/dev/tty").map(drop)
});
const NOTHING: Attempt = Attempt::new("nothing", |_| Ok(()));

/// Types a byte. The kernel ignores the high bit, which must not mislead a filter.
const TIOCSTI: usize = (1 << 32) | 0x5412;
/// Makes a terminal the controlling one of the caller.
const TIOCSCTTY: usize = 0x540e;

/// Makes the terminal at descriptor 0 the controlling one, then types into it.
fn inject(_: &Target) -> io::Result<()> {
    let _ = call(libc::SYS_ioctl, [0, TIOCSCTTY, 0, 0, 0, 0]);
    let byte = c"x".as_ptr().addr();
    call(libc::SYS_ioctl, [0, TIOCSTI, byte, 0, 0, 0]).map(drop)
}

/// The end of a screen and a keyboard of a new terminal.
fn screen() -> io::Result<OwnedFd> {
    let mut options = File::options();
    options.read(true).write(true).custom_flags(libc::O_NOCTTY);
    options.open("/dev/ptmx").map(OwnedFd::from)
}

/// The end of programs, by number and by path.
fn program(screen: &OwnedFd) -> io::Result<OwnedFd> {
    const TIOCSPTLCK: usize = 0x4004_5431;
    const TIOCGPTN: usize = 0x8004_5430;
    const TIOCGPTPEER: usize = 0x5441;
    let (unlocked, mut number) = (0u32, 0u32);
    let address = (&raw const unlocked).addr();
    call(libc::SYS_ioctl, [raw(screen), TIOCSPTLCK, address, 0, 0, 0])?;
    let address = (&raw mut number).addr();
    call(libc::SYS_ioctl, [raw(screen), TIOCGPTN, address, 0, 0, 0])?;
    let mut options = File::options();
    options.read(true).write(true).custom_flags(libc::O_NOCTTY);
    options.open(format!("/dev/pts/{number}"))?;
    let flags = bits(libc::O_RDWR | libc::O_NOCTTY);
    call(libc::SYS_ioctl, [raw(screen), TIOCGPTPEER, flags, 0, 0, 0]).map(owned)
}

fn talk_over_own(_: &Target) -> io::Result<()> {
    let screen = screen()?;
    let program = program(&screen)?;
    File::from(program).write_all(b"x")?;
    let mut printed = [0];
    File::from(screen).read_exact(&mut printed)?;
    assert_eq!(printed, *b"x");
    Ok(())
}

/// A pseudo terminal whose input is read byte by byte.
struct Terminal {
    /// The end of a screen and a keyboard.
    _screen: OwnedFd,
    /// The end of programs.
    program: File,
}

impl Terminal {
    fn new() -> Self {
        let (mut screen, mut program) = (-1, -1);
        // Raw: the input is not collected into lines and causes no signals.
        let mut modes = libc::termios {
            c_iflag: 0,
            c_oflag: 0,
            c_cflag: libc::CS8 | libc::CREAD | libc::B38400,
            c_lflag: 0,
            c_line: 0,
            c_cc: [0; libc::NCCS],
            c_ispeed: libc::B38400,
            c_ospeed: libc::B38400,
        };
        modes.c_cc[libc::VMIN] = 1;
        let (name, size) = (null_mut(), null());
        // SAFETY: the two descriptors are writable and the modes readable; name and size may be null.
        let opened = unsafe {
            libc::openpty(
                &raw mut screen,
                &raw mut program,
                name,
                &raw const modes,
                size,
            )
        };
        assert_eq!(opened, 0, "there are terminals");
        // SAFETY: openpty has made it, and nothing else owns it.
        let screen = unsafe { OwnedFd::from_raw_fd(screen) };
        // SAFETY: openpty has made it, and nothing else owns it.
        let program = unsafe { OwnedFd::from_raw_fd(program) };
        Self {
            _screen: screen,
            program: program.into(),
        }
    }

    /// The byte that was typed, if there is one.
    fn input(&mut self) -> Option<u8> {
        let mut byte = [0];
        is_readable(&self.program, Duration::ZERO).then(|| {
            self.program.read_exact(&mut byte).expect("it is readable");
            byte[0]
        })
    }

    /// Runs `spec` with the terminal as its standard input, which no registry does.
    fn run(&self, spec: &Spec) -> Result<Exit, LaunchError> {
        let stdio = ChildStdio {
            stdin: Some(
                self.program
                    .try_clone()
                    .expect("a descriptor is free")
                    .into(),
            ),
            ..ChildStdio::default()
        };
        let guest = OwnScope::new();
        let process = launcher().launch(guest.0, &spec.plan(), stdio)?;
        let exit = ended(&*process);
        process.reap().expect("it has ended");
        Ok(exit)
    }
}

#[test]
fn a_child_cannot_type_into_a_terminal() {
    let mut terminal = Terminal::new();
    let confined = terminal.run(&INJECT.spec());
    match tier() {
        // A session accepts no device but the null one as a stream.
        Tier::A => assert_eq!(confined.expect_err("it is a device").stage, Stage::Request),
        _ => assert_eq!(confined.expect("it starts"), Exit::Code(FAILED)),
    }
    assert_eq!(terminal.input(), None, "the byte arrived");
    let sysctl = fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti");
    if sysctl.is_ok_and(|text| text.trim() == "0") {
        println!("not shown, this kernel is set to refuse TIOCSTI");
        return;
    }
    let exit = terminal.run(&INJECT.spec().sandbox(Sandbox::None));
    assert_eq!(exit.expect("it starts"), Exit::Code(SUCCEEDED));
    assert_eq!(
        terminal.input(),
        Some(b'x'),
        "the attack shows nothing: it types no byte"
    );
}

#[test]
fn a_session_has_terminals_of_its_own_and_shows_none_of_the_host() {
    let terminal = Terminal::new();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&terminal.program);
    let path = fs::read_link(format!("/proc/self/fd/{fd}")).expect("it is open");
    // A session may have one of the same number: the child would make it first.
    let hosts = HOSTS.spec().at(path.display());
    match tier() {
        Tier::A => {
            assert_fails(&hosts, ENOENT);
            assert_succeeds(&OWN.spec());
            assert_fails(&MANY.spec(), ENOSPC);
            // Those of a child that has ended are free again.
            assert_succeeds(&OWN.spec());
            // As a grant that names the host's does not change.
            assert_fails(&hosts.read("/dev/pts").read("/dev/tty"), ENOENT);
        }
        Tier::B | Tier::C => {
            assert_fails(&hosts, EACCES);
            assert_fails(&OWN.spec(), EACCES);
        }
    }
}

#[test]
fn a_child_types_into_no_terminal_of_its_own_and_changes_no_line_discipline() {
    if tier() != Tier::A || !crate::scopes::has_scopes() {
        return;
    }
    assert_fails(&TYPE.spec(), EPERM);
    assert_fails(&LINE.spec(), EPERM);
}

/// Every child is in a terminal session of its own (`setsid(2)`), confined or not,
/// and so does not have the host's controlling terminal.
#[test]
fn a_child_does_not_have_the_hosts_controlling_terminal() {
    const VARIABLE: &str = "CAPSPAWN_WITH_TERMINAL";
    if std::env::var_os(VARIABLE).is_none() {
        let terminal = Terminal::new();
        let stdin = terminal.program.try_clone().expect("a descriptor is free");
        let mut command = rerun_through(&["setsid", "--ctty", "--wait"], test_name!());
        command.env(VARIABLE, "1").stdin(Stdio::from(stdin));
        assert!(exit_status(&mut command, TEST_TIMEOUT).success());
        return;
    }
    File::open("/dev/tty").expect("this process has a controlling terminal");
    let child = OPEN.spec();
    // A child that is started in any other way has it.
    let mut command = Command::new(&child.program);
    command.args(&child.args).envs(&child.env);
    let status = exit_status(&mut command, TEST_TIMEOUT);
    assert_eq!(status.code(), Some(SUCCEEDED));
    let errno = match tier() {
        // A session has the device, by which a child would reach a terminal of its own.
        Tier::A => ENXIO,
        Tier::B | Tier::C => EACCES,
    };
    assert_fails(&child, errno);
    assert_fails(&child.sandbox(Sandbox::None), ENXIO);
    assert_succeeds(&NOTHING.spec());
}

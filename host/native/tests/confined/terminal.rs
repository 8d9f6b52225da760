//! The host's terminal: a child can neither type into it nor open it.

#![allow(unsafe_code, reason = "opens a pseudo terminal")]

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::ptr::{null, null_mut};
use std::time::Duration;

use capspawn_native::launch::{ChildStdio, Exit, Launcher};
use capspawn_native::sandbox::{Sandbox, Tier};
use capspawn_native::{LaunchError, Stage};
use libc::{EACCES, ENOENT, ENXIO};
use test_kit::{TEST_TIMEOUT, exit_status, is_readable, rerun_through, test_name};

use crate::attempt::{Attempt, FAILED, SUCCEEDED, Target, assert_fails, assert_succeeds};
use crate::launcher::{OwnScope, launcher, tier};
use crate::spec::{Spec, ended};
use crate::syscall::call;

pub(crate) const SINGLE: &[Attempt] = &[INJECT, OPEN, NOTHING];

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
        Tier::A => ENOENT,
        Tier::B | Tier::C => EACCES,
    };
    assert_fails(&child, errno);
    assert_fails(&child.sandbox(Sandbox::None), ENXIO);
    assert_succeeds(&NOTHING.spec());
}

//! The host's terminal: a child may not type into it, nor have it.

#![allow(unsafe_code, reason = "opens a terminal")]

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::ptr::{null, null_mut};

use capspawn_native::launch::{ChildStdio, Exit, Launcher};
use capspawn_native::sandbox::{Sandbox, Tier};
use capspawn_native::{LaunchError, Stage};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::bounded;
use crate::host::again;
use crate::probe::{DENIED, OPEN};
use crate::support::{Own, Spec, ended, launcher, probe, tier};
use crate::verdict::{EACCES, ENOENT, admitted, refused};

/// A terminal: the end that a screen and a keyboard have, and the end that programs have, which reads byte by byte.
struct Terminal {
    _screen: OwnedFd,
    program: File,
}

impl Terminal {
    fn new() -> Self {
        let (mut screen, mut program) = (-1, -1);
        // Byte by byte: neither lines nor signals are made of what is typed.
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
        // SAFETY: room for two descriptors; modes to read, and neither name nor size.
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
        // SAFETY: openpty has made it, and nobody else owns it.
        let screen = unsafe { OwnedFd::from_raw_fd(screen) };
        // SAFETY: likewise.
        let program = unsafe { OwnedFd::from_raw_fd(program) };
        Self {
            _screen: screen,
            program: program.into(),
        }
    }

    /// What has been typed.
    fn input(&mut self) -> Option<u8> {
        let now = Timespec::default();
        let ready = poll(&mut [PollFd::new(&self.program, PollFlags::IN)], Some(&now));
        let mut byte = [0];
        (ready == Ok(1)).then(|| {
            self.program.read_exact(&mut byte).expect("it is readable");
            byte[0]
        })
    }

    /// Runs `spec` with the terminal as its standard input, as no registry would.
    fn run(&self, spec: &Spec) -> Result<Exit, LaunchError> {
        let stdio = ChildStdio {
            stdin: Some(self.program.try_clone().expect("a descriptor").into()),
            ..ChildStdio::default()
        };
        let guest = Own::new();
        let process = launcher().launch(guest.0, &spec.plan(), stdio)?;
        let exit = ended(&*process);
        process.reap().expect("it has ended");
        Ok(exit)
    }
}

#[test]
fn no_child_types_into_a_terminal() {
    let mut terminal = Terminal::new();
    let confined = terminal.run(&probe("inject"));
    match tier() {
        // A session takes no device but the null one.
        Tier::A => assert_eq!(confined.expect_err("a terminal").stage, Stage::Request),
        _ => assert_eq!(confined.expect("it starts"), Exit::Code(DENIED)),
    }
    assert_eq!(terminal.input(), None, "the byte arrived");
    let sysctl = fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti");
    if sysctl.is_ok_and(|text| text.trim() == "0") {
        println!("TIOCSTI: this machine does not offer it");
        return;
    }
    let exit = terminal.run(&probe("inject").sandbox(Sandbox::None));
    assert_eq!(exit.expect("it starts"), Exit::Code(OPEN));
    assert_eq!(terminal.input(), Some(b'x'), "the attack does nothing");
}

/// The session of its own: a host's controlling terminal is not the child's, confined or not.
#[test]
fn no_child_has_the_terminal_that_controls_its_host() {
    const NAME: &str = "terminal::no_child_has_the_terminal_that_controls_its_host";
    const VARIABLE: &str = "CAPSPAWN_WITH_TERMINAL";
    const ENXIO: i32 = 6;
    if std::env::var_os(VARIABLE).is_none() {
        let terminal = Terminal::new();
        let stdin = terminal.program.try_clone().expect("a descriptor");
        let mut command = again(&["setsid", "--ctty", "--wait"], NAME, VARIABLE);
        command.stdin(Stdio::from(stdin));
        assert!(bounded::status(&mut command, bounded::PATIENCE).success());
        return;
    }
    File::open("/dev/tty").expect("this host has a terminal");
    let spec = probe("terminal");
    // A child that is started in any other way has it.
    let mut command = Command::new(&spec.program);
    command.args(&spec.args).envs(&spec.env);
    let status = bounded::status(&mut command, bounded::PATIENCE);
    assert_eq!(status.code(), Some(OPEN));
    refused(&spec, if tier() == Tier::A { ENOENT } else { EACCES });
    refused(&spec.sandbox(Sandbox::None), ENXIO);
    admitted(&probe("nothing"));
}

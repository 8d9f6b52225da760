//! A launcher of one's own: its children are functions of the test, each on a thread.
//!
//! It implements everything that [`Launcher`] demands: streams, signals, the exit, and the descriptor by which the
//! registry waits.
//!
//! `cargo run -p capspawn-testing --no-default-features --example functions`

use std::collections::HashMap;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use capspawn_native::confinement::{Confinement, Enforcement};
use capspawn_native::launch::{
    ChildStdio, Exit, LaunchError, Launcher, Plan, Process, Scope, Stage,
};
use capspawn_native::{Command, ExitStatus, Grants, Registry, Signal};

/// A program: its arguments and its standard streams, and the code with which it exits.
type Function = fn(&[OsString], &mut dyn Read, &mut dyn Write) -> i32;

/// Starts functions instead of programs, by the name of the command.
#[derive(Debug, Default)]
struct Functions {
    functions: HashMap<&'static str, Function>,
    /// Process ids are for the operator. These are larger than any of a real process.
    started: AtomicU32,
}

impl Launcher for Functions {
    /// Nothing confines a function: only commands with `sandbox = "none"` start.
    fn enforcement(&self, confinement: &Confinement) -> Arc<Enforcement> {
        let reason = "the children are functions of this process";
        Arc::new(Enforcement::none(
            confinement,
            reason,
            "use the native launcher",
        ))
    }

    fn launch(
        &self,
        _scope: Scope,
        plan: &Plan,
        stdio: ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError> {
        let at = |stage| move |source| LaunchError::new(stage, source);
        let Some(function) = self.functions.get(plan.name.as_str()).copied() else {
            // The guest receives `no-entry`, as for a program that is gone.
            let error = io::Error::from_raw_os_error(2);
            return Err(LaunchError::new(Stage::Exec, error));
        };
        let (exit_fd, ended) = io::pipe().map_err(at(Stage::Spawn))?;
        let child = Arc::new(Child {
            exit: Mutex::default(),
            ended: Mutex::new(Some(ended)),
        });
        let args = plan.argv.clone();
        let ran = Arc::clone(&child);
        let thread = thread::Builder::new().name(plan.name.clone());
        thread
            .spawn(move || {
                let mut stdin = stdio.stdin.map(File::from);
                let mut stdout = stdio.stdout.map(File::from);
                let code = {
                    let (mut nothing, mut nowhere) = (io::empty(), io::sink());
                    let stdin: &mut dyn Read = match &mut stdin {
                        Some(stdin) => stdin,
                        None => &mut nothing,
                    };
                    let stdout: &mut dyn Write = match &mut stdout {
                        Some(stdout) => stdout,
                        None => &mut nowhere,
                    };
                    function(&args[1..], stdin, stdout)
                };
                // The streams are closed before the end is shown, as by the kernel.
                drop((stdin, stdout, stdio.stderr));
                ran.end(Exit::Code(code));
            })
            .map_err(at(Stage::Spawn))?;
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Running {
            pid: 2_000_000_000 + number,
            child,
            exit_fd,
        }))
    }
}

/// How a child ends, shared by its thread and its process.
struct Child {
    exit: Mutex<Option<Exit>>,
    /// The other end becomes readable when this is dropped.
    ended: Mutex<Option<PipeWriter>>,
}

impl Child {
    /// The first end counts.
    fn end(&self, exit: Exit) {
        let lock = self.exit.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(exit);
        self.ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

struct Running {
    pid: u32,
    child: Arc<Child>,
    exit_fd: PipeReader,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

impl Process for Running {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn exit_fd(&self) -> BorrowedFd<'_> {
        self.exit_fd.as_fd()
    }

    fn try_exit(&self) -> io::Result<Option<Exit>> {
        Ok(*self
            .child
            .exit
            .lock()
            .unwrap_or_else(PoisonError::into_inner))
    }

    /// A thread cannot be killed. It counts as ended, and its output ends when it returns.
    fn signal(&self, signal: Signal) -> io::Result<()> {
        match signal {
            Signal::Stop | Signal::Continue | Signal::WindowChange => {}
            _ => self.child.end(Exit::Signal(signal.number())),
        }
        Ok(())
    }

    fn signal_tree(&self, signal: Signal) -> io::Result<()> {
        self.signal(signal)
    }

    fn reap(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes its input in capital letters.
fn upper(_args: &[OsString], stdin: &mut dyn Read, stdout: &mut dyn Write) -> i32 {
    let mut text = String::new();
    let copied = stdin
        .read_to_string(&mut text)
        .and_then(|_| stdout.write_all(text.to_uppercase().as_bytes()));
    i32::from(copied.is_err())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut launcher = Functions::default();
    launcher.functions.insert("upper", upper);
    let registry = Registry::builder().launcher(Arc::new(launcher)).build()?;
    let grants = Grants::from_toml_str_without_programs(
        r#"
        version = 1
        [component.report]
        sandbox = "none"
        [[component.report.command]]
        name = "upper"
        program = "/opt/no-such-folder/bin/upper"
        [[component.report.command]]
        name = "lower"
        program = "/opt/no-such-folder/bin/lower"
        "#,
        "/".as_ref(),
    )?;
    let guest = registry.guest(grants.component("report"), "");
    let child =
        guest.spawn(&Command::new("upper").stdin(capspawn_native::Stdin::Bytes("hello".into())))?;
    assert_eq!(child.wait_blocking(None), Some(ExitStatus::Exited(0)));
    println!("{}", String::from_utf8_lossy(&child.captured(0, 0).0.data));
    assert_eq!(child.captured(0, 0).0.data, b"HELLO");
    guest
        .spawn(&Command::new("lower"))
        .expect_err("there is no such function");
    Ok(())
}

#[test]
fn the_example_runs() {
    main().expect("it runs to its end");
}

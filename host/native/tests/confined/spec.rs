//! A child to start: its program, what its grant allows, and how it ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use capspawn_native::launch::{
    ChildStdio, Exit, Launcher, Plan, Process, Program, Scope, WorkingDirectory,
};
use capspawn_native::limits::Limits;
use capspawn_native::sandbox::{Confinement, FsRoot, FsRules, Network, Sandbox};
use capspawn_native::{LaunchError, Signal};
use test_kit::{TEST_TIMEOUT, is_readable, read_to_end};

use crate::installed::PATH;
use crate::launcher::{launcher, scope_of_this_test};

/// The folders that ordinary programs read.
const SYSTEM: [&str; 6] = ["/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc"];

/// A program to start, and the rules that it is started under.
#[derive(Clone)]
pub(crate) struct Spec {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: PathBuf,
    pub(crate) confinement: Confinement,
    pub(crate) limits: Limits,
}

/// How a child ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) exit: Exit,
    pub(crate) output: String,
}

/// A child that runs, and the pipe of its standard output and standard error.
pub(crate) struct Started {
    pub(crate) process: Box<dyn Process>,
    pub(crate) output: File,
}

impl Spec {
    /// A program that may read [`SYSTEM`] and write nothing.
    pub(crate) fn new(program: impl AsRef<Path>) -> Self {
        let fs = FsRules {
            read: SYSTEM
                .map(|path| FsRoot::resolve(path).expect("it exists"))
                .into(),
            ..FsRules::default()
        };
        Self {
            program: program.as_ref().into(),
            args: Vec::new(),
            env: BTreeMap::from([("PATH".into(), PATH.into())]),
            cwd: "/".into(),
            confinement: Confinement {
                fs,
                ..Confinement::default()
            },
            limits: Limits {
                memory_bytes: None,
                // Outside a session the kernel may count the tasks of the user, and other tests' fork storms with them.
                processes: None,
                ..Limits::default()
            },
        }
    }

    pub(crate) fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.env.insert(name.into(), value.to_string());
        self
    }

    /// Allows the child to read below `path`.
    pub(crate) fn read(mut self, path: impl AsRef<Path>) -> Self {
        self.confinement.fs.read.push(path.as_ref().into());
        self
    }

    /// Makes `path` the write root and the working directory of the child.
    pub(crate) fn home(mut self, path: &Path) -> Self {
        self.confinement.fs.write.push(path.into());
        self.cwd = path.into();
        self.env("HOME", path.display())
            .env("TMPDIR", path.display())
    }

    pub(crate) fn network(mut self, network: Network) -> Self {
        self.confinement.network = network;
        self
    }

    pub(crate) fn sandbox(mut self, sandbox: Sandbox) -> Self {
        self.confinement.sandbox = sandbox;
        self
    }

    pub(crate) fn start(&self) -> Result<Started, LaunchError> {
        self.start_with(launcher())
    }

    /// What a grant would pass to the launcher. The child may read its own program.
    pub(crate) fn plan(&self) -> Plan {
        let mut confinement = self.confinement.clone();
        if !SYSTEM.iter().any(|root| self.program.starts_with(root)) {
            let program = FsRoot::resolve(&self.program).expect("it exists");
            confinement.fs.read.push(program);
        }
        let program = Program::open(&self.program).expect("it exists");
        let cwd = WorkingDirectory::open(&self.cwd).expect("it exists");
        let env = self.env.clone().into_iter();
        let mut argv = vec![self.program.display().to_string()];
        argv.extend(self.args.iter().cloned());
        Plan {
            argv: argv.into_iter().map(Into::into).collect(),
            env: env.map(|(name, value)| (name, value.into())).collect(),
            limits: self.limits.clone(),
            confinement: Arc::new(confinement),
            ..Plan::new("test", program, cwd)
        }
    }

    pub(crate) fn start_with(&self, launcher: &dyn Launcher) -> Result<Started, LaunchError> {
        self.start_as(launcher, scope_of_this_test())
    }

    /// Starts the child for the guest `scope`.
    pub(crate) fn start_as(
        &self,
        launcher: &dyn Launcher,
        scope: Scope,
    ) -> Result<Started, LaunchError> {
        let plan = self.plan();
        let (output, stdout) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .expect("a descriptor is free");
        let stderr = rustix::io::fcntl_dupfd_cloexec(&stdout, 3).expect("a descriptor is free");
        let process = launcher.launch(
            scope,
            &plan,
            ChildStdio {
                stdin: None,
                stdout: Some(stdout),
                stderr: Some(stderr),
            },
        )?;
        Ok(Started {
            process,
            output: output.into(),
        })
    }

    /// Runs the child to its end.
    #[track_caller]
    pub(crate) fn run(&self) -> Run {
        self.start()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()))
            .finish()
    }

    /// Runs the child to its end, asserts that it exits with 0, and returns its output.
    #[track_caller]
    pub(crate) fn succeed(&self) -> String {
        let run = self.run();
        assert_eq!(
            run.exit,
            Exit::Code(0),
            "{}: {}",
            self.program.display(),
            run.output
        );
        run.output
    }
}

impl Started {
    /// Waits for the end of the leader, kills the rest of its tree, and reads all output.
    #[track_caller]
    pub(crate) fn finish(self) -> Run {
        let mut output = self.output;
        let reader = thread::spawn(move || read_to_end(&mut output));
        let exit = ended(&*self.process);
        self.process
            .signal_tree(Signal::Kill)
            .expect("the rest of the tree can be killed");
        self.process.reap().expect("it has ended");
        Run {
            exit,
            output: reader.join().expect("the output ends with the tree"),
        }
    }
}

/// Waits for the end of the leader.
#[track_caller]
pub(crate) fn ended(process: &dyn Process) -> Exit {
    let has_ended = is_readable(process.exit_fd(), TEST_TIMEOUT);
    assert!(has_ended, "the child did not end");
    let exit = process.try_exit().expect("its status can be read");
    exit.expect("it has ended")
}

//! Starting a program under the launcher, and the probe that the tests start.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Instant;

use capspawn_native::launch::{
    ChildStdio, Exit, Launcher, Plan, Process, Program, Scope, WorkingDirectory,
};
use capspawn_native::limits::Limits;
use capspawn_native::sandbox::{
    Confinement, FsRoot, FsRules, NativeLauncher, Network, Sandbox, Tier,
};
use capspawn_native::{LaunchError, Signal};

use crate::bounded;

/// The tier that `CAPSPAWN_REQUIRE_TIER` demands of this machine: A, B or C. Unset, the tests run in whatever it gives.
pub(crate) fn required_tier() -> Option<String> {
    std::env::var(REQUIRE_TIER).ok()
}

pub(crate) const REQUIRE_TIER: &str = "CAPSPAWN_REQUIRE_TIER";

/// The launcher under test, which all tests share.
pub(crate) fn launcher() -> &'static NativeLauncher {
    static LAUNCHER: LazyLock<Result<NativeLauncher, String>> = LazyLock::new(new_launcher);
    match &*LAUNCHER {
        Ok(launcher) => launcher,
        Err(reason) => panic!("{REQUIRE_TIER}: {reason}"),
    }
}

/// One of a test's own, for a registry, whose scopes would be those of other tests.
pub(crate) fn own_launcher() -> Arc<NativeLauncher> {
    Arc::new(new_launcher().unwrap_or_else(|reason| panic!("{REQUIRE_TIER}: {reason}")))
}

/// The tier in which children are confined here.
pub(crate) fn tier() -> Tier {
    static TIER: LazyLock<Option<Tier>> =
        LazyLock::new(|| launcher().enforcement(&Confinement::default()).tier());
    TIER.expect("the probe has run")
}

/// In the tier that is demanded. The one place that chooses it.
fn new_launcher() -> Result<NativeLauncher, String> {
    let Some(demanded) = required_tier() else {
        return Ok(NativeLauncher::new());
    };
    let tier = demanded
        .parse()
        .map_err(|error| format!("{demanded}: {error}"))?;
    let launcher = NativeLauncher::builder().tier(tier).build();
    let report = launcher.enforcement(&Confinement::default());
    if report.admits(Sandbox::BestEffort) && (report.admits(Sandbox::Required) || tier == Tier::C) {
        return Ok(launcher);
    }
    let unmet = report.unmet();
    Err(format!(
        "tier {tier} is demanded and this machine does not give: {unmet}"
    ))
}

/// The guest that this test is: each test runs on a thread of its own, and its sessions end with that.
pub(crate) struct Own(pub(crate) Scope);

thread_local! {
    static OWN: Own = Own::new();
}

impl Own {
    /// Another guest.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(Scope(NEXT.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        launcher().close(self.0);
    }
}

/// Where a program of that name lies for children. Where it is missing, a demanded tier is not shown: that fails, and
/// without a demand the test is passed over with a line that says so.
#[track_caller]
pub(crate) fn installed(name: &str, package: &str) -> Option<PathBuf> {
    let found = PATH.split(':').map(|folder| Path::new(folder).join(name));
    if let Some(path) = found.into_iter().find(|path| path.exists()) {
        return Some(path);
    }
    let missing = format!("{name} is missing: install the Debian package {package}");
    assert!(required_tier().is_none(), "{missing}");
    println!("skipped: {missing}");
    None
}

/// Where children look for programs.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What ordinary programs read.
pub(crate) const SYSTEM: [&str; 6] = ["/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc"];

/// A program to start, and under what.
#[derive(Clone)]
pub(crate) struct Spec {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: PathBuf,
    pub(crate) confinement: Confinement,
    pub(crate) limits: Limits,
}

/// How it went.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) exit: Exit,
    pub(crate) output: String,
}

pub(crate) struct Started {
    pub(crate) process: Box<dyn Process>,
    pub(crate) output: File,
}

impl Spec {
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

    /// Writable, and where it starts.
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

    /// What the grant would hand to a launcher: the program is among what its children read.
    pub(crate) fn plan(&self) -> Plan {
        let mut confinement = self.confinement.clone();
        if !SYSTEM.iter().any(|root| self.program.starts_with(root)) {
            let program = FsRoot::resolve(&self.program).expect("it exists");
            confinement.fs.read.push(program);
        }
        let program = Program::open(&self.program).expect("it exists");
        let cwd = WorkingDirectory::open(&self.cwd).expect("it exists");
        let mut argv = vec![self.program.display().to_string()];
        argv.extend(self.args.iter().cloned());
        Plan {
            argv,
            env: self.env.clone().into_iter().collect(),
            limits: self.limits.clone(),
            confinement: Arc::new(confinement),
            ..Plan::new("test", program, cwd)
        }
    }

    pub(crate) fn start_with(&self, launcher: &dyn Launcher) -> Result<Started, LaunchError> {
        self.start_as(launcher, OWN.with(|own| own.0))
    }

    /// Starts it for the guest `scope`.
    pub(crate) fn start_as(
        &self,
        launcher: &dyn Launcher,
        scope: Scope,
    ) -> Result<Started, LaunchError> {
        let plan = self.plan();
        let (output, stdout) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
        let stderr = rustix::io::fcntl_dupfd_cloexec(&stdout, 3).expect("a descriptor");
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

    pub(crate) fn run(&self) -> Run {
        self.start()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program.display()))
            .finish()
    }

    /// Runs it and demands success.
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
    #[track_caller]
    pub(crate) fn finish(self) -> Run {
        let mut output = self.output;
        let reader = thread::spawn(move || bounded::read_to(&mut output, None));
        let exit = ended(&*self.process);
        self.process
            .signal_tree(Signal::Kill)
            .expect("what is left of the tree can be killed");
        self.process.reap().expect("it has ended");
        Run {
            exit,
            output: reader.join().expect("the output ends"),
        }
    }
}

/// Waits for the leader's end.
#[track_caller]
pub(crate) fn ended(process: &dyn Process) -> Exit {
    let deadline = Instant::now() + bounded::PATIENCE;
    let ready = bounded::is_ready(process.exit_fd(), deadline);
    assert!(ready, "it does not end");
    process
        .try_exit()
        .expect("it can be asked")
        .expect("it has ended")
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A directory that the children's user may write.
pub(crate) fn scratch() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir_in("/tmp").expect("/tmp is writable");
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(dir.path(), open).expect("it is ours");
    dir
}

/// This test's own program, as the confined one that runs the probe `name`.
pub(crate) fn probe(name: &str) -> Spec {
    let program = std::env::current_exe().expect("it is running");
    Spec::new(program)
        .args(["--exact", "probe::entry", "--nocapture", "--test-threads=1"])
        .env("CAPSPAWN_PROBE", name)
        .env("HOST", std::process::id())
}

//! The forms of a start that this process can measure, and their grants.

use std::path::Path;
use std::sync::Arc;

use capspawn_native::grant::Grants;
use capspawn_native::launch::{ChildStdio, Launcher, Plan, Scope};
use capspawn_native::sandbox::{Confinement, NativeLauncher, Sandbox, Tier};
use capspawn_native::{Child, Command, Guest, Registry, RegistryBuilder, Stdio};
use rustix::event::{PollFd, PollFlags, poll};

/// One way to start a confined child.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) name: &'static str,
    pub(crate) launcher: Arc<dyn Launcher>,
    pub(crate) tier: Tier,
}

/// Returns every form of a start that this process can measure, except those whose
/// tier the host does not support. Tiers are chosen here only.
pub(crate) fn all() -> Vec<Form> {
    let root = rustix::process::geteuid().is_root();
    let alone = match root {
        true => "tier B, root host: init",
        false => "tier B, unprivileged: vfork",
    };
    let session = match root {
        true => "tier A, root host: session",
        false => "tier A, unprivileged: session",
    };
    let forms = [(session, Tier::A), (alone, Tier::B)];
    let form = |(name, tier)| Form {
        name,
        launcher: Arc::new(NativeLauncher::builder().tier(tier).build()),
        tier,
    };
    let has = |form: &Form| {
        let report = form.launcher.enforcement(&Confinement::default());
        let admits = report.admits(Sandbox::Required);
        if !admits {
            println!(
                "not measured: {}: the host lacks {}",
                form.name,
                report.unmet()
            );
        }
        admits
    };
    forms.into_iter().map(form).filter(has).collect()
}

/// Confinement is required, as by default. The limits are wide enough for a benchmark.
const GRANT: &str = r#"
version = 1
[component.bench]
max-live = 2000
max-total = 1000000000
max-held-children = 20000
max-held-descriptors = 20000
max-held-memory = "4GiB"
[component.bench.limits]
wall = "1h"
cpu = "unlimited"
memory = "unlimited"
processes = "unlimited"
[component.bench.fs]
read = ["/dev/zero"FOLDER]
[[component.bench.command]]
name = "true"
program = "/bin/true"
[[component.bench.command]]
name = "dd"
program = "/bin/dd"
args = [{ rest = true }]
[[component.bench.command]]
name = "sh"
program = "/bin/sh"
args = ["-c", { any = true, allow-dash = true }]
interpreter = true
"#;

impl Form {
    /// Returns a builder of a registry that starts children in this form.
    pub(crate) fn registry(&self) -> RegistryBuilder {
        Registry::builder()
            .max_entries(20_000)
            .max_held_bytes(4 << 30)
            .launcher(Arc::clone(&self.launcher))
    }

    pub(crate) fn guest(&self) -> Guest {
        guest(&build(self.registry()), None)
    }

    /// Starts `plan` without a registry, and waits for its end.
    pub(crate) fn launch_and_wait(&self, plan: &Plan) {
        let stdio = ChildStdio::default();
        let process = self.launcher.launch(Scope(0), plan, stdio);
        let process = process.expect("it starts");
        poll(&mut [PollFd::new(&process.exit_fd(), PollFlags::IN)], None).expect("a pidfd");
        process.reap().expect("it has ended");
    }
}

pub(crate) fn build(registry: RegistryBuilder) -> Registry {
    registry.build().expect("the system has a thread")
}

/// Returns a guest that may also read `folder`.
pub(crate) fn guest(registry: &Registry, folder: Option<&Path>) -> Guest {
    let folder = folder.map(|path| format!(", {path:?}")).unwrap_or_default();
    let text = GRANT.replace("FOLDER", &folder);
    let grants = Grants::from_toml_str(&text, Path::new("/"));
    let grant = grants.unwrap_or_else(|error| panic!("the grant does not load: {error}"));
    registry.guest(grant.component("bench"), "")
}

/// A request for `/bin/true` whose streams are the null device, as the baseline's.
pub(crate) fn nothing() -> Command {
    Command {
        stdout: Stdio::Null,
        stderr: Stdio::Null,
        ..Command::new("true")
    }
}

pub(crate) fn spawn_and_wait(guest: &Guest, command: &Command) -> Child {
    let child = guest.spawn(command).unwrap_or_else(|e| panic!("{e}"));
    child.wait_blocking(None);
    child
}

/// Waits until the registry has cleaned up after all ended children, so that it does
/// not do so while the baseline is measured.
pub(crate) fn settle(registry: &Registry, entries: usize) {
    while registry.len() > entries {
        std::thread::yield_now();
    }
}

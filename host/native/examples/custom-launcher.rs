//! A launcher of one's own: it logs each launch and leaves the rest to the native
//! launcher.
//!
//! `cargo run -p capspawn-native --example custom-launcher`

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use capspawn_native::confinement::{Confinement, Enforcement};
use capspawn_native::grant::Grants;
use capspawn_native::launch::{ChildStdio, LaunchError, Launcher, Owner, Plan, Process, Scope};
use capspawn_native::sandbox::NativeLauncher;
use capspawn_native::{Command, Registry};

const GRANT: &str = r#"
version = 1

[[component.report.command]]
name = "kernel"
program = "/bin/uname"
args = ["-r"]
fs = { read = ["/bin", "/lib", "/lib64", "/usr"] }
"#;

#[derive(Debug, Default)]
struct Logging {
    native: NativeLauncher,
}

impl Launcher for Logging {
    fn enforcement(&self, confinement: &Confinement) -> Arc<Enforcement> {
        self.native.enforcement(confinement)
    }

    fn launch(
        &self,
        scope: Scope,
        plan: &Plan,
        stdio: ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError> {
        println!("{} {:?}", plan.program.path.display(), plan.argv);
        let process = self.native.launch(scope, plan, stdio)?;
        println!("process {}", process.pid());
        Ok(process)
    }

    fn reap_adopted(&self) -> bool {
        self.native.reap_adopted()
    }

    fn make_room(&self) -> bool {
        self.native.make_room()
    }

    fn open(&self, scope: Scope, owner: Owner<'_>) {
        self.native.open(scope, owner);
    }

    fn close(&self, scope: Scope) {
        self.native.close(scope);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let grants = Grants::from_toml_str(GRANT, Path::new("/"))?;
    let launcher = Arc::new(Logging::default());
    let registry = Registry::builder().launcher(launcher).build()?;
    let guest = registry.guest(grants.component("report"), "");

    let child = guest.spawn(&Command::new("kernel").arg("-r"))?;
    println!("{:?}", child.wait_blocking(None));
    Ok(())
}

#[test]
fn the_example_runs() {
    main().expect("it runs to its end");
}

//! temporary
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::process::GroupLeader;
use crate::error::{LaunchError, Stage};
use crate::launch::{ChildStdio, Launcher, Plan, Process};
use crate::sandbox::{Confinement, Enforcement};

/// temp
#[derive(Debug, Default)]
pub struct NativeLauncher {}

impl NativeLauncher {
    /// temp
    pub fn new() -> Self {
        Self {}
    }
}

impl Launcher for NativeLauncher {
    fn enforcement(&self, confinement: &Confinement) -> Enforcement {
        Enforcement::none(confinement, "not built yet", "write sandbox = \"none\"")
    }

    fn launch(&self, plan: &Plan, stdio: ChildStdio) -> Result<Box<dyn Process>, LaunchError> {
        let child = std::process::Command::new(&plan.program.path)
            .arg0(&plan.argv[0])
            .args(&plan.argv[1..])
            .env_clear()
            .envs(plan.env.iter().map(|(k, v)| (k, v)))
            .current_dir(format!("/proc/self/fd/{}", plan.cwd.dir.as_raw_fd()))
            .stdin(stdio.stdin)
            .stdout(stdio.stdout)
            .stderr(stdio.stderr)
            .process_group(0)
            .spawn()
            .map_err(|e| LaunchError::new(Stage::Exec, e))?;
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|e| LaunchError::new(Stage::Hold, e.into()))?;
        Ok(Box::new(GroupLeader::new(pid, pidfd)))
    }
}

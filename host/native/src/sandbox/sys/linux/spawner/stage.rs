//! The stage that a failed step is reported as.

use std::io;

use capspawn_raw::step::{Failure, Step};

use crate::launch::{LaunchError, Stage};

impl From<Step> for Stage {
    fn from(step: Step) -> Self {
        match step {
            Step::Signals => Self::Signals,
            Step::Announce => Self::Announce,
            Step::Setsid => Self::Setsid,
            Step::Stdio => Self::Stdio,
            Step::Descriptors => Self::Descriptors,
            Step::WorkingDirectory => Self::WorkingDirectory,
            Step::Limits => Self::Limits,
            Step::Identity => Self::Identity,
            Step::NoNewPrivileges | Step::Capabilities => Self::Privileges,
            Step::Landlock => Self::Ruleset,
            Step::Seccomp => Self::Filter,
            Step::Exec => Self::Exec,
            Step::Namespaces => Self::Namespaces,
            Step::Root => Self::Root,
            Step::Cgroup => Self::Cgroup,
            Step::Request => Self::Request,
        }
    }
}

impl From<Failure> for LaunchError {
    fn from((step, errno): Failure) -> Self {
        Self::new(step.into(), io::Error::from_raw_os_error(errno))
    }
}

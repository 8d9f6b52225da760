//! The records of a report, from the plans that were launched and the events of the registry.

use std::fmt;
use std::sync::Arc;

use capspawn_native::confinement::{Confinement, Enforcement};
use capspawn_native::escape::quoted;
use capspawn_native::launch::{ChildStdio, LaunchError, Launcher, Owner, Plan, Process, Scope};
use capspawn_native::{Event, EventKind, ExitStatus};
use parking_lot::Mutex;

use crate::scripted::Call;

/// A child that was started.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ChildReport {
    /// What was launched: command, argument vector, names of variables, directory.
    pub call: Call,
    /// How it ended; none if it is not known, which a report of a run that has ended does not have.
    pub status: Option<ExitStatus>,
    /// Bytes of standard output.
    pub stdout_bytes: u64,
    /// The part of these bytes that was neither kept nor read by the guest.
    pub stdout_dropped: u64,
    /// Bytes of standard error.
    pub stderr_bytes: u64,
    /// The part of these bytes that was neither kept nor read by the guest.
    pub stderr_dropped: u64,
    /// How long it ran, in seconds.
    pub seconds: f64,
    /// Its number in the registry.
    id: u64,
}

impl ChildReport {
    /// Takes what only the script knows. The registry counts what the guest has read of a pipe until the child's end, so its
    /// figures depend on the guest's speed.
    pub(crate) fn complete(&mut self, calls: &[Call]) {
        if let Some(call) = calls.iter().find(|call| call.pid == self.call.pid) {
            self.call = call.clone();
            self.stdout_bytes = self.stdout_bytes.max(call.stdout_bytes);
            self.stderr_bytes = self.stderr_bytes.max(call.stderr_bytes);
        }
    }

    /// Returns the command line: the command's name in the grant, and the arguments.
    pub fn command_line(&self) -> String {
        let args = self.call.args().iter().map(|arg| arg.to_string_lossy());
        command_line(&self.call.command, args)
    }

    /// Returns the command line, and how it ended.
    pub fn ending(&self) -> String {
        let line = self.command_line();
        match self.status {
            Some(status) => format!("{line}: {status}"),
            None => line,
        }
    }
}

impl fmt::Display for ChildReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stdout, stderr) = (self.stdout_bytes, self.stderr_bytes);
        write!(
            f,
            "{} ({stdout} bytes out, {stderr} bytes err",
            self.ending()
        )?;
        let dropped = self.stdout_dropped + self.stderr_dropped;
        if dropped > 0 {
            write!(f, ", {dropped} bytes dropped")?;
        }
        f.write_str(")")
    }
}

/// A request that was refused by the grant, the approver or the veto.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Denied {
    /// The command's name, as the guest asked for it.
    pub command: String,
    /// The arguments, as the guest asked for them.
    pub args: Vec<String>,
    /// Who refused it: `grant`, `approver` or `veto`.
    pub by: &'static str,
    /// What was refused, as `argument`.
    pub item: String,
    /// Why.
    pub reason: String,
    /// The command whose rule came nearest.
    pub nearest: Option<String>,
    /// The line of the grant that would allow it.
    pub would_allow: Option<String>,
}

impl Denied {
    /// Returns the command line, and what was refused.
    pub fn line(&self) -> String {
        format!("{}: {}", command_line(&self.command, &self.args), self.item)
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, by the {}: {}", self.line(), self.by, self.reason)
    }
}

/// A request that a quota refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaRefusal {
    /// The command's name, as the guest asked for it.
    pub command: String,
    /// The arguments, as the guest asked for them.
    pub args: Vec<String>,
    /// The quota, as `live children`.
    pub quota: String,
    /// Where its limit is set.
    pub setting: &'static str,
}

impl QuotaRefusal {
    /// Returns the command line, and the quota.
    pub fn line(&self) -> String {
        format!(
            "{}: {}",
            command_line(&self.command, &self.args),
            self.quota
        )
    }
}

impl fmt::Display for QuotaRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.line(), self.setting)
    }
}

/// A request that was allowed, and whose launch failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedLaunch {
    /// The command's name, as the guest asked for it.
    pub command: String,
    /// The arguments, as the guest asked for them.
    pub args: Vec<String>,
    /// Why.
    pub reason: String,
}

impl fmt::Display for FailedLaunch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}",
            command_line(&self.command, &self.args),
            self.reason
        )
    }
}

/// Returns a command as it would be typed: what could be read as several words is quoted.
fn command_line(command: &str, args: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut line = command.to_owned();
    for arg in args {
        let arg = arg.as_ref();
        line.push(' ');
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.,:+@%~^".contains(c);
        if !arg.is_empty() && arg.chars().all(is_plain) {
            line.push_str(arg);
        } else {
            line.push_str(&quoted(arg).to_string());
        }
    }
    line
}

/// Watches a launcher and the events of a registry.
#[derive(Debug)]
pub(crate) struct Recorder {
    launcher: Arc<dyn Launcher>,
    /// What was launched and has no event yet, by its process id.
    launched: Mutex<Vec<(u32, Call)>>,
    records: Mutex<Records>,
}

/// What has happened so far.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) children: Vec<ChildReport>,
    pub(crate) denials: Vec<Denied>,
    pub(crate) quota_refusals: Vec<QuotaRefusal>,
    pub(crate) failed_launches: Vec<FailedLaunch>,
    pub(crate) suppressed: u64,
    pub(crate) events: Vec<Event>,
}

impl Recorder {
    /// Returns a recorder of what `launcher` launches.
    pub(crate) fn new(launcher: Arc<dyn Launcher>) -> Self {
        Self {
            launcher,
            launched: Mutex::default(),
            records: Mutex::default(),
        }
    }

    /// Returns what has happened, and forgets it.
    pub(crate) fn take(&self) -> Records {
        std::mem::take(&mut *self.records.lock())
    }

    /// Adds an event of the registry.
    pub(crate) fn add(&self, event: &Event) {
        let mut records = self.records.lock();
        let (command, args) = (event.command.clone(), event.args.clone());
        match &event.kind {
            EventKind::Spawn { id, pid, .. } => {
                let mut launched = self.launched.lock();
                let at = launched.iter().position(|(other, _)| other == pid);
                if let Some((_, call)) = at.map(|at| launched.swap_remove(at)) {
                    records.children.push(ChildReport {
                        call,
                        status: None,
                        stdout_bytes: 0,
                        stdout_dropped: 0,
                        stderr_bytes: 0,
                        stderr_dropped: 0,
                        seconds: 0.0,
                        id: *id,
                    });
                }
            }
            EventKind::Exit {
                id,
                status,
                seconds,
                stdout_bytes,
                stdout_dropped,
                stderr_bytes,
                stderr_dropped,
                ..
            } => {
                let mut children = records.children.iter_mut();
                if let Some(child) = children.find(|child| child.id == *id) {
                    child.status = Some(*status);
                    child.seconds = *seconds;
                    child.stdout_bytes = *stdout_bytes;
                    child.stdout_dropped = *stdout_dropped;
                    child.stderr_bytes = *stderr_bytes;
                    child.stderr_dropped = *stderr_dropped;
                }
            }
            EventKind::Denied {
                by,
                item,
                reason,
                nearest,
                would_allow,
            } => records.denials.push(Denied {
                command,
                args,
                by,
                item: item.clone(),
                reason: reason.clone(),
                nearest: nearest.clone(),
                would_allow: would_allow.clone(),
            }),
            EventKind::Quota { quota, setting, .. } => records.quota_refusals.push(QuotaRefusal {
                command,
                args,
                quota: quota.clone(),
                setting,
            }),
            EventKind::Failed { reason, .. } => records.failed_launches.push(FailedLaunch {
                command,
                args,
                reason: reason.clone(),
            }),
            EventKind::Suppressed { count, .. } => records.suppressed += count,
            _ => {}
        }
        records.events.push(event.clone());
    }
}

impl Launcher for Recorder {
    fn enforcement(&self, confinement: &Confinement) -> Arc<Enforcement> {
        self.launcher.enforcement(confinement)
    }

    fn launch(
        &self,
        scope: Scope,
        plan: &Plan,
        stdio: ChildStdio,
    ) -> Result<Box<dyn Process>, LaunchError> {
        let process = self.launcher.launch(scope, plan, stdio)?;
        let mut call = Call::new(plan);
        call.pid = Some(process.pid());
        self.launched.lock().push((process.pid(), call));
        Ok(process)
    }

    fn reap_adopted(&self) -> bool {
        self.launcher.reap_adopted()
    }

    fn make_room(&self) -> bool {
        self.launcher.make_room()
    }

    fn open(&self, scope: Scope, owner: Owner<'_>) {
        self.launcher.open(scope, owner);
    }

    fn close(&self, scope: Scope) {
        self.launcher.close(scope);
    }
}

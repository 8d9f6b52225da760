//! `capspawn run --why`: what was refused to a child that failed, with the line of the grant that would allow it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;

use capspawn::{Event, EventKind};
use capspawn_native::escape::quoted;
use capspawn_native::launch::{Access, Observation, Outcome, Subject};
use capspawn_native::{ExitStatus, KillReason};

/// The most lines about one child.
const MAX_LINES: usize = 40;

/// The refusals of children that are about to end.
#[derive(Debug, Default)]
pub(crate) struct Why {
    refused: Mutex<HashMap<u64, Vec<Observation>>>,
}

impl Why {
    /// Returns the lines about a child whose exit `event` reports, if it failed; `request` is how the child is named.
    pub(crate) fn lines(&self, event: &Event, request: &str) -> Vec<String> {
        let Ok(mut refused) = self.refused.lock() else {
            return Vec::new();
        };
        match &event.kind {
            EventKind::Observed { id, observations } => {
                let list = observations.iter().filter(|it| is_shown(it));
                refused.insert(*id, list.cloned().collect());
                Vec::new()
            }
            EventKind::Exit { id, status, .. } => {
                let list = refused.remove(id).unwrap_or_default();
                match status {
                    ExitStatus::Exited(0) => Vec::new(),
                    status => report(request, *status, list),
                }
            }
            _ => Vec::new(),
        }
    }
}

/// Whether a refusal is shown: not that of `/` itself, which programs list as their directory, and which nobody should grant.
fn is_shown(observation: &Observation) -> bool {
    let is_root = match &observation.subject {
        Subject::File { path, .. } => path.parent().is_none(),
        _ => false,
    };
    observation.outcome.is_refusal() && !is_root
}

fn report(request: &str, status: ExitStatus, mut list: Vec<Observation>) -> Vec<String> {
    let ended = match status {
        ExitStatus::Exited(code) => format!("exited with {code}"),
        ExitStatus::Killed(reason) => format!("was killed ({reason})"),
        ExitStatus::Signaled(signal) => format!("was ended by signal {signal}"),
    };
    if list.is_empty() {
        let unseen = match status {
            ExitStatus::Killed(KillReason::Requested | KillReason::Released) => "",
            _ => ": the confinement was not seen to refuse anything",
        };
        return vec![format!("{request} {ended}{unseen}")];
    }
    // Stable: within a rank in the order in which the child met them.
    list.sort_by_key(rank);
    // What programs do without is shown only where nothing else was refused.
    if list.first().is_some_and(|first| rank(first) < OPTIONAL) {
        list.retain(|it| rank(it) < OPTIONAL);
    }
    let left = list.len().saturating_sub(MAX_LINES);
    let mut lines = vec![format!(
        "{request} {ended}; refused to it, the likely cause first:"
    )];
    lines.extend(
        list.iter()
            .take(MAX_LINES)
            .map(|it| format!("  {}", line(it))),
    );
    if left > 0 {
        lines.push(format!("  and {left} more"));
    }
    lines
}

/// The rank of what programs read if it is there, and do without.
const OPTIONAL: u8 = 5;

/// How likely it is that a program fails for want of it; the likeliest first.
fn rank(observation: &Observation) -> u8 {
    match &observation.subject {
        Subject::Limit { .. } => 0,
        Subject::Call { name } if !is_tried(name) => 1,
        Subject::File { path, real, access } if is_optional(path) || is_optional(real) => {
            OPTIONAL + u8::from(*access == Access::Look)
        }
        // A file that was looked for and not opened: many programs look for what they can do without.
        Subject::File {
            access: Access::Look,
            ..
        } => 3,
        // The C library asks a cache of names, and does without.
        Subject::Connection { address } if address.contains("nscd") || address.contains("UNIX") => {
            4
        }
        Subject::Call { .. } => 4,
        // A link from what is shown to what is not: settings of the distribution.
        Subject::File { path, real, access } if path != real && !access.changes() => 4,
        _ => 2,
    }
}

/// Whether programs try a call and do without.
fn is_tried(call: &str) -> bool {
    [
        "io_uring_setup",
        "ioctl",
        "setpriority",
        "sched_setaffinity",
        "prlimit64",
        "fcntl",
    ]
    .contains(&call)
}

/// Whether programs read such a file if it is there, and do without.
fn is_optional(path: &Path) -> bool {
    const PLACES: [&str; 10] = [
        "/etc/locale.alias",
        "/proc",
        "/sys",
        "/dev",
        "/run",
        "/etc/ld.so.preload",
        "/etc/inputrc",
        "/etc/selinux",
        "/etc/localtime",
        "/var/cache",
    ];
    PLACES.iter().any(|place| path.starts_with(place))
}

/// Returns the line about one refusal, with the line of the grant that would allow it.
pub(crate) fn line(observation: &Observation) -> String {
    let hidden = observation.outcome == Outcome::Hidden;
    match &observation.subject {
        Subject::File { path, access, .. } if hidden => {
            format!("{access} {}: `fs.deny` hides it", quoted(path))
        }
        Subject::File { path, access, .. } => {
            format!(
                "{access} {}: {} would allow it",
                quoted(path),
                fs_line(path, *access)
            )
        }
        Subject::Connection { address } => {
            let is_local = address.starts_with("127.") || address.starts_with("[::1]");
            let other = if is_local {
                ", or `network = \"loopback\"` for what other children listen on,"
            } else {
                ""
            };
            let verb = if address.contains(' ') {
                "use"
            } else {
                "connect to"
            };
            format!("{verb} {address}: `network = \"host\"`{other} would allow it")
        }
        Subject::Call { name } => {
            format!("the system call {name}: no key allows it to a confined program")
        }
        Subject::Limit { key, value } => {
            let (table, name) = key.split_once('.').unwrap_or(("limits", key));
            format!(
                "more than {key} = {value}: a larger value in `{table} = {{ {name} = ... }}` would allow it"
            )
        }
        _ => String::new(),
    }
}

/// Returns the key of the grant that shows `path`. A file that a program creates or removes needs its directory.
fn fs_line(path: &Path, access: Access) -> String {
    let (key, root) = match access {
        Access::Create | Access::Remove => ("write", path.parent().unwrap_or(path)),
        Access::Write => ("write", path),
        Access::Look | Access::Read | Access::Execute => ("read", path),
    };
    format!("`fs = {{ {key} = [{}] }}`", quoted(root))
}

//! What the operator sees: every spawn, approval, denial, quota refusal, failure,
//! detach, attach and exit.
//!
//! Argument vectors are lists, never one joined string. Values of environment
//! variables and keys of detached children do not occur. The size of an event is
//! bounded, whatever the guest sent: of a long request it has the first part, the
//! length and a hash.

mod cut;
mod limit;

use std::sync::Arc;
use std::time::SystemTime;

use serde::{Serialize, Serializer};

pub use self::cut::Cut;
use self::cut::{cut_args, cut_name};
pub use self::limit::ReachedLimit;
use crate::error::{Denial, Quota, SpawnError};
use crate::escape;
use crate::launch::{Observation, Request, TreeUsage};
use crate::shortage::Shortage;
use crate::status::ExitStatus;

/// One event; it serialises as one JSON object, see [`Event::to_json`].
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
    /// When, as seconds since the Unix epoch in JSON.
    #[serde(serialize_with = "epoch_seconds")]
    pub time: SystemTime,
    /// The component's section in the grant.
    #[serde(serialize_with = "text")]
    pub component: Arc<str>,
    /// The embedder's tenant; empty where there is only one.
    #[serde(serialize_with = "text")]
    pub tenant: Arc<str>,
    /// The guest's number in its registry ([`Guest::id`](crate::Guest::id)): the guest that sent the request, or that
    /// has the child now.
    pub guest: u64,
    /// The command's name, as the guest asked for it: its first 256 bytes.
    pub command: String,
    /// The `argv[0]` that the guest asked for, its first 256 bytes; none if it left it to the grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arg0: Option<String>,
    /// The arguments, as the guest asked for them: the first 1024 bytes of all together. If
    /// there are more, the last one here may be incomplete, and `args_cut` has the rest. What is not UTF-8 is
    /// replaced by U+FFFD.
    pub args: Vec<String>,
    /// The arguments that are not UTF-8 and that `args` shows whole: the place there, and the bytes. In JSON an object from place to hexadecimal digits.
    #[serde(serialize_with = "hex_bytes", skip_serializing_if = "Vec::is_empty")]
    pub raw_args: Vec<(usize, Vec<u8>)>,
    /// The whole name of the command, if `command` is a part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_cut: Option<Cut>,
    /// The whole `argv[0]`, if `arg0` is a part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arg0_cut: Option<Cut>,
    /// The whole argument vector, if `args` is a part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_cut: Option<Cut>,
}

impl Event {
    /// Returns an event that happens now, about no request: `component`, `tenant` and `guest` are whose it is.
    pub fn new(kind: EventKind, component: Arc<str>, tenant: Arc<str>, guest: u64) -> Self {
        Self {
            kind,
            time: SystemTime::now(),
            component,
            tenant,
            guest,
            command: String::new(),
            arg0: None,
            args: Vec::new(),
            raw_args: Vec::new(),
            command_cut: None,
            arg0_cut: None,
            args_cut: None,
        }
    }

    /// Returns the same event about `request`, of which it keeps a bounded part.
    #[must_use]
    pub fn about(mut self, request: &Request) -> Self {
        (self.command, self.command_cut) = cut_name(&request.program);
        if let Some(arg0) = &request.arg0 {
            let (shown, cut) = cut_name(arg0);
            (self.arg0, self.arg0_cut) = (Some(shown), cut);
        }
        (self.args, self.raw_args, self.args_cut) = cut_args(request);
        self
    }

    /// Returns the event as one line of JSON, without a line feed. Characters that would change how a terminal shows
    /// the line are escaped ([`escape::is_hidden`]); other serialisers of JSON leave most of them as they are.
    pub fn to_json(&self) -> String {
        // An event is plain data: no map in it has a key that is not a string.
        escape::json(self).unwrap_or_default()
    }
}

/// Writes a shared string. serde's own way needs its feature `rc`, which would rebuild serde, and with it wasmtime's
/// compiler, in a host that has built them without it.
fn text<S: serde::Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// The kinds of [`Event`], each with its own fields.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EventKind {
    /// A child was started.
    Spawn {
        /// Its number in the registry.
        id: u64,
        /// Its number among the children of its guest, which is all that the guest sees.
        number: u64,
        /// Its process id.
        pid: u32,
        /// How much of the demanded confinement is enforced.
        confinement: &'static str,
    },
    /// The approver allowed a request, which starts if the grant still allows it.
    Approved {
        /// For how long: `once`, `guest` (from now on for the same request of this guest), or `remembered` (an
        /// earlier answer for this guest).
        scope: &'static str,
    },
    /// The grant, the approver or the veto refused a request.
    Denied {
        /// Who: `grant`, `approver` or `veto`.
        by: &'static str,
        /// What was refused.
        item: String,
        /// Why.
        reason: String,
        /// The command whose rule came nearest.
        #[serde(skip_serializing_if = "Option::is_none")]
        nearest: Option<String>,
        /// The line of the grant file that would allow it.
        #[serde(skip_serializing_if = "Option::is_none")]
        would_allow: Option<String>,
    },
    /// A quota refused a request.
    Quota {
        /// Which.
        quota: String,
        /// Where its limit is set: a key of the grant, or options of the host.
        setting: &'static str,
        /// What the host lacks, and what to do; none where it lacks nothing.
        #[serde(skip_serializing_if = "Option::is_none")]
        shortage: Option<String>,
    },
    /// A request was allowed, but its launch failed.
    Failed {
        /// Why.
        reason: String,
    },
    /// Events were counted and not reported one by one, because the owner had more of them than
    /// [`MAX_EVENTS_AT_ONCE`](crate::limits::MAX_EVENTS_AT_ONCE) and
    /// [`EVENTS_PER_SECOND`](crate::limits::EVENTS_PER_SECOND) allow.
    Suppressed {
        /// `refused` (requests), or `routine`: children detached and attached, and requests that an earlier answer
        /// approves. Each kind has a budget of its own, so that refusals hide nothing else.
        of: &'static str,
        /// How many since the last report.
        count: u64,
    },
    /// Events were not written to the place that the embedder writes them to. The registry itself loses none.
    Lost {
        /// How many since the last report.
        count: u64,
    },
    /// A child was left to the registry.
    Detached {
        /// Its number in the registry.
        id: u64,
        /// How long it may run from now on, in seconds, unless a guest attaches to it.
        max_life_seconds: f64,
    },
    /// A guest attached to a detached child.
    Attached {
        /// Its number in the registry.
        id: u64,
        /// Its number among the children of the guest that attached.
        number: u64,
    },
    /// A child of a launcher that observes is about to end; its `exit` event follows.
    Observed {
        /// Its number in the registry.
        id: u64,
        /// What its tree used, or what was refused to it, in order and once each.
        observations: Vec<Observation>,
    },
    /// A child ended.
    Exit {
        /// Its number in the registry.
        id: u64,
        /// How it ended.
        #[serde(serialize_with = "exit_status")]
        status: ExitStatus,
        /// The signal that ended it, by its number, whoever sent it.
        #[serde(skip_serializing_if = "Option::is_none")]
        signal: Option<u8>,
        /// How long it ran, in seconds.
        seconds: f64,
        /// Bytes of standard output.
        stdout_bytes: u64,
        /// The part of these bytes that was neither kept nor read by the guest.
        stdout_dropped: u64,
        /// Bytes of standard error.
        stderr_bytes: u64,
        /// The part of these bytes that was neither kept nor read by the guest.
        stderr_dropped: u64,
        /// What its tree used, as far as it was measured.
        #[serde(serialize_with = "tree_usage")]
        usage: TreeUsage,
        /// How much of the demanded confinement was enforced.
        confinement: &'static str,
        /// The limit of the grant that ended it.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<ReachedLimit>,
        /// Why the launcher has ended the child, or lost its status, and what to do; none
        /// where the status says it all.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

impl EventKind {
    /// Returns the event about a request that started nothing.
    pub(crate) fn refused(error: &SpawnError) -> Self {
        match error {
            SpawnError::Denied(denial) => Self::denied(denial),
            SpawnError::Quota(quota) => Self::quota(*quota, None),
            SpawnError::Shortage(shortage) => Self::quota(Quota::HostCapacity, Some(*shortage)),
            other => Self::Failed {
                reason: other.to_string(),
            },
        }
    }

    fn denied(denial: &Denial) -> Self {
        Self::Denied {
            by: denial.by.name(),
            item: denial.item.to_string(),
            reason: denial.reason.clone(),
            nearest: denial.nearest.clone(),
            would_allow: denial.would_allow.clone(),
        }
    }

    fn quota(quota: Quota, shortage: Option<Shortage>) -> Self {
        Self::Quota {
            quota: quota.to_string(),
            setting: quota.setting(),
            shortage: shortage.map(|shortage| shortage.to_string()),
        }
    }
}

fn epoch_seconds<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    serializer.serialize_f64(since.as_secs_f64())
}

fn hex_bytes<S: Serializer>(args: &[(usize, Vec<u8>)], serializer: S) -> Result<S::Ok, S::Error> {
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    serializer.collect_map(args.iter().map(|(place, bytes)| (place, hex(bytes))))
}

fn exit_status<S: Serializer>(status: &ExitStatus, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;

    let mut map = serializer.serialize_map(Some(1))?;
    match status {
        ExitStatus::Exited(code) => map.serialize_entry("exited", code)?,
        ExitStatus::Signaled(signal) => map.serialize_entry("signaled", signal)?,
        ExitStatus::Killed(reason) => map.serialize_entry("killed", &reason.to_string())?,
    }
    map.end()
}

/// Writes what was measured; what was not has no key.
fn tree_usage<S: Serializer>(usage: &TreeUsage, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;

    let mut map = serializer.serialize_map(None)?;
    if let Some(bytes) = usage.peak_memory_bytes {
        map.serialize_entry("peak_memory_bytes", &bytes)?;
    }
    if let Some(cpu) = usage.cpu {
        map.serialize_entry("cpu_seconds", &cpu.as_secs_f64())?;
    }
    if let Some(tasks) = usage.peak_tasks {
        map.serialize_entry("peak_tasks", &tasks)?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::Limits;
    use crate::status::KillReason;

    fn request(program: &str, args: Vec<String>) -> Request {
        Request {
            program: program.to_owned(),
            args,
            ..Request::default()
        }
    }

    #[test]
    fn an_exit_reads_as_documented() {
        let event = Event {
            kind: EventKind::Exit {
                id: 7,
                status: ExitStatus::Killed(KillReason::Timeout),
                signal: Some(9),
                seconds: 1.5,
                stdout_bytes: 10,
                stdout_dropped: 3,
                stderr_bytes: 0,
                stderr_dropped: 0,
                usage: TreeUsage {
                    peak_memory_bytes: None,
                    cpu: Some(Duration::from_millis(1250)),
                    peak_tasks: Some(2),
                },
                confinement: "none",
                limit: ReachedLimit::of(KillReason::Timeout, &Limits::default()),
                reason: None,
            },
            time: SystemTime::UNIX_EPOCH,
            ..Event::new(EventKind::Lost { count: 0 }, "c".into(), "t".into(), 3)
        };
        let event = event.about(&request("sleep", vec!["30".into()]));
        let json = serde_json::to_value(&event).expect("an event is plain data");
        assert_eq!(json["event"], "exit");
        assert_eq!(json["status"]["killed"], "timeout");
        assert_eq!(
            json["limit"],
            serde_json::json!({ "key": "limits.wall", "value": "30s" })
        );
        assert_eq!(json["signal"], 9);
        assert_eq!(json["stdout_dropped"], 3);
        assert_eq!(json["args"][0], "30");
        assert_eq!((&json["tenant"], &json["guest"]), (&"t".into(), &3.into()));
        assert!(json.get("args_cut").is_none());
        let measured = serde_json::json!({ "cpu_seconds": 1.25, "peak_tasks": 2 });
        assert_eq!(json["usage"], measured);
        assert!(json.get("reason").is_none());
    }

    #[test]
    fn the_line_of_an_event_is_bounded_and_shows_no_hidden_character() {
        let args = vec!["\u{202e}\u{9b}\x1b\u{2028}".repeat(100_000); 4];
        let event = Event::new(EventKind::Lost { count: 1 }, "c\n".into(), "".into(), 1);
        let line = event
            .about(&request(&"\u{7f}".repeat(1 << 20), args))
            .to_json();
        assert!(line.len() < 16 * 1024, "{}", line.len());
        assert!(
            line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{line}"
        );
        let json: serde_json::Value = serde_json::from_str(&line).expect("it is JSON");
        assert_eq!(json["args_cut"]["count"], 4);
        assert_eq!(json["command_cut"]["bytes"], 1 << 20);
    }
}

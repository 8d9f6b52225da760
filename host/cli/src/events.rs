//! What the operator sees of a run: a file of events, and a note on standard error
//! about the first refusal.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use capspawn::{Event, EventKind};

use crate::output::{note, quoted};

/// The receiver of the registry's events, which arrive on its threads.
#[derive(Debug)]
pub(crate) struct Events {
    file: Option<Mutex<File>>,
    /// Whether a failed write has been reported.
    has_failed: AtomicBool,
    /// Whether a refusal has been reported.
    has_refused: AtomicBool,
    has_grants: bool,
}

impl Events {
    /// Opens `file` for appending. `has_grants` is whether the run has a grant file.
    pub(crate) fn new(file: Option<&Path>, has_grants: bool) -> Result<Self> {
        let open = |path: &Path| {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.with_context(|| format!("cannot write events to {}", path.display()))
        };
        Ok(Self {
            file: file.map(open).transpose()?.map(Mutex::new),
            has_failed: AtomicBool::new(false),
            has_refused: AtomicBool::new(false),
            has_grants,
        })
    }

    /// Writes one event to the file, and a note if it is the first refusal.
    pub(crate) fn record(&self, event: &Event) {
        if let Some(file) = &self.file {
            // One write for each line, so that other writers of the file do not split it.
            let written = serde_json::to_vec(event)
                .map_err(Into::into)
                .and_then(|mut line| {
                    line.push(b'\n');
                    let mut file = file
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    file.write_all(&line)
                });
            if let Err(error) = written
                && !self.has_failed.swap(true, Ordering::Relaxed)
            {
                note(&format!("cannot write to the file of --events: {error}"));
            }
        }
        if let Some(reason) = refusal(event, self.has_grants)
            && !self.has_refused.swap(true, Ordering::Relaxed)
        {
            note(&reason);
        }
    }
}

/// How the registry's reason begins if this host cannot enforce the confinement.
const NO_SANDBOX: &str = "the sandbox that the grant requires is unavailable";

/// Returns the note about a refusal: one line, and a second one if there is something
/// to do next.
fn refusal(event: &Event, has_grants: bool) -> Option<String> {
    let (verb, reason, next) = match &event.kind {
        EventKind::Denied {
            item,
            reason,
            would_allow,
            ..
        } => {
            let next = would_allow.as_ref();
            (
                format!("denied ({item})"),
                reason.clone(),
                next.map(|line| format!("the grant would allow it with: {line}")),
            )
        }
        EventKind::Quota {
            quota,
            setting,
            shortage,
        } => (
            "refused".to_owned(),
            match shortage {
                Some(_) => format!("quota {quota}"),
                None => format!("quota {quota} ({setting})"),
            },
            shortage.clone(),
        ),
        EventKind::Failed { reason } => {
            let doctor = "run `capspawn doctor` to see what this host lacks";
            let next = reason.starts_with(NO_SANDBOX).then(|| doctor.to_owned());
            ("not started".to_owned(), reason.clone(), next)
        }
        _ => return None,
    };
    let mut text = format!("{} {} {verb}: {reason}", event.component, request(event));
    if !has_grants {
        text.push_str("; no --grants FILE was given, so every request is denied");
    }
    if let Some(next) = next {
        text.push_str("\ncapspawn: ");
        text.push_str(&next);
    }
    Some(text)
}

/// Returns the request as a quoted list, since the guest chose its strings.
fn request(event: &Event) -> String {
    let request: Vec<_> = std::iter::once(&event.command).chain(&event.args).collect();
    quoted(request)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use capspawn_native::SpawnError;
    use capspawn_native::sandbox::{Confinement, Enforcement};

    use super::*;

    fn note(kind: EventKind, has_grants: bool) -> Option<String> {
        let event = Event {
            kind,
            time: SystemTime::UNIX_EPOCH,
            component: "exec".into(),
            command: "git".into(),
            arg0: None,
            args: vec!["push".into()],
            raw_args: Vec::new(),
        };
        refusal(&event, has_grants)
    }

    #[test]
    fn a_note_names_the_request_the_reason_and_what_to_do_next() {
        let denied = |would_allow: Option<&str>| EventKind::Denied {
            item: "argument".into(),
            reason: "no rule matches".into(),
            nearest: None,
            would_allow: would_allow.map(str::to_owned),
        };
        let first = r#"exec ["git", "push"] denied (argument): no rule matches"#;
        assert_eq!(note(denied(None), true).as_deref(), Some(first));
        let note_without_grants = note(denied(None), false).expect("a note");
        assert!(note_without_grants.contains("no --grants FILE was given"));
        let with_line = note(denied(Some("args = [\"push\"]")), true).expect("a note");
        let next = "\ncapspawn: the grant would allow it with: args = [\"push\"]";
        assert_eq!(with_line, format!("{first}{next}"));
    }

    #[test]
    fn a_missing_confinement_leads_to_doctor() {
        let report = Enforcement::none(&Confinement::default(), "a reason", "a hint");
        let error = SpawnError::SandboxUnavailable(Box::new(report));
        let failed = |reason: String| note(EventKind::Failed { reason }, true).expect("a note");
        assert!(failed(error.to_string()).contains("`capspawn doctor`"));
        assert!(!failed("out of memory".to_owned()).contains("doctor"));
    }
}

//! What the operator sees: a file of events, and a note on standard error when
//! something was refused.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use capspawn::{Event, EventKind};

use crate::ask::quoted;

/// Where events go. Called from the registry's threads.
#[derive(Debug)]
pub(crate) struct Events {
    file: Option<Mutex<File>>,
    denied: AtomicBool,
    failing: AtomicBool,
    grants_given: bool,
}

impl Events {
    /// Opens `file` for appending.
    pub(crate) fn new(file: Option<&Path>, grants_given: bool) -> Result<Self> {
        let open = |path: &Path| {
            let file = OpenOptions::new().create(true).append(true).open(path);
            file.with_context(|| format!("cannot write events to {}", path.display()))
        };
        Ok(Self {
            file: file.map(open).transpose()?.map(Mutex::new),
            denied: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            grants_given,
        })
    }

    /// Records one event, and says the first refusal aloud.
    pub(crate) fn record(&self, event: &Event) {
        if let Some(file) = &self.file {
            // One write a line: other writers of the file do not cut it in two.
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
                && !self.failing.swap(true, Ordering::Relaxed)
            {
                eprintln!("capspawn: events are being lost: {error}");
            }
        }
        if let Some(note) = note(event, self.grants_given)
            && !self.denied.swap(true, Ordering::Relaxed)
        {
            eprintln!("capspawn: {note}");
        }
    }
}

/// How the registry's word for a missing confinement begins, and what to write then.
const NO_SANDBOX: &str = "the sandbox that the grant requires is unavailable";
const LESS_CONFINED: &str = "sandbox = \"best-effort\" (it then runs with what this host enforces)";

/// Returns what to tell the operator of a refusal: one line, two with a remedy.
fn note(event: &Event, grants_given: bool) -> Option<String> {
    let (verb, reason, remedy) = match &event.kind {
        EventKind::Denied {
            item,
            reason,
            would_allow,
            ..
        } => (
            format!("denied ({item})"),
            reason.clone(),
            would_allow.as_deref(),
        ),
        EventKind::Quota { quota } => (String::from("refused"), format!("quota {quota}"), None),
        EventKind::Failed { reason } if reason.starts_with(NO_SANDBOX) => (
            String::from("not started"),
            reason.clone(),
            Some(LESS_CONFINED),
        ),
        EventKind::Failed { reason } => (String::from("not started"), reason.clone(), None),
        _ => return None,
    };
    let mut text = format!("{} {} {verb}: {reason}", event.component, request(event));
    if !grants_given {
        text.push_str("; no --grants FILE was given, so everything is denied");
    }
    if let Some(remedy) = remedy {
        text.push_str("\ncapspawn: this would allow it: ");
        text.push_str(remedy);
    }
    Some(text)
}

/// Returns the request as a list. The strings are the guest's.
fn request(event: &Event) -> String {
    let request: Vec<_> = std::iter::once(&event.command).chain(&event.args).collect();
    quoted(request)
}

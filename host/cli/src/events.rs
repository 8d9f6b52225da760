//! What the operator sees of a run: a file of events, and a note on standard error
//! about the first refusal.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use capspawn::{Event, EventKind};
use capspawn_native::escape::quoted_list;

use crate::event_file::EventFile;
use crate::output::note;
use crate::why::Why;

/// The receiver of the registry's events, which arrive on its threads.
#[derive(Debug)]
pub(crate) struct Events {
    file: Option<Mutex<EventFile>>,
    /// Whether a failed write has been reported.
    has_failed: AtomicBool,
    /// Whether a refusal has been reported.
    has_refused: AtomicBool,
    has_grants: bool,
    why: Option<Why>,
}

impl Events {
    /// Opens `file` for appending. `has_grants` is whether the run has a grant file.
    pub(crate) fn new(file: Option<&Path>, has_grants: bool) -> Result<Self> {
        let open = |path: &Path| {
            let file = EventFile::open(path);
            file.with_context(|| format!("cannot write events to {}", path.display()))
        };
        Ok(Self {
            file: file.map(open).transpose()?.map(Mutex::new),
            has_failed: AtomicBool::new(false),
            has_refused: AtomicBool::new(false),
            has_grants,
            why: None,
        })
    }

    /// Also notes what was refused to each child that fails, and every refusal of a request.
    pub(crate) fn with_why(mut self) -> Self {
        self.why = Some(Why::default());
        self
    }

    /// Writes one event to the file, and a note if it is the first refusal. It waits for no
    /// reader: an event that cannot be written now is lost and counted.
    pub(crate) fn record(&self, event: &Event) {
        if let Some(Err(error)) = self.file().map(|mut file| file.write(event))
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            note(&format!("cannot write to the file of --events: {error}"));
        }
        if let Some(lines) = refusal(event, self.has_grants)
            && (!self.has_refused.swap(true, Ordering::Relaxed) || self.why.is_some())
        {
            lines.iter().for_each(|line| note(line));
        }
        if let Some(why) = &self.why {
            let request = format!("{} {}", event.component, request(event));
            why.lines(event, &request)
                .iter()
                .for_each(|line| note(line));
        }
    }

    /// Writes what is left to write, and reports how many events were lost.
    pub(crate) fn finish(&self) {
        let lost = self.file().map_or(0, |mut file| file.finish());
        if lost > 0 {
            note(&format!(
                "{lost} events are missing in the file of --events"
            ));
        }
    }

    fn file(&self) -> Option<MutexGuard<'_, EventFile>> {
        let file = self.file.as_ref()?.lock();
        Some(file.unwrap_or_else(PoisonError::into_inner))
    }
}

/// How the registry's reason begins if this host cannot enforce the confinement.
const NO_SANDBOX: &str = "the sandbox that the grant requires is unavailable";

/// Returns the note about a refusal: one line, and a second one if there is something
/// to do next.
fn refusal(event: &Event, has_grants: bool) -> Option<Vec<String>> {
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
    let mut first = format!("{} {} {verb}: {reason}", event.component, request(event));
    if !has_grants {
        first.push_str("; no --grants FILE was given, so every request is denied");
    }
    Some(std::iter::once(first).chain(next).collect())
}

/// Returns the request as a quoted list, since the guest chose its strings.
fn request(event: &Event) -> String {
    let request: Vec<_> = std::iter::once(&event.command).chain(&event.args).collect();
    let mut text = quoted_list(&request).to_string();
    if let Some(cut) = &event.command_cut {
        text += &format!(", a name of {} bytes,", cut.bytes);
    }
    if let Some(cut) = &event.args_cut {
        text += &format!(
            " and more, {} arguments of {} bytes in all,",
            cut.count, cut.bytes
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use capspawn_native::SpawnError;
    use capspawn_native::launch::Request;
    use capspawn_native::sandbox::{Confinement, Enforcement};

    use super::*;

    fn note_on(args: &[&str], kind: EventKind, has_grants: bool) -> Option<String> {
        let request = Request {
            program: "git".to_owned(),
            args: args.iter().map(ToString::to_string).collect(),
            ..Request::default()
        };
        let event = Event::new(kind, "exec".into(), "".into(), 1).about(&request);
        Some(refusal(&event, has_grants)?.join("\n"))
    }

    fn note(kind: EventKind, has_grants: bool) -> Option<String> {
        note_on(&["push"], kind, has_grants)
    }

    fn denied(would_allow: Option<&str>) -> EventKind {
        EventKind::Denied {
            by: "grant",
            item: "argument".into(),
            reason: "no rule matches".into(),
            nearest: None,
            would_allow: would_allow.map(str::to_owned),
        }
    }

    #[test]
    fn a_note_names_the_request_the_reason_and_what_to_do_next() {
        let first = r#"exec ["git", "push"] denied (argument): no rule matches"#;
        assert_eq!(note(denied(None), true).as_deref(), Some(first));
        let note_without_grants = note(denied(None), false).expect("a note");
        assert!(note_without_grants.contains("no --grants FILE was given"));
        let with_line = note(denied(Some("args = [\"push\"]")), true).expect("a note");
        let next = "\nthe grant would allow it with: args = [\"push\"]";
        assert_eq!(with_line, format!("{first}{next}"));
    }

    #[test]
    fn a_note_on_a_long_request_is_short_and_gives_its_length() {
        let long = "x".repeat(1 << 20);
        let text = note_on(&[&long, "y"], denied(None), true).expect("a note");
        assert!(text.len() < 2048, "{}", text.len());
        assert!(
            text.contains("2 arguments of 1048577 bytes in all"),
            "{text}"
        );
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

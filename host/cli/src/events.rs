//! What the operator sees of a run: a file of events, a note on standard error about each
//! refusal and each child that the host killed, and a summary.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use capspawn::{Event, EventKind, ExitStatus, KillReason};
use capspawn_native::escape::quoted_list;

use crate::ask::NO_TERMINAL;
use crate::event_file::EventFile;
use crate::output::note;
use crate::summary::Summary;

/// The most different refusals that are printed. Those of one request that a component repeats are printed once.
const MAX_NOTES: usize = 256;
use crate::why::Why;

/// The receiver of the registry's events, which arrive on its threads.
#[derive(Debug)]
pub(crate) struct Events {
    file: Option<Mutex<EventFile>>,
    /// Whether a failed write has been reported.
    has_failed: AtomicBool,
    notes: Mutex<Notes>,
    /// None without `--summary`.
    summary: Option<Mutex<Summary>>,
    has_grants: bool,
    why: Option<Why>,
}

/// The notes that were printed.
#[derive(Debug, Default)]
struct Notes {
    printed: BTreeSet<Vec<String>>,
    /// Refusals that were not printed: the same as an earlier one, or too many.
    others: u64,
}

impl Events {
    /// Opens `file` for appending. `has_grants` is whether the run has a grant file, and `has_summary` whether it
    /// prints a table at its end.
    pub(crate) fn new(file: Option<&Path>, has_grants: bool, has_summary: bool) -> Result<Self> {
        let open = |path: &Path| {
            let file = EventFile::open(path);
            file.with_context(|| format!("cannot write events to {}", path.display()))
        };
        Ok(Self {
            file: file.map(open).transpose()?.map(Mutex::new),
            has_failed: AtomicBool::new(false),
            notes: Mutex::default(),
            summary: has_summary.then(Mutex::default),
            has_grants,
            why: None,
        })
    }

    /// Also notes what was refused to each child that fails.
    pub(crate) fn with_why(mut self) -> Self {
        self.why = Some(Why::default());
        self
    }

    /// Writes one event to the file, and a note if it is a refusal or the end of a child that the host killed. It
    /// waits for no reader: an event that cannot be written now is lost and counted.
    pub(crate) fn record(&self, event: &Event) {
        if let Some(Err(error)) = self.file().map(|mut file| file.write(event))
            && !self.has_failed.swap(true, Ordering::Relaxed)
        {
            note(&format!("cannot write to the file of --events: {error}"));
        }
        if let Some(summary) = &self.summary {
            lock(summary).add(event);
        }
        if let Some(line) = killed(event) {
            note(&line);
        }
        if let Some(why) = &self.why {
            let request = format!("{} {}", event.component, request(event));
            why.lines(event, &request)
                .iter()
                .for_each(|line| note(line));
        }
        let mut notes = lock(&self.notes);
        if let EventKind::Suppressed {
            of: "refused",
            count,
        } = &event.kind
        {
            notes.others += count;
        }
        let Some(lines) = refusal(event, self.has_grants) else {
            return;
        };
        if notes.printed.len() < MAX_NOTES && notes.printed.insert(lines.clone()) {
            lines.iter().for_each(|line| note(line));
        } else {
            notes.others += 1;
        }
    }

    /// Writes what is left to write, and reports how many refusals were not printed, and how many events were lost.
    pub(crate) fn finish(&self) {
        let others = lock(&self.notes).others;
        if others > 0 {
            note(&format!(
                "{others} more requests were refused, most of them as above: --events FILE records them"
            ));
        }
        if let Some(summary) = &self.summary {
            lock(summary).lines().iter().for_each(|line| note(line));
        }
        let lost = self.file().map_or(0, |mut file| file.finish());
        if lost > 0 {
            note(&format!(
                "{lost} events are missing in the file of --events"
            ));
        }
    }

    fn file(&self) -> Option<MutexGuard<'_, EventFile>> {
        self.file.as_ref().map(lock)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the note about a child that the host killed: the key that was reached, and its value.
fn killed(event: &Event) -> Option<String> {
    let EventKind::Exit {
        status: ExitStatus::Killed(reason),
        seconds,
        limit,
        reason: detail,
        ..
    } = &event.kind
    else {
        return None;
    };
    let request = request(event);
    let what = match (reason, limit, detail) {
        (KillReason::Timeout, Some(limit), _) => format!(
            "its time was up ({} = {:?}, unless the component set a shorter time)",
            limit.key, limit.value
        ),
        (_, Some(limit), _) => format!("it reached {} = {:?}", limit.key, limit.value),
        (KillReason::Lifetime, ..) => "nobody attached to it within detach.max-life".to_owned(),
        (KillReason::Host, _, Some(detail)) => detail.clone(),
        // The component's own kills, and the end of the run.
        _ => return None,
    };
    Some(format!(
        "{} {request} killed after {seconds:.1} s: {what}",
        event.component
    ))
}

/// The registry's reason if there is no approver.
const NO_APPROVER: &str = "there is no approver";

/// How the registry's reason begins if this host cannot enforce the confinement.
const NO_SANDBOX: &str = "the sandbox that the grant requires is unavailable";

/// Returns the note about a refusal: one line, and a second one if there is something
/// to do next.
fn refusal(event: &Event, has_grants: bool) -> Option<Vec<String>> {
    let (verb, reason, next) = match &event.kind {
        EventKind::Denied {
            by,
            item,
            reason,
            would_allow,
            ..
        } => {
            let line = would_allow.as_ref();
            let line = line.map(|line| format!("the grant would allow it with: {line}"));
            let ask = (*by == "approver").then(|| approval(reason)).flatten();
            (format!("denied ({item})"), reason.clone(), line.or(ask))
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

/// Returns what to do about a request that nobody could approve.
fn approval(reason: &str) -> Option<String> {
    if reason.contains(NO_APPROVER) {
        return Some("run with --ask to decide about it on the terminal".to_owned());
    }
    reason.contains(NO_TERMINAL).then(|| {
        "run capspawn from a terminal (in a container with `-it`, over SSH with `-t`) to answer, or let the grant decide: \
         decision = \"allow\" or \"deny\""
            .to_owned()
    })
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
    use capspawn_native::launch::{Request, TreeUsage};
    use capspawn_native::sandbox::{Confinement, Enforcement};
    use capspawn_native::{ReachedLimit, SpawnError};

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
    fn a_denial_for_want_of_an_approver_names_the_option() {
        let by_approver = |reason: &str| {
            let kind = EventKind::Denied {
                by: "approver",
                item: "approval".into(),
                reason: reason.into(),
                nearest: None,
                would_allow: None,
            };
            note(kind, true).expect("a note")
        };
        assert!(by_approver("it needs approval and there is no approver").contains("--ask"));
        let no_terminal = by_approver(&format!("{NO_TERMINAL} (/dev/tty): No such device"));
        assert!(no_terminal.contains("from a terminal"), "{no_terminal}");
        assert!(!by_approver("the answer on the terminal was no").contains('\n'));
    }

    fn exit(reason: KillReason, limit: Option<ReachedLimit>) -> Event {
        let kind = EventKind::Exit {
            id: 1,
            status: ExitStatus::Killed(reason),
            signal: Some(9),
            seconds: 1.25,
            stdout_bytes: 0,
            stdout_dropped: 0,
            stderr_bytes: 0,
            stderr_dropped: 0,
            usage: TreeUsage::default(),
            confinement: "enforced",
            limit,
            reason: None,
        };
        Event::new(kind, "exec".into(), "".into(), 1)
    }

    #[test]
    fn a_kill_by_the_host_names_the_key_and_its_value() {
        let limit = |key, value: &str| {
            Some(ReachedLimit {
                key,
                value: value.to_owned(),
            })
        };
        let line =
            killed(&exit(KillReason::Memory, limit("limits.memory", "64MiB"))).expect("a note");
        assert!(
            line.ends_with("killed after 1.2 s: it reached limits.memory = \"64MiB\""),
            "{line}"
        );
        let line = killed(&exit(KillReason::Timeout, limit("limits.wall", "30s"))).expect("a note");
        assert!(line.contains("limits.wall = \"30s\""), "{line}");
        for by_the_component in [KillReason::Requested, KillReason::Released] {
            assert_eq!(killed(&exit(by_the_component, None)), None);
        }
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

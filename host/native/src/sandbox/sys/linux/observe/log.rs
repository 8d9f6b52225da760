//! What was observed of one child: in order, once each, and bounded.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::child_limits;
use super::judge::judge;
use super::view::View;
use crate::launch::{Access, Observation, Observer, Outcome, Subject};
use crate::status::KillReason;

/// The most observations of a child of which everything is recorded: a build of 200 crates has 30,000.
const MAX_EVERYTHING: usize = 100_000;
/// The most refusals that are recorded.
const MAX_REFUSALS: usize = 1000;

/// The observations of one child.
#[derive(Debug)]
pub(crate) struct Log {
    observer: Observer,
    pub(super) view: View,
    seen: Mutex<Seen>,
    /// The most address space of a process, in bytes, as far as it was seen.
    memory: AtomicU64,
}

#[derive(Debug, Default)]
struct Seen {
    observations: Vec<Observation>,
    others: HashSet<Subject>,
    paths: HashSet<(PathBuf, Access, bool)>,
    created: HashSet<PathBuf>,
}

impl Log {
    pub(super) fn new(observer: Observer, view: View) -> Self {
        Self {
            observer,
            view,
            seen: Mutex::default(),
            memory: AtomicU64::new(0),
        }
    }

    /// Returns the observations so far, and those that can be made only at the end: `killed` is why the leader was killed.
    pub(crate) fn finished(&self, killed: Option<KillReason>) -> Vec<Observation> {
        let mut observations = self.seen.lock().observations.clone();
        let limit = killed.and_then(|reason| child_limits::of(reason, &self.view.limits));
        let limit = limit.or_else(|| self.full_file());
        let refused = |subject| Observation {
            subject,
            outcome: Outcome::Refused,
        };
        observations.extend(limit.map(refused));
        let memory = self.memory.load(Ordering::Relaxed);
        if self.observer == Observer::Everything && memory > 0 {
            let subject = Subject::Limit {
                key: "limits.memory",
                value: format!("{memory}B"),
            };
            let outcome = Outcome::Permitted;
            observations.push(Observation { subject, outcome });
        }
        observations
    }

    /// Notes how much address space a process has.
    pub(super) fn note_memory(&self, bytes: u64) {
        self.memory.fetch_max(bytes, Ordering::Relaxed);
    }

    /// Notes that the child used something that is no path.
    pub(super) fn note(&self, subject: Subject, outcome: Outcome) {
        let mut seen = self.seen.lock();
        if self.observer == Observer::Refusals && !outcome.is_refusal() {
            return;
        }
        if seen.observations.len() < self.capacity() && seen.others.insert(subject.clone()) {
            seen.observations.push(Observation { subject, outcome });
        }
    }

    /// Notes that the child used `path`, which is absolute.
    pub(super) fn note_path(&self, path: &Path, access: Access, follows: bool) {
        let key = (path.to_owned(), access, follows);
        let mut seen = self.seen.lock();
        if seen.paths.len() >= MAX_EVERYTHING || !seen.paths.insert(key) {
            return;
        }
        let is_created = |path: &Path| path.ancestors().any(|it| seen.created.contains(it));
        let judged = judge(&self.view, path, access, follows, is_created);
        if access == Access::Create && !judged.outcome.is_refusal() {
            seen.created.insert(judged.real.clone());
        }
        if self.observer == Observer::Refusals && !judged.outcome.is_refusal() {
            return;
        }
        if seen.observations.len() >= self.capacity() {
            return;
        }
        // What is missing is the link: the file that it leads to is granted.
        let (path, real, access) = match judged.link {
            Some(link) => (link.clone(), link, Access::Look),
            None => (plain(path, &judged.real), judged.real, access),
        };
        let subject = Subject::File { path, real, access };
        if seen.others.insert(subject.clone()) {
            let outcome = judged.outcome;
            seen.observations.push(Observation { subject, outcome });
        }
    }

    /// Returns the limit on the size of files, if one that the child wrote has that size.
    fn full_file(&self) -> Option<Subject> {
        let limit = self.view.limits.file_size_bytes?;
        let seen = self.seen.lock();
        let wrote = |(_, access, _): &&(PathBuf, Access, bool)| {
            matches!(access, Access::Write | Access::Create)
        };
        let mut written = seen.paths.iter().filter(wrote);
        let is_full = |path: &Path| {
            path.symlink_metadata()
                .is_ok_and(|file| file.is_file() && file.len() >= limit)
        };
        let is_any = written.any(|(path, ..)| is_full(path));
        is_any.then(|| child_limits::of(KillReason::FileSize, &self.view.limits))?
    }

    fn capacity(&self) -> usize {
        match self.observer {
            Observer::Refusals => MAX_REFUSALS,
            Observer::Everything => MAX_EVERYTHING,
        }
    }
}

/// Returns `path` without `.`; one with `..` as it was resolved, since links decide what that means.
fn plain(path: &Path, real: &Path) -> PathBuf {
    match path.components().any(|part| part == Component::ParentDir) {
        true => real.to_owned(),
        false => path.components().collect(),
    }
}

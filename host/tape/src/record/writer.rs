//! The file of a recording: the calls in the order of their launches, each whole.
//!
//! A call is written once it and all before it have ended; a crash loses those that had not.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::journal::Journal;
use crate::format::{End, Event, Failure, Header, Line, Status, Unfinished};
use crate::request::{Request, View};
use crate::tape::{check, json};

/// Locks, whatever another thread did with the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file, and the calls that it does not have yet.
#[derive(Debug)]
pub(super) struct Writer {
    state: Mutex<State>,
    changed: Condvar,
    view: View,
    has_times: bool,
}

#[derive(Debug)]
struct State {
    file: File,
    /// Calls that were requested.
    calls: usize,
    /// Calls that are in the file.
    written: usize,
    /// Ends so far, failed launches among them.
    ends: usize,
    /// Whole calls behind one that is not.
    waiting: BTreeMap<usize, String>,
    /// The calls that are not whole.
    open: BTreeMap<usize, Arc<CallLog>>,
    /// The first error of the file. Nothing is written after it.
    error: Option<io::Error>,
    is_finished: bool,
}

impl Writer {
    pub(super) fn new(file: File, view: View, has_times: bool) -> io::Result<Self> {
        let header = Header {
            version: crate::format::VERSION,
            values: view.values,
            dirs: view.dirs.names(),
        };
        let mut state = State {
            file,
            calls: 0,
            written: 0,
            ends: 0,
            waiting: BTreeMap::new(),
            open: BTreeMap::new(),
            error: None,
            is_finished: false,
        };
        state.file.write_all((json(&header) + "\n").as_bytes())?;
        Ok(Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            view,
            has_times,
        })
    }

    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// Begins a call.
    pub(super) fn begin(self: &Arc<Self>, request: Request, journal: Journal) -> Arc<CallLog> {
        let mut state = lock(&self.state);
        state.calls += 1;
        let log = Arc::new(CallLog {
            number: state.calls,
            writer: Arc::clone(self),
            inner: Mutex::new(Inner {
                request: Some(request),
                journal: Some(journal),
                end: None,
            }),
        });
        let number = log.number;
        state.open.insert(number, Arc::clone(&log));
        log
    }

    fn next_end(&self) -> usize {
        let mut state = lock(&self.state);
        state.ends += 1;
        state.ends
    }

    /// Writes a whole call, once those before it are written.
    fn complete(&self, number: usize, text: String) {
        let mut state = lock(&self.state);
        state.open.remove(&number);
        if !state.is_finished {
            state.waiting.insert(number, text);
            state.write();
        }
        self.changed.notify_all();
    }

    /// Writes all calls, also those whose children still run after `patience`.
    pub(super) fn finish(&self, patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        let mut state = lock(&self.state);
        while !state.open.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let open: Vec<_> = mem::take(&mut state.open).into_values().collect();
        // A call takes its own lock before this one.
        drop(state);
        for log in open {
            log.complete();
        }
        let mut state = lock(&self.state);
        state.is_finished = true;
        match state.error.take() {
            Some(error) => Err(error),
            None => state.file.flush(),
        }
    }
}

impl State {
    fn write(&mut self) {
        while let Some(text) = self.waiting.remove(&(self.written + 1)) {
            self.written += 1;
            if self.error.is_none() {
                self.error = self.file.write_all(text.as_bytes()).err();
            }
        }
    }
}

/// One call that is being recorded.
#[derive(Debug)]
pub(super) struct CallLog {
    number: usize,
    writer: Arc<Writer>,
    inner: Mutex<Inner>,
}

/// Both are taken when the call is written.
#[derive(Debug)]
struct Inner {
    request: Option<Request>,
    journal: Option<Journal>,
    end: Option<Event>,
}

impl CallLog {
    pub(super) fn with(&self, note: impl FnOnce(&mut Journal)) {
        if let Some(journal) = &mut lock(&self.inner).journal {
            note(journal);
        }
    }

    /// The host sends a signal, which counts while the child runs.
    pub(super) fn signal(&self, number: u8) {
        let mut inner = lock(&self.inner);
        if inner.end.is_none()
            && let Some(journal) = &mut inner.journal
        {
            journal.signal(number);
        }
    }

    /// The child ended.
    pub(super) fn end(&self, status: Status, out_of_memory: bool, millis: u64) {
        let is_killed = lock(&self.inner)
            .journal
            .as_ref()
            .is_some_and(Journal::is_killed);
        // In which order killed children end is an accident, and no other child waits for it.
        let order = (!is_killed).then(|| self.writer.next_end());
        lock(&self.inner).end = Some(Event::Exit(End {
            status,
            out_of_memory,
            order: order.filter(|order| *order != self.number),
            millis: self.writer.has_times.then_some(millis),
            check: None,
        }));
    }

    /// Nothing was started.
    pub(super) fn fail(&self, failure: Failure) {
        self.writer.next_end();
        lock(&self.inner).end = Some(Event::Failed(failure));
        self.complete();
    }

    /// Writes the call. What happens later is no part of the tape.
    pub(super) fn complete(&self) {
        let (request, journal, end) = {
            let mut inner = lock(&self.inner);
            (inner.request.take(), inner.journal.take(), inner.end.take())
        };
        let (Some(request), Some(journal)) = (request, journal) else {
            return;
        };
        let mut events = vec![Event::Start(Box::new(request))];
        events.extend(journal.events(&self.writer.view));
        events.push(end.unwrap_or(Event::Unfinished(Unfinished { check: None })));
        let call = self.number;
        let mut lines: Vec<_> = events
            .into_iter()
            .map(|event| Line { call, event })
            .collect();
        let check = check(&lines);
        if let Some(place) = lines.last_mut().and_then(|last| last.event.check()) {
            *place = Some(check);
        }
        let text = lines.iter().map(|line| json(line) + "\n").collect();
        self.writer.complete(call, text);
    }
}

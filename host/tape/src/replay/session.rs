//! What all children of one replay share: which calls were made, the order of ends, and what differs.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::difference::Divergence;
use crate::request::Request;
use crate::tape::Tape;

/// In which order launches may be requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As on the tape.
    #[default]
    Strict,
    /// Any: a request is answered by the first call that is left and has the same fields. For guests that start children
    /// concurrently, in whatever order the schedule brings.
    Any,
}

/// One replay of a tape.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) tape: Tape,
    order: Order,
    state: Mutex<State>,
    /// A child ended, or received a signal.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Requests so far.
    requests: usize,
    is_made: Vec<bool>,
    has_ended: Vec<bool>,
    divergences: Vec<Divergence>,
}

impl Session {
    pub(super) fn new(tape: Tape, order: Order) -> Self {
        let calls = tape.calls.len();
        Self {
            tape,
            order,
            state: Mutex::new(State {
                requests: 0,
                is_made: vec![false; calls],
                has_ended: vec![false; calls],
                divergences: Vec::new(),
            }),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the index of the call that answers `found`.
    ///
    /// # Errors
    ///
    /// No call is left, or the one in its place differs.
    pub(super) fn take(&self, found: &Request) -> Result<usize, Divergence> {
        let mut state = self.state();
        state.requests += 1;
        let taken = self.find(&state, found);
        match &taken {
            Ok(index) => state.is_made[*index] = true,
            Err(divergence) => {
                // The one that it should have been has had its turn.
                if self.order == Order::Strict && state.requests <= state.is_made.len() {
                    let index = state.requests - 1;
                    state.is_made[index] = true;
                    state.has_ended[index] = true;
                }
                state.divergences.push(divergence.clone());
                self.changed.notify_all();
            }
        }
        taken
    }

    fn find(&self, state: &State, found: &Request) -> Result<usize, Divergence> {
        let calls = &self.tape.calls;
        let left = |index: &usize| !state.is_made[*index];
        let candidates = match self.order {
            Order::Strict => (state.requests - 1)..state.requests.min(calls.len()),
            Order::Any => 0..calls.len(),
        };
        let mut nearest: Option<(usize, Vec<_>)> = None;
        for index in candidates.filter(left) {
            let differences = calls[index].request.differences(found);
            if differences.is_empty() {
                return Ok(index);
            }
            if nearest
                .as_ref()
                .is_none_or(|(_, best)| differences.len() < best.len())
            {
                nearest = Some((index, differences));
            }
        }
        let (call, request) = (state.requests, found.line());
        match nearest.map(|(index, differences)| (index, differences.into_iter().next())) {
            Some((index, Some(difference))) => Err(Divergence::Request {
                call,
                request,
                line: line(calls[index].line),
                difference: Box::new(difference),
            }),
            _ => Err(Divergence::Exhausted {
                call,
                request,
                calls: calls.len(),
            }),
        }
    }

    pub(super) fn report(&self, divergence: Divergence) {
        self.state().divergences.push(divergence);
    }

    /// Waits until all children have ended that ended before this one, or `gives_up` returns true. In any order, those
    /// that were not started yet are not waited for: their request may follow the end of this one.
    pub(super) fn await_turn(&self, index: usize, gives_up: impl Fn() -> bool) {
        let order = |index: usize| self.tape.calls[index].order(index + 1);
        let Some(own) = order(index) else { return };
        let before: Vec<_> = (0..self.tape.calls.len())
            .filter(|other| order(*other).is_some_and(|order| order < own))
            .collect();
        let is_awaited = |state: &State, other: &usize| {
            let will_start = self.order == Order::Strict || state.is_made[*other];
            will_start && !state.has_ended[*other]
        };
        let mut state = self.state();
        while !gives_up() && before.iter().any(|other| is_awaited(&state, other)) {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A child ended.
    pub(super) fn end(&self, index: usize) {
        self.state().has_ended[index] = true;
        self.changed.notify_all();
    }

    /// A child received a signal. Waiting ones look again.
    pub(super) fn signalled(&self) {
        drop(self.state());
        self.changed.notify_all();
    }

    /// Returns all that differs, in the order in which it was found; a call of the tape that was not made, if nothing else
    /// does.
    pub(super) fn divergences(&self) -> Vec<Divergence> {
        let state = self.state();
        if !state.divergences.is_empty() {
            return state.divergences.clone();
        }
        let missing = state.is_made.iter().position(|is_made| !is_made);
        let not_made = missing.map(|index| Divergence::NotMade {
            call: index + 1,
            request: self.tape.calls[index].request.line(),
            line: line(self.tape.calls[index].line),
        });
        not_made.into_iter().collect()
    }
}

/// Returns where a call is.
pub(super) fn line(number: usize) -> String {
    format!("line {number}")
}

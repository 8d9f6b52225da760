//! Ends the sessions of guests that start no children for a while.
//!
//! A session costs processes, descriptors and kernel memory, and most guests are idle most of the time.
//! A guest does not notice the end of a session in which its children have left nothing: no file in
//! `/tmp` and `/dev/shm`, and no object of System V or POSIX IPC. The next child gets a new session, in
//! milliseconds. Where something is left, the session stays as long as its guest, without the servers that wait for
//! its next child.
//!
//! Rejected: to keep the mount of `/tmp` and end the rest. That takes a descriptor and the memory of the mount, for
//! each guest.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::slots::Slots;

/// How long after the end of its last child a session is kept: much longer than the time between two children of a
/// guest at work.
const IDLE_TIME: Duration = Duration::from_secs(30);

/// How often sessions are looked at.
const INTERVAL: Duration = Duration::from_secs(15);

/// Looks for idle sessions, on a thread of its own that exists as long as there are sessions.
#[derive(Debug, Default)]
pub(super) struct IdleSessions(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    stopped: Condvar,
}

#[derive(Debug, Default)]
struct State {
    has_thread: bool,
    is_stopped: bool,
}

impl IdleSessions {
    /// Looks at `slots` from now on.
    ///
    /// # Errors
    ///
    /// The host has no thread left.
    pub(super) fn watch(&self, slots: &Arc<Slots>) -> io::Result<()> {
        let mut state = self.0.state.lock();
        if state.has_thread {
            return Ok(());
        }
        let (shared, slots) = (Arc::clone(&self.0), Arc::downgrade(slots));
        let thread = std::thread::Builder::new().name("capspawn-idle".into());
        let run = move || {
            let mut state = shared.state.lock();
            while !state.is_stopped {
                shared.stopped.wait_for(&mut state, INTERVAL);
                let Some(slots) = slots.upgrade().filter(|_| !state.is_stopped) else {
                    break;
                };
                drop(state);
                drop(slots.take_idle(IDLE_TIME, None));
                state = shared.state.lock();
                // Under the lock, which a launch takes after it has added a session.
                if slots.is_empty() {
                    break;
                }
            }
            state.has_thread = false;
        };
        thread.spawn(run)?;
        state.has_thread = true;
        Ok(())
    }
}

impl Drop for IdleSessions {
    fn drop(&mut self) {
        self.0.state.lock().is_stopped = true;
        self.0.stopped.notify_all();
    }
}

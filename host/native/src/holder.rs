//! Which guest a running child belongs to.
//!
//! A guest keeps a list of what it runs, to end it when the guest itself goes; a
//! detached child is on nobody's list. The child knows the list it is on, so
//! that whoever supervises it need not know who attached to it meanwhile.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::entry::Entry;
use crate::guest::Running;

/// The list that a child is on.
#[derive(Debug, Default)]
pub(crate) struct Holder(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    by: Weak<Running>,
    /// The child has ended: it goes on no list again.
    over: bool,
}

impl Held {
    fn leave(&mut self, id: u64) {
        if let Some(list) = std::mem::take(&mut self.by).upgrade() {
            list.lock().remove(&id);
        }
    }
}

impl Holder {
    /// Puts `entry`, whose holder this is, on `list` alone.
    pub(crate) fn enter(&self, entry: &Arc<Entry>, list: &Arc<Running>) {
        let mut held = self.0.lock();
        held.leave(entry.id);
        if !held.over {
            held.by = Arc::downgrade(list);
            list.lock().insert(entry.id, Arc::clone(entry));
        }
    }

    /// Takes the child `id` off its list.
    pub(crate) fn leave(&self, id: u64) {
        self.0.lock().leave(id);
    }

    /// The same, for good.
    pub(crate) fn close(&self, id: u64) {
        let mut held = self.0.lock();
        held.leave(id);
        held.over = true;
    }
}

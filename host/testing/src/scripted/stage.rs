//! The thread on which the children of a launcher are played.

use std::io;
use std::sync::mpsc;
use std::thread;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread that is started with the first child, and ends when this is dropped.
#[derive(Debug, Default)]
pub(super) struct PlayThread(Mutex<Option<Running>>);

#[derive(Debug)]
struct Running {
    handle: Handle,
    /// Ends the thread when it is dropped.
    _stop: oneshot::Sender<()>,
}

impl PlayThread {
    /// Returns the runtime of the thread, which is started if it does not run yet.
    ///
    /// # Errors
    ///
    /// The system cannot create a thread or an event queue.
    pub(super) fn handle(&self) -> io::Result<Handle> {
        let mut running = self.0.lock();
        if let Some(running) = &*running {
            return Ok(running.handle.clone());
        }
        let (sender, handle) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("capspawn-scripts".into());
        thread.spawn(
            move || match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    let _ = sender.send(Ok(runtime.handle().clone()));
                    let _ = runtime.block_on(stopped);
                }
                Err(error) => drop(sender.send(Err(error))),
            },
        )?;
        let ended = |_| io::Error::other("the thread of the scripts has ended");
        let handle = handle.recv().map_err(ended)??;
        *running = Some(Running {
            handle: handle.clone(),
            _stop: stop,
        });
        Ok(handle)
    }
}

//! The registry's own thread, on which every child is supervised.

use std::io;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::core::Core;

/// How long the thread of a dropped registry still reaps what the drop killed: 5 s.
const REAP_TIMEOUT: Duration = Duration::from_secs(5);

/// How often it checks meanwhile whether something is left.
const REAP_CHECK: Duration = Duration::from_millis(1);

/// Ends the thread when it is dropped, and kills what is left.
#[derive(Debug)]
pub(super) struct ThreadGuard {
    core: Arc<Core>,
    stop: Option<oneshot::Sender<Arc<Core>>>,
}

impl ThreadGuard {
    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

impl Drop for ThreadGuard {
    fn drop(&mut self) {
        self.core.close();
        if let Some(stop) = self.stop.take() {
            // An error means that the thread has ended already.
            let _ = stop.send(Arc::clone(&self.core));
        }
    }
}

/// Starts the thread, and makes the core from the runtime that it runs.
pub(super) fn start(core: impl FnOnce(Handle) -> Core) -> io::Result<ThreadGuard> {
    let (handle_sender, handle) = mpsc::sync_channel(1);
    let (stop, stopped) = oneshot::channel::<Arc<Core>>();
    std::thread::Builder::new()
        .name("capspawn-registry".into())
        .spawn(move || run(&handle_sender, stopped))?;
    let handle = handle
        .recv()
        .map_err(|_| io::Error::other("the registry's thread ended"))??;
    Ok(ThreadGuard {
        core: Arc::new(core(handle)),
        stop: Some(stop),
    })
}

/// Runs the supervisors until the registry is dropped, and reaps what that killed.
fn run(handle: &mpsc::SyncSender<io::Result<Handle>>, stopped: oneshot::Receiver<Arc<Core>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = handle.send(Err(error));
            return;
        }
    };
    let _ = handle.send(Ok(runtime.handle().clone()));
    runtime.block_on(async {
        let Ok(core) = stopped.await else { return };
        // Children that the drop has killed have the same time to end as ever.
        let _reaping = core.clock().waiting();
        let deadline = Instant::now() + REAP_TIMEOUT;
        while !core.is_idle() && Instant::now() < deadline {
            core.close();
            tokio::time::sleep(REAP_CHECK).await;
        }
        core.launcher().reap_adopted();
    });
}

//! A scripted child, as the registry sees it: signals go in, an exit comes out.

use std::io::{self, PipeReader, PipeWriter, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use capspawn_native::Signal;
use capspawn_native::launch::{Exit, Process, TreeCounters, TreeUsage};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::script::Behaviour;

/// The process id of the first scripted child: above all that Linux gives (2^22), so that nobody takes a real process for it.
const FIRST_PID: u32 = 1_000_000_000;

static NEXT_PID: AtomicU32 = AtomicU32::new(FIRST_PID);

/// What has happened to a child.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fate {
    /// A signal has ended it; the script finishes it.
    pub(super) doomed: Option<Exit>,
    /// It is stopped.
    pub(super) stopped: bool,
    /// Everything that it left behind was killed.
    pub(super) tree_killed: bool,
}

/// A child, shared by its process and its script.
#[derive(Debug)]
pub(super) struct Child {
    fate: watch::Sender<Fate>,
    exit: Mutex<Option<Exit>>,
    out_of_memory: Mutex<bool>,
    dispositions: Vec<(Signal, Option<Exit>)>,
    /// Becomes readable at the other end when the child has ended.
    ended: Mutex<Option<PipeWriter>>,
}

impl Child {
    pub(super) fn subscribe(&self) -> watch::Receiver<Fate> {
        self.fate.subscribe()
    }

    /// What the child does when it receives `signal`; none if it ignores it.
    pub(super) fn disposition(&self, signal: Signal) -> Option<Exit> {
        let own = |(other, _): &&(Signal, Option<Exit>)| *other == signal;
        match (signal, self.dispositions.iter().find(own)) {
            (Signal::Kill, _) | (_, None) => Some(Exit::Signal(signal.number())),
            (_, Some((_, exit))) => *exit,
        }
    }

    /// The script is over: the registry may see it.
    pub(super) fn end(&self, exit: Exit, out_of_memory: bool) {
        *self.out_of_memory.lock() = out_of_memory;
        self.exit.lock().get_or_insert(exit);
        if let Some(mut ended) = self.ended.lock().take() {
            // The reading end is as old as the process; nobody may read it any more.
            let _ = ended.write_all(&[0]);
        }
    }

    fn receive(&self, signal: Signal) {
        self.fate.send_modify(|fate| match signal {
            Signal::Stop => fate.stopped = true,
            Signal::Continue => fate.stopped = false,
            Signal::WindowChange => {}
            _ => {
                if let Some(exit) = self.disposition(signal) {
                    fate.doomed.get_or_insert(exit);
                    fate.stopped &= signal != Signal::Kill;
                }
            }
        });
    }
}

/// The process of a scripted child.
#[derive(Debug)]
pub(super) struct ScriptedProcess {
    pid: u32,
    child: Arc<Child>,
    exit_fd: PipeReader,
}

impl ScriptedProcess {
    pub(super) fn new(behaviour: &Behaviour) -> io::Result<Self> {
        let (exit_fd, ended) = io::pipe()?;
        Ok(Self {
            pid: NEXT_PID.fetch_add(1, Ordering::Relaxed),
            exit_fd,
            child: Arc::new(Child {
                fate: watch::Sender::default(),
                exit: Mutex::default(),
                out_of_memory: Mutex::default(),
                dispositions: behaviour.dispositions.clone(),
                ended: Mutex::new(Some(ended)),
            }),
        })
    }

    pub(super) fn child(&self) -> Arc<Child> {
        Arc::clone(&self.child)
    }
}

impl Process for ScriptedProcess {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn exit_fd(&self) -> BorrowedFd<'_> {
        self.exit_fd.as_fd()
    }

    fn try_exit(&self) -> io::Result<Option<Exit>> {
        Ok(*self.child.exit.lock())
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        self.child.receive(signal);
        Ok(())
    }

    fn signal_tree(&self, signal: Signal) -> io::Result<()> {
        self.child.receive(signal);
        if signal == Signal::Kill {
            self.child.fate.send_modify(|fate| fate.tree_killed = true);
        }
        Ok(())
    }

    fn reap(&self) -> io::Result<()> {
        Ok(())
    }

    /// Everything is counted, so that the registry searches no `/proc` for the child.
    fn counters(&self) -> TreeCounters {
        TreeCounters {
            usage: TreeUsage {
                peak_memory_bytes: Some(0),
                cpu: Some(std::time::Duration::ZERO),
                peak_tasks: Some(1),
            },
            out_of_memory: *self.child.out_of_memory.lock(),
            tasks_enforced: true,
        }
    }
}

//! The steps of a script, and its end.

use std::time::Duration;

use capspawn_native::launch::Exit;

/// A stream that a child writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Stdout,
    Stderr,
}

/// One thing that a child does.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Write(Output, Vec<u8>),
    Pause(Duration),
    /// Reads until the input contains this.
    Expect(Vec<u8>),
    /// Reads to the end of the input, which must be this if there is something here.
    Read(Option<Vec<u8>>),
    Echo,
    Flood(Vec<u8>),
    CloseStdin,
    Close(Output),
}

/// How a child ends that nobody kills.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Exit(Exit),
    OutOfMemory,
    Never,
}

impl Default for End {
    fn default() -> Self {
        Self::Exit(Exit::Code(0))
    }
}

/// A process that outlives the child that has started it.
#[derive(Debug, Clone)]
pub(crate) struct Grandchild {
    /// How long it lives after the child has ended.
    pub(crate) duration: Duration,
    /// What it writes to standard output then.
    pub(crate) writes: Vec<u8>,
}

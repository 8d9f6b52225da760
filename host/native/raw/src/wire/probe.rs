//! What the probe found that it could do and should not: the bits of its exit status.

/// A thing that a confinement without roots and without network denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ProbeFinding {
    /// The probe could open a file of the host for reading.
    Read = 0,
    /// It could open one for writing, or could not open `/dev/null`.
    Write = 1,
    /// It could make an internet socket.
    Inet = 2,
    /// It could make a Unix socket other than a stream pair, or could not make that pair.
    Unix = 3,
    /// It could send a signal to a process outside.
    Signal = 4,
    /// It had a capability, or lacked `no_new_privs`.
    Privileges = 5,
    /// It could make a system call that the filter denies.
    Syscalls = 6,
    /// A process could leave its group or its session where the filter prevents that, or could not where it does not.
    Group = 7,
}

impl ProbeFinding {
    /// Returns the finding's bit in the exit status.
    pub const fn bit(self) -> u8 {
        1u8.wrapping_shl(self as u32)
    }

    /// Returns the exit status for the findings that hold.
    pub fn status(findings: impl IntoIterator<Item = (Self, bool)>) -> u8 {
        let holding = findings.into_iter().filter(|(_, holds)| *holds);
        holding.fold(0, |status, (finding, _)| status | finding.bit())
    }
}

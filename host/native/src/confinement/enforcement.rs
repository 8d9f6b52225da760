//! The report of how much of a confinement is enforced, dimension by dimension.

use std::fmt;

use super::{Confinement, Network, Sandbox, Tier};
use crate::shortage::Shortage;

/// One aspect of a confinement, which a sandbox may or may not enforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// Reading only the files that the grant lists.
    FsRead,
    /// Writing only the files that the grant lists.
    FsWrite,
    /// Reading and changing the metadata (mode, times, attributes) of those files only.
    FsMetadata,
    /// Access to the grant's `fs.deny` paths.
    DenyHoles,
    /// IP sockets: TCP, UDP and the like.
    NetworkIp,
    /// The host's UNIX sockets.
    NetworkUnix,
    /// Signals, ptrace and the like, directed at other processes.
    CrossProcess,
    /// Gaining privileges: set-user-ID programs, capabilities.
    Privileges,
    /// System calls that ordinary programs do not need.
    Syscalls,
    /// The number of tasks in the process tree.
    Processes,
    /// The memory of the process tree.
    Memory,
    /// The processor time of the process tree.
    CpuTime,
    /// The time that a child may run.
    WallClock,
    /// The amount of output that the host keeps.
    Output,
    /// The host's file descriptors.
    Descriptors,
    /// The host's environment.
    Environment,
    /// The host's terminal.
    Terminal,
    /// Killing a child kills every process that it started.
    TreeKill,
    /// What the kernel counts by user, and signals and traces, between the children of
    /// different owners. `required` does not demand it.
    Owners,
    /// All that children can write together: bytes, and the number of files. `required` does
    /// not demand it.
    WriteVolume,
}

impl Dimension {
    /// Every dimension, in the order of the report.
    pub const ALL: [Self; 20] = [
        Self::FsRead,
        Self::FsWrite,
        Self::FsMetadata,
        Self::DenyHoles,
        Self::NetworkIp,
        Self::NetworkUnix,
        Self::CrossProcess,
        Self::Privileges,
        Self::Syscalls,
        Self::Processes,
        Self::Memory,
        Self::CpuTime,
        Self::WallClock,
        Self::Output,
        Self::Descriptors,
        Self::Environment,
        Self::Terminal,
        Self::TreeKill,
        Self::Owners,
        Self::WriteVolume,
    ];

    /// Returns the name that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FsRead => "fs-read",
            Self::FsWrite => "fs-write",
            Self::FsMetadata => "fs-metadata",
            Self::DenyHoles => "deny-holes",
            Self::NetworkIp => "network-ip",
            Self::NetworkUnix => "network-unix",
            Self::CrossProcess => "cross-process",
            Self::Privileges => "privileges",
            Self::Syscalls => "syscalls",
            Self::Processes => "processes",
            Self::Memory => "memory",
            Self::CpuTime => "cpu-time",
            Self::WallClock => "wall-clock",
            Self::Output => "output",
            Self::Descriptors => "descriptors",
            Self::Environment => "environment",
            Self::Terminal => "terminal",
            Self::TreeKill => "tree-kill",
            Self::Owners => "owners",
            Self::WriteVolume => "write-volume",
        }
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How completely one dimension is enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enforced {
    /// Completely.
    Full {
        /// What enforces it.
        mechanism: &'static str,
    },
    /// With a gap.
    Partial {
        /// What enforces it.
        mechanism: &'static str,
        /// What is not covered.
        gap: &'static str,
    },
    /// Not at all.
    None {
        /// Why it is not enforced.
        reason: &'static str,
        /// What the operator can do about it.
        hint: &'static str,
    },
}

/// What a launcher enforces for one confinement, and whether that is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforcement {
    sandbox: Sandbox,
    tier: Option<Tier>,
    /// The report admits no confined child, not even with `best-effort`.
    refused: bool,
    /// Why the host could not be tested.
    shortage: Option<Shortage>,
    dimensions: Vec<(Dimension, Enforced)>,
    unmet: Vec<Dimension>,
}

impl Enforcement {
    /// Returns a report in which nothing is enforced, for `reason`; `hint` is what the
    /// operator can do about it.
    pub fn none(confinement: &Confinement, reason: &'static str, hint: &'static str) -> Self {
        let report = |dimension| (dimension, Enforced::None { reason, hint });
        Self::new(confinement, Dimension::ALL.map(report).into())
    }

    /// Returns the report of a host that could not be tested, because it was short of something. It
    /// admits no confined child: a shortage must not lead to a weaker confinement. A launcher
    /// does not keep it.
    pub fn short(confinement: &Confinement, shortage: Shortage) -> Self {
        let reason = "the host was too short of a resource to be tested";
        let report = Self::none(confinement, reason, "try again").refusing();
        Self {
            shortage: Some(shortage),
            ..report
        }
    }

    /// Returns the report of `dimensions`, compared with what `confinement` demands.
    /// A dimension that is missing counts as not enforced.
    pub fn new(confinement: &Confinement, dimensions: Vec<(Dimension, Enforced)>) -> Self {
        let unmet = Dimension::ALL
            .into_iter()
            .filter(|dimension| {
                let level = dimensions.iter().find(|(name, _)| name == dimension);
                !meets(confinement, *dimension, level.map(|(_, level)| level))
            })
            .collect();
        Self {
            sandbox: confinement.sandbox,
            tier: None,
            refused: false,
            shortage: None,
            dimensions,
            unmet,
        }
    }

    /// Returns the same report for `tier`.
    #[must_use]
    pub fn in_tier(mut self, tier: Tier) -> Self {
        self.tier = Some(tier);
        self
    }

    /// Returns the same report, changed to admit no confined child: the host does not
    /// support the tier that the embedder requires, or children would run with the user id 0
    /// outside a session.
    #[must_use]
    pub fn refusing(mut self) -> Self {
        self.refused = true;
        self
    }

    /// Returns the tier in which children are confined; `None` if they are not confined.
    pub fn tier(&self) -> Option<Tier> {
        self.tier
    }

    /// Returns what the host lacked when it should have been tested. A later report may be another.
    pub fn shortage(&self) -> Option<Shortage> {
        self.shortage
    }

    /// Returns how completely each dimension is enforced.
    pub fn dimensions(&self) -> &[(Dimension, Enforced)] {
        &self.dimensions
    }

    /// Returns whether a child that demands `sandbox` may start under this report.
    pub fn admits(&self, sandbox: Sandbox) -> bool {
        match sandbox {
            Sandbox::Required => !self.refused && self.unmet.is_empty(),
            Sandbox::BestEffort => !self.refused,
            Sandbox::None => true,
        }
    }

    /// Returns the names of the demanded dimensions that are not enforced, separated by
    /// commas; empty if all are.
    pub fn unmet(&self) -> String {
        let names: Vec<_> = self.unmet.iter().map(|name| name.name()).collect();
        names.join(", ")
    }

    /// Returns one word for events: `enforced` if every demanded dimension is, `partial`
    /// if some are not, and `none` if nothing is enforced or the grant demands nothing.
    pub fn summary(&self) -> &'static str {
        let nothing = |(_, level): &(Dimension, Enforced)| matches!(level, Enforced::None { .. });
        if self.sandbox == Sandbox::None || self.dimensions.iter().all(nothing) {
            "none"
        } else if self.unmet.is_empty() {
            "enforced"
        } else {
            "partial"
        }
    }
}

/// Returns whether `level` satisfies what `sandbox = "required"` demands of `dimension`.
fn meets(confinement: &Confinement, dimension: Dimension, level: Option<&Enforced>) -> bool {
    let full = matches!(level, Some(Enforced::Full { .. }));
    let at_least_partial = full || matches!(level, Some(Enforced::Partial { .. }));
    match dimension {
        Dimension::FsMetadata | Dimension::Memory | Dimension::CpuTime | Dimension::Processes => {
            at_least_partial
        }
        Dimension::Owners | Dimension::WriteVolume => true,
        Dimension::DenyHoles => full || confinement.fs.deny.is_empty(),
        Dimension::NetworkIp | Dimension::NetworkUnix => {
            full || confinement.network == Network::Host
        }
        _ => full,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(level: &Enforced) -> Vec<(Dimension, Enforced)> {
        Dimension::ALL.map(|name| (name, level.clone())).into()
    }

    #[test]
    fn a_report_of_nothing_admits_only_children_that_do_not_require_a_sandbox() {
        let report = Enforcement::none(&Confinement::default(), "unwritten", "none");
        assert!(!report.admits(Sandbox::Required));
        assert!(report.admits(Sandbox::BestEffort));
        assert!(report.admits(Sandbox::None));
        let refusing = report.clone().refusing();
        assert!(!refusing.admits(Sandbox::BestEffort));
        assert!(refusing.admits(Sandbox::None), "that child is not confined");
        assert!(report.unmet().contains("fs-read"));
        assert_eq!(report.summary(), "none");
    }

    #[test]
    fn a_full_report_admits_every_child() {
        let report = Enforcement::new(
            &Confinement::default(),
            all(&Enforced::Full { mechanism: "test" }),
        );
        assert!(report.admits(Sandbox::Required));
        assert_eq!(report.unmet(), "");
    }

    #[test]
    fn four_dimensions_may_be_partial_and_a_host_network_needs_no_enforcement() {
        let partial = Enforced::Partial {
            mechanism: "test",
            gap: "some",
        };
        let mut levels = all(&Enforced::Full { mechanism: "test" });
        for (name, level) in &mut levels {
            let lenient = [
                Dimension::FsMetadata,
                Dimension::Memory,
                Dimension::CpuTime,
                Dimension::Processes,
                Dimension::DenyHoles,
                Dimension::NetworkIp,
                Dimension::NetworkUnix,
            ];
            if lenient.contains(name) {
                *level = partial.clone();
            }
        }
        let closed = Confinement::default();
        assert_eq!(
            Enforcement::new(&closed, levels.clone()).unmet(),
            "network-ip, network-unix"
        );
        let open = Confinement {
            network: Network::Host,
            ..closed
        };
        assert!(Enforcement::new(&open, levels.clone()).admits(Sandbox::Required));
        let mut holes = open;
        holes.fs.deny.push("/secret".into());
        assert_eq!(Enforcement::new(&holes, levels).unmet(), "deny-holes");
    }
}

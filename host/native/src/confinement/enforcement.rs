//! The report: what of a confinement is enforced, dimension by dimension.

use std::fmt;

use super::{Confinement, Network, Sandbox, Tier};

/// One thing that a sandbox may or may not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// Which files can be read.
    FsRead,
    /// Which files can be written.
    FsWrite,
    /// Whose metadata (mode, times, attributes) can be read or changed.
    FsMetadata,
    /// The grant's `deny` paths.
    DenyHoles,
    /// TCP, UDP and the like.
    NetworkIp,
    /// UNIX sockets of the host.
    NetworkUnix,
    /// Signals, ptrace and the like to other processes.
    CrossProcess,
    /// Gaining rights: set-user-id, capabilities.
    Privileges,
    /// System calls that no ordinary program needs.
    Syscalls,
    /// The number of tasks.
    Processes,
    /// The tree's memory.
    Memory,
    /// The tree's processor time.
    CpuTime,
    /// The time a child may run.
    WallClock,
    /// What the host keeps of the output.
    Output,
    /// Descriptors of the host.
    Descriptors,
    /// The host's environment.
    Environment,
    /// The host's terminal.
    Terminal,
    /// That killing a child kills all it started.
    TreeKill,
}

impl Dimension {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 18] = [
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
    ];

    /// Returns the name, as reports write it.
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
        }
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How far one dimension is enforced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enforced {
    /// It holds.
    Full {
        /// By what.
        mechanism: &'static str,
    },
    /// It holds but for a gap.
    Partial {
        /// By what.
        mechanism: &'static str,
        /// What stays open.
        gap: &'static str,
    },
    /// It does not hold.
    None {
        /// Why not.
        reason: &'static str,
        /// What would change that.
        hint: &'static str,
    },
}

/// What a launcher enforces for one confinement, and whether that is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforcement {
    sandbox: Sandbox,
    tier: Option<Tier>,
    /// Not even `best-effort` is met.
    refused: bool,
    dimensions: Vec<(Dimension, Enforced)>,
    unmet: Vec<Dimension>,
}

impl Enforcement {
    /// Returns a report that enforces nothing, for the `reason` given.
    pub fn none(confinement: &Confinement, reason: &'static str, hint: &'static str) -> Self {
        let report = |dimension| (dimension, Enforced::None { reason, hint });
        Self::new(confinement, Dimension::ALL.map(report).into())
    }

    /// Returns the report of `dimensions`, measured against what `confinement`
    /// demands. A dimension left out counts as not enforced.
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
            dimensions,
            unmet,
        }
    }

    /// Returns the same report, of `tier`.
    #[must_use]
    pub fn in_tier(mut self, tier: Tier) -> Self {
        self.tier = Some(tier);
        self
    }

    /// Returns the same report, which admits no confined child: what the embedder
    /// insists on cannot be had.
    #[must_use]
    pub fn refusing(mut self) -> Self {
        self.refused = true;
        self
    }

    /// Returns the tier in which children are confined; none where there is none.
    pub fn tier(&self) -> Option<Tier> {
        self.tier
    }

    /// Returns each dimension with its level.
    pub fn dimensions(&self) -> &[(Dimension, Enforced)] {
        &self.dimensions
    }

    /// Returns whether `sandbox` lets a child start under this report.
    pub fn admits(&self, sandbox: Sandbox) -> bool {
        match sandbox {
            Sandbox::Required => !self.refused && self.unmet.is_empty(),
            Sandbox::BestEffort => !self.refused,
            Sandbox::None => true,
        }
    }

    /// Returns the names of the demanded dimensions that are not met, with
    /// commas between; empty where all are.
    pub fn unmet(&self) -> String {
        let names: Vec<_> = self.unmet.iter().map(|name| name.name()).collect();
        names.join(", ")
    }

    /// Returns one word for events: how much of the demand is met; `none` too
    /// where the grant writes that nothing is demanded.
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

/// Whether `level` is what `sandbox = "required"` demands of `dimension`.
fn meets(confinement: &Confinement, dimension: Dimension, level: Option<&Enforced>) -> bool {
    let full = matches!(level, Some(Enforced::Full { .. }));
    let at_least_partial = full || matches!(level, Some(Enforced::Partial { .. }));
    match dimension {
        Dimension::FsMetadata | Dimension::Memory | Dimension::CpuTime | Dimension::Processes => {
            at_least_partial
        }
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
    fn a_report_of_nothing_admits_only_what_does_not_require() {
        let report = Enforcement::none(&Confinement::default(), "unwritten", "none");
        assert!(!report.admits(Sandbox::Required));
        assert!(report.admits(Sandbox::BestEffort));
        assert!(report.admits(Sandbox::None));
        let refusing = report.clone().refusing();
        assert!(!refusing.admits(Sandbox::BestEffort));
        assert!(refusing.admits(Sandbox::None), "nothing is confined there");
        assert!(report.unmet().contains("fs-read"));
        assert_eq!(report.summary(), "none");
    }

    #[test]
    fn a_full_report_admits_all() {
        let report = Enforcement::new(
            &Confinement::default(),
            all(&Enforced::Full { mechanism: "test" }),
        );
        assert!(report.admits(Sandbox::Required));
        assert_eq!(report.unmet(), "");
    }

    #[test]
    fn partial_is_enough_for_four_dimensions_and_an_open_network_counts_as_met() {
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

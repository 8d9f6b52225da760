//! The confinement that a grant demands.

use std::fmt;
use std::str::FromStr;

use super::FsRoot;

/// What to do where the host cannot enforce the confinement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Sandbox {
    /// Start nothing.
    #[default]
    Required,
    /// Confine the child as far as the host can, and report how far that is.
    BestEffort,
    /// Do not confine the child at all. A grant has to set this explicitly.
    None,
}

impl Sandbox {
    /// Every value, the strictest first.
    pub const ALL: [Self; 3] = [Self::Required, Self::BestEffort, Self::None];

    /// Returns the word that grants use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::BestEffort => "best-effort",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Sandbox {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|it| it.name() == text);
        found.ok_or("a sandbox is required, best-effort or none")
    }
}

/// The network that a child sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Network {
    /// No network: no socket of any family reaches anything.
    #[default]
    None,
    /// A private loopback interface.
    Loopback,
    /// The host's network.
    Host,
}

impl Network {
    /// Every value, the strictest first.
    pub const ALL: [Self; 3] = [Self::None, Self::Loopback, Self::Host];

    /// Returns the word that grants use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Loopback => "loopback",
            Self::Host => "host",
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|it| it.name() == text);
        found.ok_or("a network is none, loopback or host")
    }
}

/// The parts of the host's file system that a child sees.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct FsRules {
    /// Readable and executable, with everything below.
    pub read: Vec<FsRoot>,
    /// Readable, executable and writable, with everything below.
    pub write: Vec<FsRoot>,
    /// Excluded from the above, with everything below: neither readable nor writable.
    pub deny: Vec<FsRoot>,
}

/// What the children of one command are confined to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Confinement {
    /// What to do where the host cannot enforce the rest.
    pub sandbox: Sandbox,
    /// The network that children see.
    pub network: Network,
    /// The files that children see.
    pub fs: FsRules,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_and_a_network_are_parsed_from_what_they_display() {
        for sandbox in Sandbox::ALL {
            assert_eq!(sandbox.to_string().parse(), Ok(sandbox));
        }
        for network in Network::ALL {
            assert_eq!(network.to_string().parse(), Ok(network));
        }
        let error = "Required"
            .parse::<Sandbox>()
            .expect_err("words are lower case");
        assert!(Sandbox::ALL.iter().all(|it| error.contains(it.name())));
        let error = "".parse::<Network>().expect_err("it is not a word");
        assert!(Network::ALL.iter().all(|it| error.contains(it.name())));
    }

    #[test]
    fn the_default_is_the_strictest() {
        assert_eq!(Sandbox::default(), Sandbox::ALL[0]);
        assert_eq!(Network::default(), Network::ALL[0]);
    }
}

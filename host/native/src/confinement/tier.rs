//! How strongly a host can confine its children.

use std::fmt;
use std::str::FromStr;

/// The mechanisms that confine children. A launcher probes which tiers a host
/// supports. A later tier enforces less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Namespaces and a private root directory, shared by the children of one guest
    /// under one confinement (a session), on top of tier B.
    A,
    /// Landlock and seccomp on each child, and a process group that it cannot leave.
    /// Needs no user namespaces.
    B,
    /// Seccomp and the process group only: the file system is not confined.
    C,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
        })
    }
}

impl FromStr for Tier {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "A" => Ok(Self::A),
            "B" => Ok(Self::B),
            "C" => Ok(Self::C),
            _ => Err("a tier is A, B or C"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_is_parsed_from_what_it_displays() {
        for tier in [Tier::A, Tier::B, Tier::C] {
            assert_eq!(tier.to_string().parse(), Ok(tier));
        }
        "a".parse::<Tier>().expect_err("tiers are capital letters");
    }
}

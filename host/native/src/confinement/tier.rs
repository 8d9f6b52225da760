//! The means by which a host confines its children.

use std::fmt;
use std::str::FromStr;

/// By what means children are confined; which of them a host has is found out by
/// trying. A later one holds less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// A session for each guest and confinement: namespaces, a private root, and
    /// what tier B has.
    A,
    /// Landlock and seccomp on each child, and a process group it cannot leave:
    /// where user namespaces are refused.
    B,
    /// Seccomp and the process group alone: the file system is not confined.
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
    fn a_tier_reads_as_it_is_written() {
        for tier in [Tier::A, Tier::B, Tier::C] {
            assert_eq!(tier.to_string().parse(), Ok(tier));
        }
        "a".parse::<Tier>().expect_err("tiers are capital letters");
    }
}

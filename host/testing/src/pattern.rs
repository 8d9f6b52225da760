//! What a script demands of the arguments of a child.
//!
//! A pattern reads as the arguments that it matches, so that a test shows a command as it is typed.
//! Rejected: a language of globs, in which an argument with a star would need an escape.

use std::ffi::{OsStr, OsString};
use std::fmt;

use capspawn_native::escape::quoted;

/// Stands for any one argument. No argument contains a NUL.
const ANY: &str = "\0any";
/// Stands for all arguments from there on.
const REST: &str = "\0rest";

/// Returns the pattern of any one argument.
///
/// ```
/// use capspawn_testing::{ArgPattern, any};
///
/// assert_eq!(ArgPattern::from(any()), ArgPattern::Any);
/// ```
pub const fn any() -> &'static str {
    ANY
}

/// Returns the pattern of any number of further arguments, none included. It is the last of a list.
pub const fn rest() -> &'static str {
    REST
}

/// What one argument, or the rest of them, must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgPattern {
    /// Exactly this.
    Exactly(OsString),
    /// Any one argument.
    Any,
    /// Any number of arguments, to the end.
    Rest,
}

impl ArgPattern {
    fn matches(&self, arg: &OsStr) -> bool {
        match self {
            Self::Exactly(expected) => expected == arg,
            Self::Any | Self::Rest => true,
        }
    }
}

impl From<OsString> for ArgPattern {
    fn from(text: OsString) -> Self {
        match text.to_str() {
            Some(ANY) => Self::Any,
            Some(REST) => Self::Rest,
            _ => Self::Exactly(text),
        }
    }
}

impl From<&str> for ArgPattern {
    fn from(text: &str) -> Self {
        OsString::from(text).into()
    }
}

impl From<String> for ArgPattern {
    fn from(text: String) -> Self {
        OsString::from(text).into()
    }
}

impl fmt::Display for ArgPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(text) => write!(f, "{}", quoted(text)),
            Self::Any => f.write_str("any()"),
            Self::Rest => f.write_str("rest()"),
        }
    }
}

/// What the arguments of one call must be, `argv[0]` left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArgPatterns(Vec<ArgPattern>);

impl Default for ArgPatterns {
    /// Any arguments.
    fn default() -> Self {
        Self(vec![ArgPattern::Rest])
    }
}

impl ArgPatterns {
    pub(crate) fn new(patterns: impl IntoIterator<Item = impl Into<ArgPattern>>) -> Self {
        Self(patterns.into_iter().map(Into::into).collect())
    }

    /// Returns whether all arguments match.
    pub(crate) fn matches(&self, args: &[OsString]) -> bool {
        let mut args = args.iter();
        for pattern in &self.0 {
            if *pattern == ArgPattern::Rest {
                return true;
            }
            if !args.next().is_some_and(|arg| pattern.matches(arg)) {
                return false;
            }
        }
        args.next().is_none()
    }

    /// Returns how many of the first arguments match.
    pub(crate) fn common(&self, args: &[OsString]) -> usize {
        let matched = |(pattern, arg): &(&ArgPattern, &OsString)| pattern.matches(arg);
        self.0.iter().zip(args).take_while(matched).count()
    }
}

impl ArgPatterns {
    /// Describes the first argument that does not match; none if all do.
    pub(crate) fn difference(&self, args: &[OsString]) -> Option<String> {
        if self.matches(args) {
            return None;
        }
        let common = self.common(args);
        let number = common + 1;
        let expected = self.0.get(common);
        let found = args.get(common).map(|arg| quoted(arg).to_string());
        Some(match (expected, found) {
            (Some(expected), Some(found)) => {
                format!("argument {number}: expected {expected}, found {found}")
            }
            (Some(expected), None) => format!("argument {number}: expected {expected}, found none"),
            (None, found) => format!(
                "argument {number}: expected none, found {}",
                found.unwrap_or_default()
            ),
        })
    }
}

impl fmt::Display for ArgPatterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, pattern) in self.0.iter().enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            write!(f, "{separator}{pattern}")?;
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(args: &[&str]) -> Vec<OsString> {
        args.iter().map(OsString::from).collect()
    }

    #[test]
    fn arguments_match_one_by_one_and_the_rest_matches_any_number() {
        let exact = ArgPatterns::new(["status", any()]);
        assert!(exact.matches(&args(&["status", "src"])));
        for other in [
            &["status"][..],
            &["status", "a", "b"],
            &["commit", "src"],
            &[],
        ] {
            assert!(!exact.matches(&args(other)), "{other:?}");
        }
        let open = ArgPatterns::new(["status", rest()]);
        assert!(open.matches(&args(&["status"])) && open.matches(&args(&["status", "a", "b"])));
        assert!(!open.matches(&args(&["commit"])));
        assert!(ArgPatterns::default().matches(&args(&[])));
        assert!(ArgPatterns::new([""; 0]).matches(&args(&[])));
        assert!(!ArgPatterns::new([""; 0]).matches(&args(&["a"])));
    }

    #[test]
    fn a_pattern_is_shown_as_it_is_written() {
        let patterns = ArgPatterns::new(["commit", any(), rest()]);
        assert_eq!(patterns.to_string(), r#"["commit", any(), rest()]"#);
    }
}

//! Whether an argument vector matches a list of patterns.
//!
//! Each pattern is tried at most once on each token, and the set of positions that the
//! patterns so far can have reached is carried from pattern to pattern. The time is
//! proportional to tokens times patterns. Backtracking was rejected: with repeated patterns
//! it takes exponential time, and the guest chooses the vector.

use std::ffi::{OsStr, OsString};

use crate::grant::file::pattern::Pattern;

/// Where a vector that does not match fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::grant) struct Mismatch {
    /// The index of the first argument that no pattern took, or the number of arguments if
    /// more are needed.
    pub(in crate::grant) index: usize,
    /// The indices of the patterns that were tried there.
    pub(in crate::grant) tried: Vec<usize>,
}

/// Matches all of `tokens` against all of `patterns`; `accepts` returns whether one pattern
/// takes one token.
pub(in crate::grant) fn matches(
    patterns: &[Pattern],
    tokens: &[OsString],
    mut accepts: impl FnMut(&Pattern, &OsStr) -> bool,
) -> Result<(), Mismatch> {
    let end = tokens.len();
    // reached[t]: the patterns so far can take exactly the first t tokens.
    let mut reached = vec![false; end + 1];
    reached[0] = true;
    let mut furthest = Mismatch {
        index: 0,
        tried: Vec::new(),
    };
    for (number, pattern) in patterns.iter().enumerate() {
        // starts[t]: how many of reached[..t] are set.
        let mut starts = vec![0usize; end + 2];
        for (t, reached) in reached.iter().enumerate() {
            starts[t + 1] = starts[t] + usize::from(*reached);
        }
        let mut next = vec![false; end + 1];
        // The pattern takes every token from here to the current one.
        let mut run = 0;
        for t in 0..=end {
            let low = run.max(t.saturating_sub(pattern.max));
            let high = t.checked_sub(pattern.min);
            next[t] = high.is_some_and(|high| high >= low && starts[high + 1] > starts[low]);
            // Whether a further token could extend a run that begins at a reached start.
            let low = run.max((t + 1).saturating_sub(pattern.max));
            if starts[t + 1] <= starts[low.min(t + 1)] {
                run = t + 1;
                continue;
            }
            furthest.note(t, number);
            if t < end && !accepts(pattern, &tokens[t]) {
                run = t + 1;
            }
        }
        reached = next;
    }
    if reached[end] {
        return Ok(());
    }
    // Tokens are left over after the last pattern.
    if let Some(t) = reached.iter().rposition(|reached| *reached)
        && t > furthest.index
    {
        furthest = Mismatch {
            index: t,
            tried: Vec::new(),
        };
    }
    Err(furthest)
}

impl Mismatch {
    fn note(&mut self, index: usize, pattern: usize) {
        if index > self.index {
            self.index = index;
            self.tried.clear();
        }
        if index == self.index {
            self.tried.push(pattern);
        }
    }
}

#[cfg(test)]
mod tests;

//! Whether an argument vector matches a list of patterns.
//!
//! Backtracking over repeated patterns takes exponential time, and the guest
//! chooses the vector. So every pattern is tried at most once on each token, and
//! what is carried from pattern to pattern is the set of positions that the
//! patterns so far can have reached: time grows with tokens times patterns.

use super::pattern::Pattern;

/// How far a vector got that does not match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// The first argument that no pattern took, or the number of arguments if
    /// more were needed.
    pub(super) index: usize,
    /// The patterns that were tried there, by their numbers.
    pub(super) tried: Vec<usize>,
}

/// Matches all of `tokens` against all of `patterns`; `accepts` says whether one
/// pattern takes one token.
pub(super) fn matches(
    patterns: &[Pattern],
    tokens: &[String],
    mut accepts: impl FnMut(&Pattern, &str) -> bool,
) -> Result<(), Mismatch> {
    let end = tokens.len();
    // reached[t]: the patterns so far can take exactly the first t tokens.
    let mut reached = vec![false; end + 1];
    reached[0] = true;
    let mut furthest = Mismatch { index: 0, tried: Vec::new() };
    for (number, pattern) in patterns.iter().enumerate() {
        // starts[t]: how many of reached[..t] are set.
        let mut starts = vec![0usize; end + 2];
        for (t, reached) in reached.iter().enumerate() {
            starts[t + 1] = starts[t] + usize::from(*reached);
        }
        let mut next = vec![false; end + 1];
        // Every token from here to the present one is one that the pattern takes.
        let mut run = 0;
        for t in 0..=end {
            let low = run.max(t.saturating_sub(pattern.most));
            let high = t.checked_sub(pattern.least);
            next[t] = high.is_some_and(|high| high >= low && starts[high + 1] > starts[low]);
            // Whether a further token could extend a run that begins at a reached start.
            let low = run.max((t + 1).saturating_sub(pattern.most));
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
        furthest = Mismatch { index: t, tried: Vec::new() };
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

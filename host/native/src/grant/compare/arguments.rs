//! Whether each argument vector that one list of patterns takes is taken by another.
//!
//! Both lists are automata whose steps are patterns. All ways through the inner one are followed, each with the set of
//! places that the outer one can have reached. A step of the outer one takes a step of the inner one if its pattern
//! takes each of its arguments, which is decided pattern by pattern. The answer "yes" is certain.

use std::collections::BTreeSet;

use crate::grant::file::pattern::{Pattern, PatternKind};

/// An answer that may be unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
    Unknown,
}

impl From<bool> for Answer {
    fn from(is: bool) -> Self {
        if is { Self::Yes } else { Self::No }
    }
}

/// The most steps of an automaton, and the most situations that are looked at.
const MAX_STEPS: usize = 512;
const MAX_SITUATIONS: usize = 10_000;

/// The most numbers of a range that are looked at one by one.
const MAX_NUMBERS: i64 = 64;

/// Returns whether `outer` takes every vector that `inner` takes. With `deny` both are the patterns of rules that deny,
/// which take arguments that begin with `-` or `@` too.
pub(super) fn includes(outer: &[Pattern], inner: &[Pattern], deny: bool) -> Answer {
    let (Some(outer), Some(inner)) = (steps(outer), steps(inner)) else {
        return Answer::Unknown;
    };
    let mut is_known = true;
    let mut seen = BTreeSet::new();
    let mut left = vec![(0, closed(&outer, BTreeSet::from([0])))];
    while let Some((at, reached)) = left.pop() {
        if !seen.insert((at, reached.clone())) {
            continue;
        }
        if seen.len() > MAX_SITUATIONS {
            return Answer::Unknown;
        }
        let Some(step) = inner.get(at) else {
            if !reached.contains(&outer.len()) {
                return if is_known {
                    Answer::No
                } else {
                    Answer::Unknown
                };
            }
            continue;
        };
        if step.may_skip {
            left.push((at + 1, reached.clone()));
        }
        let after = if step.repeats { at } else { at + 1 };
        for part in parts(&step.pattern.kind) {
            let candidates: Vec<_> = reached
                .iter()
                .filter(|&&place| place < outer.len())
                .collect();
            let mut next = BTreeSet::new();
            for &&place in &candidates {
                match takes(&outer[place].pattern.kind, &part, deny) {
                    Answer::Yes => drop(next.insert(if outer[place].repeats {
                        place
                    } else {
                        place + 1
                    })),
                    Answer::No => {}
                    Answer::Unknown => is_known = false,
                }
            }
            if next.is_empty() {
                // Several patterns together may take what none takes alone.
                let by_several = candidates.len() > 1 && !matches!(part, PatternKind::Literal(_));
                return if is_known && !by_several {
                    Answer::No
                } else {
                    Answer::Unknown
                };
            }
            left.push((after, closed(&outer, next)));
        }
    }
    Answer::Yes
}

/// One argument of a list of patterns.
struct Step<'p> {
    pattern: &'p Pattern,
    may_skip: bool,
    repeats: bool,
}

fn steps(patterns: &[Pattern]) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    for pattern in patterns {
        let repeats = pattern.max == usize::MAX;
        let count = if repeats {
            pattern.min + 1
        } else {
            pattern.max
        };
        if steps.len() + count > MAX_STEPS {
            return None;
        }
        steps.extend((0..count).map(|number| Step {
            pattern,
            may_skip: number >= pattern.min,
            repeats: repeats && number == pattern.min,
        }));
    }
    Some(steps)
}

/// Adds the places that are reached by skipping steps.
fn closed(steps: &[Step<'_>], mut places: BTreeSet<usize>) -> BTreeSet<usize> {
    for (place, step) in steps.iter().enumerate() {
        if step.may_skip && places.contains(&place) {
            places.insert(place + 1);
        }
    }
    places
}

/// Returns patterns that together take what one takes, single arguments where there are few.
fn parts(kind: &PatternKind) -> Vec<PatternKind> {
    match kind {
        PatternKind::OneOf(texts) => texts.iter().cloned().map(PatternKind::Literal).collect(),
        PatternKind::Int { min, max, prefix } if max.saturating_sub(*min) < MAX_NUMBERS => (*min
            ..=*max)
            .map(|number| PatternKind::Literal(format!("{prefix}{number}")))
            .collect(),
        kind => vec![kind.clone()],
    }
}

/// Returns whether `outer` takes every argument that `inner` takes.
fn takes(outer: &PatternKind, inner: &PatternKind, deny: bool) -> Answer {
    use PatternKind::{Any, Int, Literal, OneOf, Path, Regex};
    match (outer, inner) {
        (outer, Literal(text)) => takes_text(outer, text, deny),
        (Any { dash: outer }, inner) => (*outer || deny || !may_begin_with_dash(inner)).into(),
        (
            Int {
                min: outer_min,
                max: outer_max,
                prefix: outer_prefix,
            },
            Int { min, max, prefix },
        ) => match outer_prefix == prefix {
            true => (outer_min <= min && max <= outer_max).into(),
            false => Answer::Unknown,
        },
        (Path(outer), Path(inner)) if outer.prefix == inner.prefix => {
            let is_below =
                |path: &std::path::PathBuf| outer.real.iter().any(|root| path.starts_with(root));
            inner.real.iter().all(is_below).into()
        }
        (Regex(outer), Regex(inner)) if outer.text == inner.text => {
            (outer.dash || deny || !inner.dash).into()
        }
        // The texts that an expression takes could be few.
        (_, Regex(_)) | (Regex(_), _) | (Path(_), Path(_)) => Answer::Unknown,
        (Path(_), Int { .. }) => Answer::Unknown,
        (Literal(_) | OneOf(_) | Int { .. } | Path(_), _) => Answer::No,
    }
}

fn takes_text(outer: &PatternKind, text: &str, deny: bool) -> Answer {
    let plain = deny || !text.starts_with(['-', '@']);
    match outer {
        PatternKind::Literal(literal) => (literal == text).into(),
        PatternKind::OneOf(texts) => texts.iter().any(|it| it == text).into(),
        PatternKind::Any { dash } => (*dash || plain).into(),
        PatternKind::Int { min, max, prefix } => {
            let digits = text.strip_prefix(prefix.as_str()).unwrap_or_default();
            let number = digits.parse::<i64>().ok();
            number
                .is_some_and(|number| {
                    (*min..=*max).contains(&number) && number.to_string() == digits
                })
                .into()
        }
        PatternKind::Regex(regex) => ((regex.dash || plain) && regex.regex.is_match(text)).into(),
        // What a path leads to depends on the file system.
        PatternKind::Path(path) => match text.strip_prefix(path.prefix.as_str()) {
            Some(rest) if !rest.is_empty() && (deny || !rest.starts_with(['-', '@'])) => {
                Answer::Unknown
            }
            _ => Answer::No,
        },
    }
}

fn may_begin_with_dash(kind: &PatternKind) -> bool {
    match kind {
        PatternKind::Literal(text) => text.starts_with(['-', '@']),
        PatternKind::OneOf(texts) => texts.iter().any(|it| it.starts_with(['-', '@'])),
        PatternKind::Any { dash } => *dash,
        PatternKind::Regex(regex) => regex.dash,
        PatternKind::Path(path) => path.prefix.starts_with(['-', '@']),
        PatternKind::Int { min, prefix, .. } => {
            prefix.starts_with(['-', '@']) || (prefix.is_empty() && *min < 0)
        }
    }
}

//! Whether an argument vector matches a list of patterns.
//!
//! Backtracking over repeated patterns takes exponential time, and the guest
//! chooses the vector. So every pattern is tried at most once on each token, and
//! what is carried from pattern to pattern is the set of positions that the
//! patterns so far can have reached: time grows with tokens times patterns.

use crate::grant::file::pattern::Pattern;

/// How far a vector got that does not match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::grant) struct Mismatch {
    /// The first argument that no pattern took, or the number of arguments if
    /// more were needed.
    pub(in crate::grant) index: usize,
    /// The patterns that were tried there, by their numbers.
    pub(in crate::grant) tried: Vec<usize>,
}

/// Matches all of `tokens` against all of `patterns`; `accepts` says whether one
/// pattern takes one token.
pub(in crate::grant) fn matches(
    patterns: &[Pattern],
    tokens: &[String],
    mut accepts: impl FnMut(&Pattern, &str) -> bool,
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
mod tests {
    use super::*;
    use crate::error::DeniedItem;
    use crate::grant::file::pattern::Kind;
    use crate::grant::testing::{allowed, component, denied, echo, request};

    /// Checks that `args` allows some vectors and denies others.
    fn check(args: &str, allows: &[&[&str]], denies: &[&[&str]]) {
        let grant = component(&echo(&format!("args = {args}")));
        for vector in allows {
            allowed(&grant, &request(vector));
        }
        for vector in denies {
            assert_eq!(
                denied(&grant, &request(vector)).item,
                DeniedItem::Argument,
                "{vector:?}"
            );
        }
    }

    #[test]
    fn no_pattern_is_no_argument() {
        check("[]", &[&[]], &[&["a"], &[""]]);
        let grant = component(&echo(""));
        allowed(&grant, &request(&[]));
        denied(&grant, &request(&["a"]));
    }

    #[test]
    fn literals_are_exact() {
        check(
            r#"["log", "-n"]"#,
            &[&["log", "-n"]],
            &[&["log"], &["log", "-n", "x"], &["LOG", "-n"]],
        );
        check(r#"[{ literal = "*" }]"#, &[&["*"]], &[&["a"]]);
    }

    #[test]
    fn options_are_not_any() {
        let injections: [&[&str]; 7] = [
            &["--upload-pack=x"],
            &["-exec"],
            &["--checkpoint-action=x"],
            &["-c", "core.sshCommand=x"],
            &["-o", "ProxyCommand=x"],
            &["--config=x"],
            &["@x"],
        ];
        check(r#"["*"]"#, &[&["x"], &[""], &["a-b@c"]], &injections);
        check(r#"["*", "*"]"#, &[&["x", "y"]], &injections);
        check(r#"["**"]"#, &[&[], &["x"], &["x", "y"]], &injections);
        check("[{ rest = true, allow-dash = true }]", &injections, &[]);
        check(
            "[{ any = true, allow-dash = true }]",
            &[&["-x"], &["@x"]],
            &[&["-x", "y"]],
        );
    }

    #[test]
    fn one_of_and_optional() {
        check(
            r#"[{ one-of = ["--oneline", "--stat"], optional = true }, "x"]"#,
            &[&["x"], &["--stat", "x"]],
            &[&["--stat", "--stat", "x"], &["--patch", "x"], &["--stat"]],
        );
    }

    #[test]
    fn integers_have_bounds_and_one_spelling() {
        check(
            r#"[{ int = [1, 1000], prefix = "-n" }]"#,
            &[&["-n1"], &["-n1000"]],
            &[
                &["-n0"],
                &["-n1001"],
                &["-n01"],
                &["-n+1"],
                &["-n 1"],
                &["1"],
                &["-n"],
                &["-n1x"],
            ],
        );
        check(
            "[{ int = [-2, 2] }]",
            &[&["-2"], &["0"]],
            &[&["-0"], &["-3"], &["99999999999999999999"]],
        );
    }

    #[test]
    fn expressions_are_anchored_at_both_ends() {
        check(
            r#"[{ re = "a|b+" }]"#,
            &[&["a"], &["bb"]],
            &[&["ax"], &["xa"], &["b\n"], &["a\nb"], &[""]],
        );
    }

    #[test]
    fn repetition_tries_every_assignment() {
        check(
            r#"[{ one-of = ["a"], repeat = "1..3" }, { one-of = ["a", "b"], repeat = "2..2" }]"#,
            &[
                &["a", "a", "a"],
                &["a", "a", "b"],
                &["a", "a", "a", "b", "b"],
            ],
            &[
                &["a", "a"],
                &["b", "b"],
                &["a", "b", "a", "b"],
                &["a", "a", "a", "a", "b", "b"],
            ],
        );
        check(
            r#"["x", "**"]"#,
            &[&["x"], &["x", "y", "z"]],
            &[&[], &["y"], &["x", "y", "-z"]],
        );
        check(
            r#"[{ literal = "a", repeat = "2.." }]"#,
            &[&["a", "a"], &["a", "a", "a"]],
            &[&["a"]],
        );
    }

    #[test]
    fn a_hostile_vector_takes_no_exponential_time() {
        let repeated = r#"{ one-of = ["a"], repeat = "0..20000" }, "#.repeat(30);
        let grant = component(&echo(&format!("args = [{repeated} \"b\"]")));
        let mut tokens = vec!["a"; 20_000];
        denied(&grant, &request(&tokens));
        tokens.push("b");
        allowed(&grant, &request(&tokens));
    }

    /// The slow and evident way: each pattern takes some tokens, the rest is for
    /// the rest.
    fn backtrack(patterns: &[Pattern], tokens: &[String]) -> bool {
        let Some((first, rest)) = patterns.split_first() else {
            return tokens.is_empty();
        };
        (first.least..=first.most.min(tokens.len())).any(|taken| {
            let (mine, others) = tokens.split_at(taken);
            mine.iter().all(|token| takes(first, token)) && backtrack(rest, others)
        })
    }

    fn takes(pattern: &Pattern, token: &str) -> bool {
        match &pattern.kind {
            Kind::Literal(text) => text == token,
            _ => true,
        }
    }

    #[test]
    fn every_short_vector_is_decided_as_backtracking_would() {
        let mut patterns = Vec::new();
        for kind in [
            Kind::Literal("a".into()),
            Kind::Literal("b".into()),
            Kind::Any { dash: true },
        ] {
            for (least, most) in [(0, 1), (1, 1), (0, 2), (1, 3), (2, 2), (0, usize::MAX)] {
                patterns.push(Pattern {
                    at: None,
                    kind: kind.clone(),
                    least,
                    most,
                });
            }
        }
        // Every vector of up to four tokens: the bits after the leading one.
        let vectors: Vec<Vec<String>> = (1..32u32)
            .map(|bits| {
                let length = 31 - bits.leading_zeros();
                let token = |place| if bits >> place & 1 == 0 { "a" } else { "b" };
                (0..length).map(|place| token(place).to_owned()).collect()
            })
            .collect();
        for first in &patterns {
            for second in &patterns {
                for third in &patterns {
                    let list = [first.clone(), second.clone(), third.clone()];
                    for vector in &vectors {
                        let decided = matches(&list, vector, takes).is_ok();
                        assert_eq!(decided, backtrack(&list, vector), "{list:?} {vector:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_denial_says_where_and_what_would_do() {
        let grant = component(&echo(
            r#"args = ["log", { int = [1, 9], prefix = "-n" }, "**"]"#,
        ));
        let denial = denied(&grant, &request(&["log", "-n5", "a", "--upload-pack=x"]));
        assert!(
            denial
                .reason
                .starts_with("argument 4 is \"--upload-pack=x\""),
            "{}",
            denial.reason
        );
        assert_eq!(denial.nearest.as_deref(), Some("echo"));
        let line = r#"args = ["log", "-n5", "a", "--upload-pack=x"]"#;
        assert_eq!(denial.would_allow.as_deref(), Some(line));
        let denial = denied(&grant, &request(&["log"]));
        assert!(
            denial.reason.contains("after 1 arguments: expected -nN"),
            "{}",
            denial.reason
        );
    }
}

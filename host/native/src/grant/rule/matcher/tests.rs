//! Patterns and vectors, and the matcher compared with a slow and obvious one.

use std::ffi::{OsStr, OsString};

use super::*;
use crate::error::DeniedItem;
use crate::grant::file::pattern::PatternKind;
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
fn without_a_pattern_no_argument_is_allowed() {
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
fn a_wildcard_does_not_take_an_option() {
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
fn an_optional_pattern_takes_at_most_one_of_its_words() {
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
fn a_hostile_vector_does_not_take_exponential_time() {
    let repeated = r#"{ one-of = ["a"], repeat = "0..20000" }, "#.repeat(30);
    let grant = component(&echo(&format!("args = [{repeated} \"b\"]")));
    let mut tokens = vec!["a"; 20_000];
    denied(&grant, &request(&tokens));
    tokens.push("b");
    allowed(&grant, &request(&tokens));
}

/// Matches in a slow and obvious way: each pattern takes some tokens, the other patterns
/// take the rest.
fn backtrack(patterns: &[Pattern], tokens: &[OsString]) -> bool {
    let Some((first, rest)) = patterns.split_first() else {
        return tokens.is_empty();
    };
    (first.min..=first.max.min(tokens.len())).any(|taken| {
        let (mine, others) = tokens.split_at(taken);
        mine.iter().all(|token| takes(first, token)) && backtrack(rest, others)
    })
}

fn takes(pattern: &Pattern, token: &OsStr) -> bool {
    match &pattern.kind {
        PatternKind::Literal(text) => token == text.as_str(),
        _ => true,
    }
}

#[test]
fn every_short_vector_is_decided_as_backtracking_would() {
    let mut patterns = Vec::new();
    for kind in [
        PatternKind::Literal("a".into()),
        PatternKind::Literal("b".into()),
        PatternKind::Any { dash: true },
    ] {
        for (min, max) in [(0, 1), (1, 1), (0, 2), (1, 3), (2, 2), (0, usize::MAX)] {
            patterns.push(Pattern {
                at: None,
                kind: kind.clone(),
                min,
                max,
            });
        }
    }
    // Every vector of up to four tokens, encoded in the bits after the leading one.
    let vectors: Vec<Vec<OsString>> = (1..32u32)
        .map(|bits| {
            let length = 31 - bits.leading_zeros();
            let token = |place| if bits >> place & 1 == 0 { "a" } else { "b" };
            (0..length).map(|place| token(place).into()).collect()
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
fn a_denial_names_the_argument_and_the_line_that_would_allow_it() {
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
    let line = concat!(
        r#"args = ["log", "-n5", "a", "--upload-pack=x"] # or for any such argument: "#,
        r#"args = ["log", { int = [1, 9], prefix = "-n" }, { rest = true, allow-dash = true }]"#
    );
    assert_eq!(denial.would_allow.as_deref(), Some(line));
    let denial = denied(&grant, &request(&["log"]));
    assert!(
        denial.reason.contains("after 1 arguments: expected -nN"),
        "{}",
        denial.reason
    );
}

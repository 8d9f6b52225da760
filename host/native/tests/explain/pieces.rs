//! Patterns of every kind, each with tokens that it matches.
//!
//! Random tokens almost never match random patterns. So a pattern is generated
//! together with tokens, and a request matches by construction.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::string::string_regex;
use serde_json::{Map, Value, json};

use crate::probe::folder;

/// The most tokens that one pattern matches.
const MOST: usize = 3;

/// One pattern of `args`, and tokens that it matches.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) pattern: Value,
    pub(crate) tokens: Vec<String>,
}

/// Regular expressions. Some have alternatives at the top level, which are right
/// only if the whole expression is anchored: `\A(?:...)\z`.
const EXPRESSIONS: [&str; 6] = [
    "a|bc+",
    "[a-z]{1,4}",
    "v[0-9]{1,3}(\\.[0-9]{1,3})?",
    "-[xyz]",
    "é+|",
    "(--)?k=[^\\x00]{0,3}",
];

/// Any text that can be an argument: it has no NUL.
pub(crate) fn text() -> BoxedStrategy<String> {
    prop_oneof![
        4 => "[ -~]{0,10}",
        2 => "\\PC{0,6}",
        1 => "[-@=/*.][a-z\n\t\"'\\\\$;|&]{0,6}",
        1 => "[\u{1}-\u{1f}]{1,3}",
    ]
    .boxed()
}

/// Text that `"*"` matches without `allow-dash`.
fn plain() -> BoxedStrategy<String> {
    text()
        .prop_map(|text| text.trim_start_matches(['-', '@']).to_owned())
        .boxed()
}

/// A list of patterns. With `has_cwd`, relative paths lead below `work`.
pub(crate) fn pieces(has_cwd: bool) -> impl Strategy<Value = Vec<Piece>> {
    let rest = proptest::option::weighted(0.3, rest());
    (vec(repeated(has_cwd), 0..5), rest).prop_map(|(mut pieces, rest)| {
        pieces.extend(rest);
        pieces
    })
}

fn rest() -> impl Strategy<Value = Piece> {
    let open = vec(text(), 0..4).prop_map(|tokens| Piece {
        pattern: json!({ "rest": true, "allow-dash": true }),
        tokens,
    });
    let closed = vec(plain(), 0..4).prop_map(|tokens| Piece {
        pattern: json!("**"),
        tokens,
    });
    prop_oneof![open, closed]
}

/// A pattern of any kind, once, optional, or repeated.
fn repeated(has_cwd: bool) -> impl Strategy<Value = Piece> {
    let modifier = prop_oneof![
        3 => Just((Map::new(), 1)),
        1 => (0..=1usize).prop_map(|count| (object(json!({ "optional": true })), count)),
        1 => (0..=MOST, 0..=MOST, 0..=MOST, any::<bool>()).prop_map(|(a, b, c, bounded)| {
            // Without bounds and from 0 it would be `"**"`, which is valid only at the end.
            let from = usize::from(!bounded);
            let mut sorted = [a.max(from), b.max(from), c.max(1)];
            sorted.sort_unstable();
            let [least, count, most] = sorted;
            let most = if bounded { most.to_string() } else { String::new() };
            (object(json!({ "repeat": format!("{least}..{most}") })), count)
        }),
    ];
    (kind(has_cwd), modifier)
        .prop_map(|((pattern, mut tokens), (modifier, count))| {
            tokens.truncate(count);
            let pattern = match pattern {
                Value::Object(mut table) => {
                    table.extend(modifier);
                    Value::Object(table)
                }
                // A word cannot have a modifier: it matches one token.
                word => word,
            };
            Piece { pattern, tokens }
        })
        .prop_filter("a word stands for one token", |piece| {
            piece.pattern.is_object() || piece.tokens.len() == 1
        })
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

type Kind = (Value, Vec<String>);

fn kind(has_cwd: bool) -> BoxedStrategy<Kind> {
    let literal = text().prop_map(|text| (json!({ "literal": text }), vec![text; MOST]));
    let word = text().prop_map(|text| match text.as_str() {
        "*" | "**" => (json!({ "literal": text }), vec![text; MOST]),
        _ => (json!(text), vec![text]),
    });
    let star = plain().prop_map(|text| (json!("*"), vec![text]));
    let other = vec(plain(), MOST).prop_map(|tokens| (json!({ "any": true }), tokens));
    let dash =
        vec(text(), MOST).prop_map(|tokens| (json!({ "any": true, "allow-dash": true }), tokens));
    let one_of =
        (vec(text(), 1..4), vec(any::<prop::sample::Index>(), MOST)).prop_map(|(texts, picks)| {
            let tokens = picks.iter().map(|pick| pick.get(&texts).clone()).collect();
            (json!({ "one-of": texts }), tokens)
        });
    let re = prop::sample::select(&EXPRESSIONS[..]).prop_flat_map(|re| {
        let tokens = string_regex(re).expect("the expression is valid");
        (
            Just(json!({ "re": re, "allow-dash": true })),
            vec(tokens, MOST),
        )
    });
    prop_oneof![
        literal,
        word,
        star,
        other,
        dash,
        one_of,
        re,
        int(),
        path(has_cwd)
    ]
    .boxed()
}

fn int() -> impl Strategy<Value = Kind> {
    let prefix = prop::sample::select(&["", "-n", "--count="][..]);
    let bounds = prop_oneof![(-9..9i64, 0..9i64), (any::<i64>(), Just(i64::MAX))];
    (prefix, bounds, vec(any::<prop::sample::Index>(), MOST)).prop_map(
        |(prefix, (least, more), picks)| {
            let most = least.saturating_add(more);
            let span = usize::try_from(most.abs_diff(least)).unwrap_or(usize::MAX);
            let pick = |pick: &prop::sample::Index| {
                let offset = i128::try_from(pick.index(span.saturating_add(1))).unwrap_or(0);
                format!("{prefix}{}", i128::from(least) + offset)
            };
            let mut table = object(json!({ "int": [least, most] }));
            if !prefix.is_empty() {
                table.insert("prefix".into(), json!(prefix));
            }
            (Value::Object(table), picks.iter().map(pick).collect())
        },
    )
}

fn path(has_cwd: bool) -> impl Strategy<Value = Kind> {
    let work = folder().join("work");
    let at = move |name: &str| format!("{}/{name}", work.display());
    let mut read: Vec<String> = ["", "file", "sub/deep/../new/x", "link/deep", "./sub"]
        .map(&at)
        .into();
    if has_cwd {
        read.extend([".", "here", "./-x", "new/file"].map(str::to_owned));
    }
    let write = ["write", "write/new", "write/../write/x"].map(&at).to_vec();
    let prefix = prop::sample::select(&["", "--file=", "@"][..]);
    (any::<bool>(), prefix).prop_flat_map(move |(writes, prefix)| {
        let (under, access, paths) = match writes {
            true => (at("write"), "write", write.clone()),
            false => (at(""), "read", read.clone()),
        };
        let pattern = json!({ "path": { "under": [under], "access": access }, "prefix": prefix });
        let token = prop::sample::select(paths).prop_map(move |path| format!("{prefix}{path}"));
        (Just(pattern), vec(token, MOST))
    })
}

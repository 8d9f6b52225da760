//! One element of a command's `args`: which arguments it takes, and how many.

use std::fmt;

use regex::Regex;

use super::diagnostics::{Diagnostics, Offset};
use super::table::{self, Fields};
use super::tree::{Node, NodeValue};
use super::units;

/// A pattern that takes a number of tokens, that is arguments.
#[derive(Debug, Clone)]
pub(in crate::grant) struct Pattern {
    pub(in crate::grant) at: Offset,
    pub(in crate::grant) kind: PatternKind,
    /// The least number of tokens.
    pub(in crate::grant) min: usize,
    /// The greatest number of tokens.
    pub(in crate::grant) max: usize,
}

/// Which tokens a pattern takes.
#[derive(Debug, Clone)]
pub(in crate::grant) enum PatternKind {
    Literal(String),
    /// Any token; one that begins with `-` or `@` only if `dash` is set.
    Any {
        dash: bool,
    },
    OneOf(Vec<String>),
    Int {
        min: i64,
        max: i64,
        prefix: String,
    },
    Path(PathPattern),
    Regex(RegexPattern),
}

/// Tokens that an expression matches as a whole.
#[derive(Debug, Clone)]
pub(in crate::grant) struct RegexPattern {
    /// The expression as it is written.
    pub(in crate::grant) text: String,
    /// The expression compiled with anchors.
    pub(in crate::grant) regex: Regex,
    /// Whether it takes tokens that begin with `-` or `@`.
    pub(in crate::grant) dash: bool,
}

/// Tokens that name a file below a root.
#[derive(Debug, Clone)]
pub(in crate::grant) struct PathPattern {
    /// The roots as they are written.
    pub(in crate::grant) under: Vec<table::Text>,
    /// The roots resolved; empty until the grant is compiled.
    pub(in crate::grant) real: Vec<std::path::PathBuf>,
    pub(in crate::grant) write: bool,
    pub(in crate::grant) prefix: String,
}

const KINDS: [&str; 7] = ["literal", "any", "rest", "one-of", "int", "path", "re"];

impl Pattern {
    /// Takes the patterns of `key`; none if it is absent.
    pub(in crate::grant) fn take_all(
        fields: &mut Fields<'_>,
        key: &'static str,
        out: &mut Diagnostics<'_>,
    ) -> Vec<Self> {
        let Some(items) = fields
            .take(key)
            .and_then(|node| table::array(node, key, out))
        else {
            return Vec::new();
        };
        let patterns: Vec<Self> = items
            .iter()
            .filter_map(|item| Self::read(item, out))
            .collect();
        for pattern in patterns.iter().rev().skip(1) {
            if pattern.is_rest() {
                out.push(
                    pattern.at,
                    "\"**\" takes all remaining arguments: it must come last",
                );
            }
        }
        patterns
    }

    /// Returns the pattern for any number of any arguments.
    pub(in crate::grant) fn anything(at: Offset) -> Self {
        Self {
            at,
            kind: PatternKind::Any { dash: true },
            min: 0,
            max: usize::MAX,
        }
    }

    /// Returns whether this takes arguments that the grant does not list: any, or those that
    /// match an expression which matches any text.
    pub(in crate::grant) fn is_wild(&self) -> bool {
        match &self.kind {
            PatternKind::Any { .. } => true,
            PatternKind::Regex(pattern) => matches_any_text(&pattern.regex),
            _ => false,
        }
    }

    /// Returns the same pattern, which also takes tokens that begin with `-` or `@`; none if it does
    /// already, or never may.
    pub(in crate::grant) fn with_dash(&self) -> Option<Self> {
        let mut pattern = self.clone();
        match &mut pattern.kind {
            PatternKind::Any { dash } | PatternKind::Regex(RegexPattern { dash, .. }) if !*dash => {
                *dash = true;
                Some(pattern)
            }
            _ => None,
        }
    }

    /// Returns whether this is `"**"`.
    fn is_rest(&self) -> bool {
        matches!(self.kind, PatternKind::Any { .. }) && self.min == 0 && self.max == usize::MAX
    }

    fn read(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        let at = node.at;
        let once = |kind| Self {
            at,
            kind,
            min: 1,
            max: 1,
        };
        match &node.value {
            NodeValue::Table(_) => Self::read_table(node, out),
            _ => {
                let text = table::string(node, "args", out)?;
                Some(match text.value.as_str() {
                    "*" => once(PatternKind::Any { dash: false }),
                    "**" => Self {
                        min: 0,
                        max: usize::MAX,
                        ..once(PatternKind::Any { dash: false })
                    },
                    _ => once(PatternKind::Literal(text.value)),
                })
            }
        }
    }

    fn read_table(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        let mut fields = Fields::open(node, "a pattern", out)?;
        let before = out.len();
        let kinds: Vec<_> = KINDS.into_iter().filter(|kind| fields.has(kind)).collect();
        KINDS.into_iter().for_each(|kind| fields.know(kind));
        let [kind] = kinds[..] else {
            out.push(
                node.at,
                format!("a pattern must have exactly one of {}", KINDS.join(", ")),
            );
            return None;
        };
        let read = match kind {
            "any" | "rest" => {
                if !fields.flag(kind, out) {
                    out.push(node.at, format!("`{kind}` must be true"));
                }
                let dash = fields.flag("allow-dash", out);
                Some(PatternKind::Any { dash })
            }
            "literal" => fields
                .string(kind, out)
                .map(|text| PatternKind::Literal(text.value)),
            "one-of" => fields.strings(kind, out).map(|texts| {
                if texts.is_empty() {
                    out.push(node.at, "`one-of` needs at least one string");
                }
                PatternKind::OneOf(texts.into_iter().map(|text| text.value).collect())
            }),
            "int" => read_int(&mut fields, out),
            "path" => read_path(&mut fields, out),
            _ => fields.string(kind, out).and_then(|text| {
                // Compiled alone first: an unbalanced `)` could close the group below.
                let alone = Regex::new(&text.value);
                let whole = alone.and_then(|_| Regex::new(&format!(r"\A(?:{})\z", text.value)));
                let dash = fields.flag("allow-dash", out);
                if !dash && begins_with_dash(&text.value) {
                    out.push(
                        text.at,
                        "`re` begins with `-` or `@`, which only `allow-dash = true` admits: add it, \
                         or write the options as strings or as `one-of`",
                    );
                }
                match whole {
                    Ok(regex) => Some(PatternKind::Regex(RegexPattern {
                        text: text.value,
                        regex,
                        dash,
                    })),
                    Err(error) => {
                        let error = error.to_string();
                        let reason = error.lines().last().unwrap_or_default();
                        out.push(
                            text.at,
                            format!("`re` is not a regular expression: {reason}"),
                        );
                        None
                    }
                }
            }),
        };
        let (mut min, mut max) = if kind == "rest" {
            (0, usize::MAX)
        } else {
            (1, 1)
        };
        if kind != "rest" {
            let repeat = fields.with_unit("repeat", units::repeat, out);
            let optional = fields.flag("optional", out);
            match (repeat, optional) {
                (Some(_), true) => {
                    out.push(node.at, "`repeat` and `optional` cannot be used together")
                }
                (Some(range), false) => (min, max) = range,
                (None, true) => (min, max) = (0, 1),
                (None, false) => {}
            }
        }
        fields.finish(&format!("a pattern with `{kind}`"), out);
        let kind = read.filter(|_| out.len() == before)?;
        Some(Self {
            at: node.at,
            kind,
            min,
            max,
        })
    }
}

/// Texts that nobody who lists arguments by an expression wants to allow: each of the beginnings with each of the rests.
/// An expression that matches one of them stands for any text.
const BEGINNINGS: [&str; 10] = ["", "k", "K", "9", "/", ".", "_", ";", "(", "\u{e9}"];
const RESTS: [&str; 4] = [
    "$;",
    "x(Z)='$&|<w`,9\"",
    "x (Z) = '$&|<w` ,9\" ; y",
    "x(Z)='$&|<w`,9\";y(Z)='$&|<w`,9\";z(Z)='$&|<w`,9\";x(Z)='$&|<w`,9\";y(Z)='$&|<w`,9\";z",
];

/// Returns whether an expression matches, in effect, any text, as `.*`, `[^/]+` and `\S{1,200}` do.
fn matches_any_text(regex: &Regex) -> bool {
    let mut texts = BEGINNINGS
        .iter()
        .flat_map(|begin| RESTS.iter().map(move |rest| format!("{begin}{rest}")));
    texts.any(|text| regex.is_match(&text))
}

/// Returns whether every match of an expression begins with `-` or `@`, as far as its own beginning tells.
fn begins_with_dash(expression: &str) -> bool {
    let beginning = expression.trim_start_matches(['^', '\\']);
    beginning.starts_with(['-', '@']) && !expression.contains('|')
}

fn read_int(fields: &mut Fields<'_>, out: &mut Diagnostics<'_>) -> Option<PatternKind> {
    let node = fields.take("int")?;
    let prefix = fields
        .string("prefix", out)
        .map(|text| text.value)
        .unwrap_or_default();
    let items = table::array(node, "int", out)?;
    match items.iter().map(|item| &item.value).collect::<Vec<_>>()[..] {
        [NodeValue::Integer(min), NodeValue::Integer(max)] if min <= max => {
            Some(PatternKind::Int {
                min: *min,
                max: *max,
                prefix,
            })
        }
        _ => {
            out.push(
                node.at,
                "`int` must be a minimum and a maximum, such as [1, 1000]",
            );
            None
        }
    }
}

fn read_path(fields: &mut Fields<'_>, out: &mut Diagnostics<'_>) -> Option<PatternKind> {
    let node = fields.take("path")?;
    let prefix = fields
        .string("prefix", out)
        .map(|text| text.value)
        .unwrap_or_default();
    let mut inner = Fields::open(node, "`path`", out)?;
    let under = inner.strings("under", out).unwrap_or_default();
    let write = inner.word("access", [("read", false), ("write", true)], out);
    inner.finish("`path`", out);
    if under.is_empty() {
        out.push(
            node.at,
            "`path` needs `under`, the roots below which the path must lie",
        );
    }
    let write = write.unwrap_or(false);
    Some(PatternKind::Path(PathPattern {
        under,
        real: Vec::new(),
        write,
        prefix,
    }))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            PatternKind::Any { dash } if self.is_rest() => {
                return f.write_str(match dash {
                    true => "any further arguments",
                    false => "any further arguments without a leading - or @",
                });
            }
            PatternKind::Literal(text) => write!(f, "{text:?}"),
            PatternKind::Any { dash: true } => f.write_str("any argument"),
            PatternKind::Any { dash: false } => {
                f.write_str("any argument without a leading - or @")
            }
            PatternKind::OneOf(texts) => write!(f, "one of {texts:?}"),
            PatternKind::Int { min, max, prefix } => {
                write!(f, "{prefix}N with N from {min} to {max}")
            }
            PatternKind::Path(path) => {
                let under: Vec<_> = path.under.iter().map(|text| &text.value).collect();
                write!(f, "{}PATH below one of {under:?}", path.prefix)
            }
            PatternKind::Regex(pattern) => {
                let text = &pattern.text;
                match pattern.dash {
                    true => write!(f, "a match of /{text}/"),
                    false => write!(f, "a match of /{text}/ without a leading - or @"),
                }
            }
        }?;
        match (self.min, self.max) {
            (1, 1) => Ok(()),
            (0, 1) => f.write_str(" (optional)"),
            (min, usize::MAX) => write!(f, " ({min} times or more)"),
            (min, max) => write!(f, " ({min} to {max} times)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::grant::testing::{echo, load, refused};

    fn wrong(args: &str) -> String {
        refused(&echo(&format!("args = {args}")))
    }

    #[test]
    fn a_pattern_has_one_kind() {
        load(&echo("args = [{ any = true }]")).expect("it has one kind");
        for args in [
            "[{}]",
            "[{ any = true, rest = true }]",
            "[{ optional = true }]",
        ] {
            assert!(wrong(args).contains("exactly one of"), "{args}");
        }
        assert!(wrong("[{ any = false }]").contains("must be true"));
        assert!(wrong("[1]").contains("must be a string"));
        assert!(wrong("\"x y\"").contains("an array"));
    }

    #[test]
    fn nothing_may_follow_a_rest_pattern() {
        load(&echo(r#"args = ["a", "**"]"#)).expect("it is last");
        assert!(wrong(r#"["**", "a"]"#).contains(":5:9: \"**\" takes all"));
        assert!(wrong("[{ rest = true }, \"a\"]").contains("takes all remaining"));
        assert!(wrong("[{ rest = true, repeat = \"0..2\" }]").contains("unknown key `repeat`"));
    }

    #[test]
    fn expressions_cannot_escape_their_anchors() {
        load(&echo(r#"args = [{ re = "(a)|(b)" }]"#)).expect("it is balanced");
        assert!(wrong(r#"[{ re = "a)|(?:.*" }]"#).contains("not a regular expression"));
        assert!(wrong(r#"[{ re = "(?x)a#" }]"#).contains("not a regular expression"));
    }

    #[test]
    fn a_modifier_of_another_kind_is_an_unknown_key() {
        assert!(wrong(r#"[{ literal = "a", prefix = "b" }]"#).contains("unknown key `prefix`"));
        assert!(
            wrong(r#"[{ int = [1, 2], allow-dash = true }]"#).contains("unknown key `allow-dash`")
        );
        assert!(
            wrong(r#"[{ any = true, repeat = "0..2", optional = true }]"#)
                .contains("cannot be used together")
        );
        assert!(wrong("[{ int = [2, 1] }]").contains("a minimum and a maximum"));
        assert!(wrong("[{ one-of = [] }]").contains("at least one"));
        assert!(wrong(r#"[{ path = { access = "read" } }]"#).contains("`under`"));
        assert!(
            wrong(r#"[{ path = { under = ["/usr"], access = "reed" } }]"#)
                .contains("did you mean `read`")
        );
    }

    #[test]
    fn an_expression_that_takes_options_alone_needs_allow_dash() {
        for expression in ["-n[0-9]+", "^--?x", "@[a-z]+", r"\\-n"] {
            let without = format!(r#"[{{ re = "{expression}" }}]"#);
            assert!(
                wrong(&without).contains("`allow-dash = true`"),
                "{expression}"
            );
            let with = format!(r#"args = [{{ re = "{expression}", allow-dash = true }}]"#);
            load(&echo(&with)).expect("it has the flag");
        }
        load(&echo(r#"args = [{ re = "-n|n" }]"#)).expect("one of the two begins with a letter");
        load(&echo(r#"args = [{ re = "[a-z]-[0-9]" }]"#)).expect("it begins with a letter");
    }

    #[test]
    fn an_expression_that_matches_any_text_counts_as_any() {
        let is_wild = |expression: &str| {
            let regex = regex::Regex::new(&format!(r"\A(?:{expression})\z"));
            super::matches_any_text(&regex.expect("an expression"))
        };
        for wild in [
            ".*",
            ".+",
            "(?s).*",
            "^.*$",
            r"\S+",
            r"[^/]*",
            r"[\s\S]*",
            ".{0,4096}",
            "[^-].*",
            "[ -~]+",
            "(.|x)+",
            "a|.*",
            r"\PC*",
            "[^a]*",
            "[a-z].*",
            "/.*",
            ".{1,40}",
        ] {
            assert!(is_wild(wild), "{wild}");
        }
        for listed in [
            "[a-z]+",
            r"\w+",
            "[0-9]{1,3}",
            r"[\w./-]+\.py",
            "(log|show)",
            "v[0-9.]+",
            "--file=.*",
            "[A-Za-z0-9_ ]+",
        ] {
            assert!(!is_wild(listed), "{listed}");
        }
    }
}

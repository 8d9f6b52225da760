//! One element of a command's `args`: what a token must look like, and how often.

use std::fmt;

use regex::Regex;

use super::diagnostics::{At, Diagnostics};
use super::table::{self, Fields};
use super::tree::{Node, Value};
use super::units;

/// A pattern of one or more tokens.
#[derive(Debug, Clone)]
pub(in crate::grant) struct Pattern {
    pub(in crate::grant) at: At,
    pub(in crate::grant) kind: Kind,
    /// At least so many tokens.
    pub(in crate::grant) least: usize,
    /// At most so many tokens.
    pub(in crate::grant) most: usize,
}

/// What one token must look like.
#[derive(Debug, Clone)]
pub(in crate::grant) enum Kind {
    Literal(String),
    /// Anything; what begins with `-` or `@` only if `dash`.
    Any {
        dash: bool,
    },
    OneOf(Vec<String>),
    Int {
        least: i64,
        most: i64,
        prefix: String,
    },
    Path(PathPattern),
    /// The expression as written, and compiled with anchors.
    Regex(String, Regex),
}

/// A token that names a file.
#[derive(Debug, Clone)]
pub(in crate::grant) struct PathPattern {
    /// The roots as written.
    pub(in crate::grant) under: Vec<table::Text>,
    /// The roots resolved, once the grant is compiled.
    pub(in crate::grant) real: Vec<std::path::PathBuf>,
    pub(in crate::grant) write: bool,
    pub(in crate::grant) prefix: String,
}

const KINDS: [&str; 7] = ["literal", "any", "rest", "one-of", "int", "path", "re"];

impl Pattern {
    /// Reads the patterns of `key`; none where it is absent.
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
                    "\"**\" takes all that is left: nothing can follow it",
                );
            }
        }
        patterns
    }

    /// Whether this lets through what nobody has foreseen.
    pub(in crate::grant) fn is_wild(&self) -> bool {
        matches!(self.kind, Kind::Any { .. })
    }

    /// Whether this is `"**"`.
    fn is_rest(&self) -> bool {
        matches!(self.kind, Kind::Any { .. }) && self.least == 0 && self.most == usize::MAX
    }

    fn read(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        let at = node.at;
        let once = |kind| Self {
            at,
            kind,
            least: 1,
            most: 1,
        };
        match &node.value {
            Value::Table(_) => Self::read_table(node, out),
            _ => {
                let text = table::string(node, "args", out)?;
                Some(match text.value.as_str() {
                    "*" => once(Kind::Any { dash: false }),
                    "**" => Self {
                        least: 0,
                        most: usize::MAX,
                        ..once(Kind::Any { dash: false })
                    },
                    _ => once(Kind::Literal(text.value)),
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
                format!("a pattern has exactly one of {}", KINDS.join(", ")),
            );
            return None;
        };
        let read = match kind {
            "any" | "rest" => {
                if !fields.flag(kind, out) {
                    out.push(node.at, format!("`{kind}` can only be true"));
                }
                let dash = fields.flag("allow-dash", out);
                Some(Kind::Any { dash })
            }
            "literal" => fields
                .string(kind, out)
                .map(|text| Kind::Literal(text.value)),
            "one-of" => fields.strings(kind, out).map(|texts| {
                if texts.is_empty() {
                    out.push(node.at, "`one-of` needs at least one string");
                }
                Kind::OneOf(texts.into_iter().map(|text| text.value).collect())
            }),
            "int" => read_int(&mut fields, out),
            "path" => read_path(&mut fields, out),
            _ => fields.string(kind, out).and_then(|text| {
                // Alone first: what is unbalanced could close the group below.
                let alone = Regex::new(&text.value);
                let whole = alone.and_then(|_| Regex::new(&format!(r"\A(?:{})\z", text.value)));
                match whole {
                    Ok(regex) => Some(Kind::Regex(text.value, regex)),
                    Err(error) => {
                        let error = error.to_string();
                        let reason = error.lines().last().unwrap_or_default();
                        out.push(text.at, format!("`re` is no regular expression: {reason}"));
                        None
                    }
                }
            }),
        };
        let (mut least, mut most) = if kind == "rest" {
            (0, usize::MAX)
        } else {
            (1, 1)
        };
        if kind != "rest" {
            let repeat = fields.with_unit("repeat", units::repeat, out);
            let optional = fields.flag("optional", out);
            match (repeat, optional) {
                (Some(_), true) => out.push(node.at, "`repeat` and `optional` exclude each other"),
                (Some(range), false) => (least, most) = range,
                (None, true) => (least, most) = (0, 1),
                (None, false) => {}
            }
        }
        fields.finish(&format!("a pattern with `{kind}`"), out);
        let kind = read.filter(|_| out.len() == before)?;
        Some(Self {
            at: node.at,
            kind,
            least,
            most,
        })
    }
}

fn read_int(fields: &mut Fields<'_>, out: &mut Diagnostics<'_>) -> Option<Kind> {
    let node = fields.take("int")?;
    let prefix = fields
        .string("prefix", out)
        .map(|text| text.value)
        .unwrap_or_default();
    let items = table::array(node, "int", out)?;
    match items.iter().map(|item| &item.value).collect::<Vec<_>>()[..] {
        [Value::Integer(least), Value::Integer(most)] if least <= most => Some(Kind::Int {
            least: *least,
            most: *most,
            prefix,
        }),
        _ => {
            out.push(
                node.at,
                "`int` is the least and the most, such as [1, 1000]",
            );
            None
        }
    }
}

fn read_path(fields: &mut Fields<'_>, out: &mut Diagnostics<'_>) -> Option<Kind> {
    let node = fields.take("path")?;
    let prefix = fields
        .string("prefix", out)
        .map(|text| text.value)
        .unwrap_or_default();
    let mut inner = Fields::open(node, "`path`", out)?;
    let under = inner.strings("under", out).unwrap_or_default();
    let write = inner.word("access", &[("read", false), ("write", true)], out);
    inner.finish("`path`", out);
    if under.is_empty() {
        out.push(
            node.at,
            "`path` needs `under`, the roots below which it must lie",
        );
    }
    let write = write.unwrap_or(false);
    Some(Kind::Path(PathPattern {
        under,
        real: Vec::new(),
        write,
        prefix,
    }))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Any { .. } if self.is_rest() => return f.write_str("any further arguments"),
            Kind::Literal(text) => write!(f, "{text:?}"),
            Kind::Any { dash: true } => f.write_str("any argument"),
            Kind::Any { dash: false } => f.write_str("any argument without a leading - or @"),
            Kind::OneOf(texts) => write!(f, "one of {texts:?}"),
            Kind::Int {
                least,
                most,
                prefix,
            } => {
                write!(f, "{prefix}N with N from {least} to {most}")
            }
            Kind::Path(path) => {
                let under: Vec<_> = path.under.iter().map(|text| &text.value).collect();
                write!(f, "{}PATH below one of {under:?}", path.prefix)
            }
            Kind::Regex(text, _) => write!(f, "a match of /{text}/"),
        }?;
        match (self.least, self.most) {
            (1, 1) => Ok(()),
            (0, 1) => f.write_str(" (optional)"),
            (least, usize::MAX) => write!(f, " ({least} times or more)"),
            (least, most) => write!(f, " ({least} to {most} times)"),
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
    fn a_pattern_is_one_thing() {
        load(&echo("args = [{ any = true }]")).expect("it is one thing");
        for args in [
            "[{}]",
            "[{ any = true, rest = true }]",
            "[{ optional = true }]",
        ] {
            assert!(wrong(args).contains("exactly one of"), "{args}");
        }
        assert!(wrong("[{ any = false }]").contains("can only be true"));
        assert!(wrong("[1]").contains("a string is needed"));
        assert!(wrong("\"x y\"").contains("an array"));
    }

    #[test]
    fn nothing_follows_the_rest() {
        load(&echo(r#"args = ["a", "**"]"#)).expect("it is last");
        assert!(wrong(r#"["**", "a"]"#).contains(":5:9: \"**\" takes all"));
        assert!(wrong("[{ rest = true }, \"a\"]").contains("takes all"));
        assert!(wrong("[{ rest = true, repeat = \"0..2\" }]").contains("unknown key `repeat`"));
    }

    #[test]
    fn expressions_cannot_escape_their_anchors() {
        load(&echo(r#"args = [{ re = "(a)|(b)" }]"#)).expect("it is balanced");
        assert!(wrong(r#"[{ re = "a)|(?:.*" }]"#).contains("no regular expression"));
        assert!(wrong(r#"[{ re = "(?x)a#" }]"#).contains("no regular expression"));
    }

    #[test]
    fn modifiers_belong_to_their_kinds() {
        assert!(wrong(r#"[{ literal = "a", prefix = "b" }]"#).contains("unknown key `prefix`"));
        assert!(wrong(r#"[{ re = "a", allow-dash = true }]"#).contains("unknown key `allow-dash`"));
        assert!(wrong(r#"[{ any = true, repeat = "0..2", optional = true }]"#).contains("exclude"));
        assert!(wrong("[{ int = [2, 1] }]").contains("the least and the most"));
        assert!(wrong("[{ one-of = [] }]").contains("at least one"));
        assert!(wrong(r#"[{ path = { access = "read" } }]"#).contains("`under`"));
        assert!(
            wrong(r#"[{ path = { under = ["/usr"], access = "reed" } }]"#)
                .contains("did you mean `read`")
        );
    }
}

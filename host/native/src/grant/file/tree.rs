//! A grant's text as a tree that keeps the place of each key and value.
//!
//! An operator who corrects a grant wants all mistakes with their places at once. TOML,
//! JSON and any serde value become one tree, which [`super::table`] reads by hand.
//!
//! Serde's derived readers were rejected: they stop at the first mistake and lose the place
//! of most values. So were `toml-span` and `jsonc-parser`. They keep places, but each has a
//! tree of its own, and a serde value ([`Node::deserialize`]) has neither: both trees would
//! still have to be converted to this one, or the reader written twice.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use toml::de::{DeTable, DeValue};

use super::diagnostics::Offset;

/// A value and its place.
#[derive(Debug, Clone)]
pub(in crate::grant) struct Node {
    pub(in crate::grant) at: Offset,
    pub(in crate::grant) value: NodeValue,
}

/// A key and its place.
#[derive(Debug, Clone)]
pub(in crate::grant) struct NodeKey {
    pub(in crate::grant) at: Offset,
    pub(in crate::grant) name: String,
}

#[derive(Debug, Clone)]
pub(in crate::grant) enum NodeValue {
    String(String),
    Integer(i64),
    Boolean(bool),
    Array(Vec<Node>),
    Table(Vec<(NodeKey, Node)>),
    Null,
    /// A value of a type that no grant uses, by what a message calls it.
    Other(&'static str),
}

impl NodeValue {
    /// Returns what a message calls this type.
    pub(in crate::grant) fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "a string",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
            Self::Null => "null",
            Self::Other(kind) => kind,
        }
    }
}

impl Node {
    pub(in crate::grant) fn is_null(&self) -> bool {
        matches!(self.value, NodeValue::Null)
    }

    /// Parses TOML into a tree, and reports every syntax error to `wrong`.
    pub(in crate::grant) fn from_toml(text: &str, mut wrong: impl FnMut(Offset, String)) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            wrong(
                error.span().map(|span| span.start),
                error.message().to_owned(),
            );
        }
        let at = Some(table.span().start);
        Self {
            at,
            value: from_toml_table(table.get_ref()),
        }
    }

    /// Parses JSON into a tree.
    pub(in crate::grant) fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        let mut node: Self = serde_json::from_str(text)?;
        node.locate(text.as_bytes(), 0);
        Ok(node)
    }

    /// Sets the place of each part of a JSON value that was parsed from `text[at..]`, and
    /// returns the offset after the value. The text must be valid JSON.
    fn locate(&mut self, text: &[u8], at: usize) -> usize {
        let start = skip(text, at, b"");
        self.at = Some(start);
        match &mut self.value {
            NodeValue::Array(items) => {
                let mut at = start + 1;
                for item in items {
                    at = skip(text, item.locate(text, at), b",");
                }
                skip(text, at, b"") + 1
            }
            NodeValue::Table(entries) => {
                let mut at = start + 1;
                for (key, value) in entries {
                    at = skip(text, at, b"");
                    key.at = Some(at);
                    at = skip(text, string_end(text, at), b":");
                    at = skip(text, value.locate(text, at), b",");
                }
                skip(text, at, b"") + 1
            }
            NodeValue::String(_) => string_end(text, start),
            _ => {
                let ends =
                    |byte: &u8| matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace();
                text[start..]
                    .iter()
                    .position(ends)
                    .map_or(text.len(), |length| start + length)
            }
        }
    }
}

/// Returns the first offset, from `at`, of a byte that is neither blank nor in `also`.
fn skip(text: &[u8], at: usize, also: &[u8]) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let blank = |byte: &u8| byte.is_ascii_whitespace() || also.contains(byte);
    at + rest
        .iter()
        .position(|byte| !blank(byte))
        .unwrap_or(rest.len())
}

/// Returns the offset after the JSON string that begins at `at`.
fn string_end(text: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(byte) = text.get(end) {
        match byte {
            b'"' => return end + 1,
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
    text.len()
}

fn from_toml_table(table: &DeTable<'_>) -> NodeValue {
    let entry = |(key, value): (
        &toml::Spanned<toml::de::DeString<'_>>,
        &toml::Spanned<DeValue<'_>>,
    )| {
        let key = NodeKey {
            at: Some(key.span().start),
            name: key.get_ref().clone().into_owned(),
        };
        let node = Node {
            at: Some(value.span().start),
            value: from_toml_value(value.get_ref()),
        };
        (key, node)
    };
    NodeValue::Table(table.iter().map(entry).collect())
}

fn from_toml_value(value: &DeValue<'_>) -> NodeValue {
    match value {
        DeValue::String(text) => NodeValue::String(text.clone().into_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => NodeValue::Integer(number),
            Err(_) => NodeValue::Other("a number beyond 64 bits"),
        },
        DeValue::Float(_) => NodeValue::Other("a number with a fraction"),
        DeValue::Boolean(value) => NodeValue::Boolean(*value),
        DeValue::Datetime(_) => NodeValue::Other("a date"),
        DeValue::Array(items) => NodeValue::Array(
            items
                .iter()
                .map(|item| Node {
                    at: Some(item.span().start),
                    value: from_toml_value(item.get_ref()),
                })
                .collect(),
        ),
        DeValue::Table(table) => from_toml_table(table),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = deserializer.deserialize_any(ValueVisitor)?;
        Ok(Self { at: None, value })
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = NodeValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a grant")
    }

    fn visit_bool<E>(self, value: bool) -> Result<NodeValue, E> {
        Ok(NodeValue::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<NodeValue, E> {
        Ok(NodeValue::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<NodeValue, E> {
        Ok(match i64::try_from(value) {
            Ok(value) => NodeValue::Integer(value),
            Err(_) => NodeValue::Other("a number beyond 64 bits"),
        })
    }

    fn visit_f64<E>(self, _: f64) -> Result<NodeValue, E> {
        Ok(NodeValue::Other("a number with a fraction"))
    }

    fn visit_str<E>(self, value: &str) -> Result<NodeValue, E> {
        Ok(NodeValue::String(value.to_owned()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<NodeValue, E> {
        Ok(NodeValue::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<NodeValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(NodeValue::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NodeValue, A::Error> {
        let mut entries = Vec::new();
        while let Some((name, value)) = map.next_entry()? {
            entries.push((NodeKey { at: None, name }, value));
        }
        Ok(NodeValue::Table(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_json_tree_has_its_place() {
        let text = r#" { "a\"b" : [ 1 , "x" ], "c": {"d": true} } "#;
        let node = Node::from_json(text).expect("it is valid");
        let NodeValue::Table(entries) = &node.value else {
            panic!("it is a table")
        };
        let text_at = |at: Offset| &text[at.expect("it has a place")..];
        assert!(text_at(entries[0].0.at).starts_with(r#""a\"b""#));
        let NodeValue::Array(items) = &entries[0].1.value else {
            panic!("it is an array")
        };
        assert!(text_at(items[1].at).starts_with(r#""x""#));
        assert!(text_at(entries[1].0.at).starts_with(r#""c""#));
        let NodeValue::Table(inner) = &entries[1].1.value else {
            panic!("it is a table")
        };
        assert!(text_at(inner[0].1.at).starts_with("true"));
    }
}

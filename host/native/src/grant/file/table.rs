//! Reads one table of the grant file, key by key. A key that no code has asked for is
//! reported as unknown, so no list of known keys has to be kept.

use std::collections::BTreeMap;
use std::time::Duration;

use super::diagnostics::{Diagnostics, Offset};
use super::nearest::did_you_mean;
use super::tree::{Node, NodeKey, NodeValue};
use super::units;

/// A table that is being read.
#[derive(Debug)]
pub(in crate::grant) struct Fields<'n> {
    at: Offset,
    entries: &'n [(NodeKey, Node)],
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Opens a table; reports a node that is not one under `name`.
    pub(in crate::grant) fn open(
        node: &'n Node,
        name: &str,
        out: &mut Diagnostics<'_>,
    ) -> Option<Self> {
        let NodeValue::Table(entries) = &node.value else {
            out.push(
                node.at,
                format!("{name} must be a table, not {}", node.value.kind()),
            );
            return None;
        };
        for (index, (key, _)) in entries.iter().enumerate() {
            if entries[..index]
                .iter()
                .any(|(earlier, _)| earlier.name == key.name)
            {
                out.push(key.at, format!("duplicate key `{}`", key.name));
            }
        }
        Some(Self {
            at: node.at,
            entries,
            known: Vec::new(),
        })
    }

    /// Returns the place of the table.
    pub(in crate::grant) fn at(&self) -> Offset {
        self.at
    }

    /// Makes `key` known, and returns its value.
    pub(in crate::grant) fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        self.know(key);
        self.find(key)
    }

    /// Returns every key with its value.
    pub(in crate::grant) fn entries(&self) -> impl Iterator<Item = &'n (NodeKey, Node)> + use<'n> {
        self.entries.iter()
    }

    /// Makes `key` known without reading it.
    pub(in crate::grant) fn know(&mut self, key: &'static str) {
        self.known.push(key);
    }

    /// Returns whether `key` is present, without making it known.
    pub(in crate::grant) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Finds the value of `key`. Null counts as absent: JSON writers use it for what they
    /// leave out.
    fn find(&self, key: &str) -> Option<&'n Node> {
        let (_, node) = self.entries.iter().find(|(entry, _)| entry.name == key)?;
        (!node.is_null()).then_some(node)
    }

    /// Reports every key that is not known.
    pub(in crate::grant) fn finish(self, name: &str, out: &mut Diagnostics<'_>) {
        for (key, _) in self.entries {
            if !self.known.contains(&key.name.as_str()) {
                let hint = did_you_mean(&key.name, self.known.iter().copied());
                out.push(
                    key.at,
                    format!("unknown key `{}` in {name}{hint}", key.name),
                );
            }
        }
    }

    /// Takes a string.
    pub(in crate::grant) fn string(
        &mut self,
        key: &'static str,
        out: &mut Diagnostics<'_>,
    ) -> Option<Text> {
        let node = self.take(key)?;
        string(node, key, out)
    }

    /// Takes a boolean, false if absent.
    pub(in crate::grant) fn flag(&mut self, key: &'static str, out: &mut Diagnostics<'_>) -> bool {
        self.boolean(key, out).unwrap_or(false)
    }

    /// Takes a boolean.
    pub(in crate::grant) fn boolean(
        &mut self,
        key: &'static str,
        out: &mut Diagnostics<'_>,
    ) -> Option<bool> {
        let node = self.take(key)?;
        match &node.value {
            NodeValue::Boolean(value) => Some(*value),
            other => {
                let message = format!("`{key}` must be true or false, not {}", other.kind());
                out.push(node.at, message);
                None
            }
        }
    }

    /// Takes an array of strings.
    pub(in crate::grant) fn strings(
        &mut self,
        key: &'static str,
        out: &mut Diagnostics<'_>,
    ) -> Option<Vec<Text>> {
        let node = self.take(key)?;
        let items = array(node, key, out)?;
        Some(
            items
                .iter()
                .filter_map(|item| string(item, key, out))
                .collect(),
        )
    }

    /// Takes a table of strings.
    pub(in crate::grant) fn string_map(
        &mut self,
        key: &'static str,
        out: &mut Diagnostics<'_>,
    ) -> Option<BTreeMap<String, Text>> {
        let fields = Self::open(self.take(key)?, &format!("`{key}`"), out)?;
        let entry =
            |(name, node): &(NodeKey, Node)| Some((name.name.clone(), string(node, key, out)?));
        Some(fields.entries.iter().filter_map(entry).collect())
    }

    /// Takes an integer that is not negative.
    pub(in crate::grant) fn count(
        &mut self,
        key: &'static str,
        out: &mut Diagnostics<'_>,
    ) -> Option<u64> {
        let node = self.take(key)?;
        match node.value {
            NodeValue::Integer(number) => match u64::try_from(number) {
                Ok(number) => Some(number),
                Err(_) => {
                    out.push(node.at, format!("`{key}` must not be negative"));
                    None
                }
            },
            _ => {
                out.push(
                    node.at,
                    format!("`{key}` must be an integer, not {}", node.value.kind()),
                );
                None
            }
        }
    }

    /// Takes an integer that is not negative, or `"unlimited"` as `Some(None)`.
    pub(in crate::grant) fn count_or_unlimited(
        &mut self,
        key: &'static str,
        out: &mut Diagnostics<'_>,
    ) -> Option<Option<u64>> {
        if let Some(NodeValue::String(text)) = self.find(key).map(|node| &node.value)
            && units::is_unlimited(text)
        {
            self.know(key);
            return Some(None);
        }
        self.count(key, out).map(Some)
    }

    /// Takes one of `words`, and returns what it stands for.
    pub(in crate::grant) fn word<T: Copy, const N: usize>(
        &mut self,
        key: &'static str,
        words: [(&'static str, T); N],
        out: &mut Diagnostics<'_>,
    ) -> Option<T> {
        let text = self.string(key, out)?;
        let found = words.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let all: Vec<_> = words
                .iter()
                .map(|(word, _)| format!("\"{word}\""))
                .collect();
            let all = all.join(", ");
            let hint = did_you_mean(&text.value, words.iter().map(|(word, _)| *word));
            out.push(
                text.at,
                format!("`{key}` must be one of {all}, not {:?}{hint}", text.value),
            );
        }
        found.map(|(_, value)| *value)
    }

    /// Takes a duration with its unit.
    pub(in crate::grant) fn duration(
        &mut self,
        key: &'static str,
        out: &mut Diagnostics<'_>,
    ) -> Option<Duration> {
        self.with_unit(key, units::duration, out)
    }

    /// Takes a string with a unit, and returns its value by `parse`.
    pub(in crate::grant) fn with_unit<T>(
        &mut self,
        key: &'static str,
        parse: fn(&str) -> Result<T, String>,
        out: &mut Diagnostics<'_>,
    ) -> Option<T> {
        let node = self.take(key)?;
        let result = match &node.value {
            NodeValue::String(text) => parse(text),
            NodeValue::Integer(number) => match parse(&number.to_string()) {
                // A bare number gets the message of a string without a unit.
                Ok(_) => Err("expected a string with a unit".to_owned()),
                Err(message) => Err(message),
            },
            other => Err(format!(
                "expected a string with a unit, not {}",
                other.kind()
            )),
        };
        result
            .map_err(|message| out.push(node.at, format!("`{key}`: {message}")))
            .ok()
    }
}

/// A string and its place.
#[derive(Debug, Clone)]
pub(in crate::grant) struct Text {
    pub(in crate::grant) at: Offset,
    pub(in crate::grant) value: String,
}

/// Reads a string without NUL.
pub(in crate::grant) fn string(node: &Node, name: &str, out: &mut Diagnostics<'_>) -> Option<Text> {
    match &node.value {
        NodeValue::String(value) if value.contains('\0') => {
            out.push(node.at, format!("`{name}` contains a NUL character"));
            None
        }
        NodeValue::String(value) => Some(Text {
            at: node.at,
            value: value.clone(),
        }),
        other => {
            out.push(
                node.at,
                format!("`{name}` must be a string, not {}", other.kind()),
            );
            None
        }
    }
}

/// Reads an array.
pub(in crate::grant) fn array<'n>(
    node: &'n Node,
    name: &str,
    out: &mut Diagnostics<'_>,
) -> Option<&'n [Node]> {
    match &node.value {
        NodeValue::Array(items) => Some(items),
        other => {
            out.push(
                node.at,
                format!("`{name}` must be an array, not {}", other.kind()),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Reads `json` with `read`, and returns the result and the diagnostics.
    fn read<T>(
        json: &str,
        read: impl FnOnce(&mut Fields<'_>, &mut Diagnostics<'_>) -> T,
    ) -> (T, String) {
        let node = Node::from_json(json).expect("it is JSON");
        let mut out = Diagnostics::new(Path::new("g"), Some(json));
        let mut fields = Fields::open(&node, "it", &mut out).expect("it is a table");
        let value = read(&mut fields, &mut out);
        fields.finish("it", &mut out);
        (
            value,
            out.finish(())
                .map_or_else(|error| error.to_string(), |()| String::new()),
        )
    }

    #[test]
    fn a_key_that_was_not_taken_is_unknown() {
        let json = r#"{"max": 1, "mix": 2}"#;
        let (value, noted) = read(json, |fields, out| fields.count("max", out));
        assert_eq!(value, Some(1));
        assert_eq!(
            noted,
            "g:1:12: unknown key `mix` in it; did you mean `max`?"
        );
    }

    #[test]
    fn null_counts_as_absent() {
        let (value, noted) = read(r#"{"max": null}"#, |fields, out| fields.count("max", out));
        assert_eq!((value, noted.as_str()), (None, ""));
    }

    #[test]
    fn a_count_is_a_natural_number_or_unlimited() {
        let count = |json: &str| read(json, |fields, out| fields.count_or_unlimited("n", out));
        assert_eq!(count(r#"{"n": 3}"#), (Some(Some(3)), String::new()));
        assert_eq!(count(r#"{"n": "unlimited"}"#), (Some(None), String::new()));
        for wrong in [
            r#"{"n": -1}"#,
            r#"{"n": 1.5}"#,
            r#"{"n": "3"}"#,
            r#"{"n": 99999999999999999999}"#,
        ] {
            assert!(!count(wrong).1.is_empty(), "{wrong}");
        }
    }

    #[test]
    fn a_string_with_a_nul_is_refused() {
        let (value, noted) = read(r#"{"s": "a\u0000"}"#, |fields, out| fields.string("s", out));
        assert!(value.is_none() && noted.contains("NUL"), "{noted}");
        let (value, _) = read(r#"{"s": "a"}"#, |fields, out| fields.string("s", out));
        assert_eq!(value.map(|text| text.value).as_deref(), Some("a"));
    }
}

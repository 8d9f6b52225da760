//! TOML as text: values in one line, and edits that leave everything else as it is.
//!
//! Rejected: the crate toml_edit. Its features of crates that wasmtime uses too would build wasmtime once more, and the
//! edits of a proposal are few: to replace a value, to add an entry to a list or a table, and to add a line.

use std::ops::Range;

use serde_json::json;
use toml::Value;
use toml::de::{DeTable, DeValue};

/// Returns a string in quotes.
pub(crate) fn string(text: &str) -> String {
    // The escapes of JSON are those of TOML, which does not allow DEL either.
    json!(text).to_string().replace('\u{7f}', "\\u007f")
}

/// Returns a list of strings.
pub(crate) fn strings<T: AsRef<str>>(list: impl IntoIterator<Item = T>) -> String {
    let list: Vec<_> = list.into_iter().map(|it| string(it.as_ref())).collect();
    format!("[{}]", list.join(", "))
}

/// Returns a key, in quotes if it needs them.
pub(crate) fn key(name: &str) -> String {
    let is_bare = |it: char| it.is_ascii_alphanumeric() || "-_".contains(it);
    match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_owned(),
        false => string(name),
    }
}

/// Returns a value in one line.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        Value::Array(list) => {
            let list: Vec<_> = list.iter().map(self::value).collect();
            format!("[{}]", list.join(", "))
        }
        Value::Table(table) => {
            let entries = table
                .iter()
                .map(|(name, it)| format!("{} = {}", key(name), self::value(it)));
            let entries: Vec<_> = entries.collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(is) => is.to_string(),
        Value::Datetime(time) => time.to_string(),
    }
}

/// Breaks a long list into lines.
pub(crate) fn broken(list: &[String]) -> String {
    /// The widest line.
    const WIDTH: usize = 90;
    let line = format!("[{}]", list.join(", "));
    match line.len() > WIDTH {
        true => format!("[\n    {},\n]", list.join(",\n    ")),
        false => line,
    }
}

/// A value in a text, with its place.
pub(crate) type Placed<'a, 'i> = &'a toml::Spanned<DeValue<'i>>;

/// Returns the entry `name` of a table.
pub(crate) fn entry<'a, 'i>(table: &'a DeTable<'i>, name: &str) -> Option<Placed<'a, 'i>> {
    let found = table.iter().find(|(key, _)| key.get_ref().as_ref() == name);
    found.map(|(_, value)| value)
}

/// Edits of one text.
#[derive(Debug)]
pub(crate) struct Edits<'t> {
    text: &'t str,
    splices: Vec<(Range<usize>, String)>,
}

impl<'t> Edits<'t> {
    /// Returns no edits of `text`.
    pub(crate) fn of(text: &'t str) -> Self {
        Self {
            text,
            splices: Vec::new(),
        }
    }

    /// Replaces a value.
    pub(crate) fn replace(&mut self, old: Placed<'_, '_>, new: String) {
        self.splices.push((old.span(), new));
    }

    /// Adds entries to a list, in its form.
    pub(crate) fn extend(&mut self, list: Placed<'_, '_>, entries: &[String]) {
        let Some(array) = list.get_ref().as_array() else {
            return;
        };
        let Some(last) = array.iter().last() else {
            self.replace(list, broken(entries));
            return;
        };
        let source = self.text.get(list.span()).unwrap_or("");
        let between = match source.contains('\n') {
            true => ",\n    ",
            false => ", ",
        };
        let new: String = entries
            .iter()
            .map(|entry| format!("{between}{entry}"))
            .collect();
        self.insert(last.span().end, new);
    }

    /// Sets the entry at `path` of a table to `new`. `after` is where a line can be added to the table itself.
    pub(crate) fn set(&mut self, table: &DeTable<'_>, path: &[&str], new: &str, after: usize) {
        let Some((name, rest)) = path.split_first() else {
            return;
        };
        let Some(old) = entry(table, name) else {
            let path: Vec<_> = path.iter().map(|name| key(name)).collect();
            self.add_line(after, &format!("{} = {new}", path.join(".")));
            return;
        };
        match old.get_ref() {
            DeValue::Table(inner) if !rest.is_empty() => self.set_inside(old, inner, path, new),
            _ => self.replace(old, new.to_owned()),
        }
    }

    /// Sets an entry of the table `old`, which has the first name of `path`.
    fn set_inside(&mut self, old: Placed<'_, '_>, inner: &DeTable<'_>, path: &[&str], new: &str) {
        let (outer, rest) = path.split_at(1);
        let last = inner
            .iter()
            .map(|(key, value)| (key.span(), value.span()))
            .max_by_key(|(_, it)| it.end);
        let is_inline = self
            .text
            .get(old.span())
            .is_some_and(|it| it.starts_with('{'));
        match last {
            _ if is_inline
                && rest
                    .first()
                    .is_some_and(|name| entry(inner, name).is_some()) =>
            {
                self.set(inner, rest, new, 0);
            }
            Some((_, last)) if is_inline => {
                let names: Vec<_> = rest.iter().map(|name| key(name)).collect();
                self.insert(last.end, format!(", {} = {new}", names.join(".")));
            }
            Some((name, last)) => {
                // Either `fs.read = ...` in the table itself, or `read = ...` under a header of its own.
                let start = self
                    .text
                    .get(..name.start)
                    .and_then(|text| text.rfind('\n'));
                let line = self
                    .text
                    .get(start.map_or(0, |at| at + 1)..name.start)
                    .unwrap_or("");
                let is_dotted = !line.trim().is_empty();
                let known = rest.first().and_then(|name| entry(inner, name));
                match known {
                    Some(known) if rest.len() == 1 => self.replace(known, new.to_owned()),
                    _ => {
                        let all = if is_dotted {
                            [outer, rest].concat()
                        } else {
                            rest.to_vec()
                        };
                        let names: Vec<_> = all.iter().map(|name| key(name)).collect();
                        self.add_line(last.end, &format!("{} = {new}", names.join(".")));
                    }
                }
            }
            None => {
                let names: Vec<_> = rest.iter().map(|name| key(name)).collect();
                self.replace(old, format!("{{ {} = {new} }}", names.join(".")));
            }
        }
    }

    /// Adds a line after the one with the byte before `at`.
    pub(crate) fn add_line(&mut self, at: usize, line: &str) {
        let rest = self.text.get(at..).unwrap_or("");
        let end = rest.find('\n').map_or(self.text.len(), |end| at + end);
        self.insert(end, format!("\n{line}"));
    }

    fn insert(&mut self, at: usize, new: String) {
        self.splices.push((at..at, new));
    }

    /// Returns the edited text.
    pub(crate) fn apply(mut self) -> String {
        let mut text = self.text.to_owned();
        // From the end; at one place the later first, so that they stand in order.
        self.splices.reverse();
        self.splices
            .sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
        for (range, new) in self.splices {
            text.replace_range(range, &new);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, path: &[&str], new: &str) -> String {
        let document = DeTable::parse(text).expect("TOML");
        let mut edits = Edits::of(text);
        let after = text.find("name").expect("it has one");
        edits.set(document.get_ref(), path, new, after);
        edits.apply()
    }

    #[test]
    fn an_entry_is_set_in_every_form_of_a_table() {
        let is = |text: &str, expected: &str| {
            assert_eq!(edited(text, &["fs", "read"], "[\"/x\"]"), expected);
        };
        is(
            "name = \"a\" # b\nc = 1\n",
            "name = \"a\" # b\nfs.read = [\"/x\"]\nc = 1\n",
        );
        is(
            "name = 1\nfs = { read = [] }\n",
            "name = 1\nfs = { read = [\"/x\"] }\n",
        );
        is(
            "name = 1\nfs = { write = [] }\n",
            "name = 1\nfs = { write = [], read = [\"/x\"] }\n",
        );
        is(
            "name = 1\nfs = {}\n",
            "name = 1\nfs = { read = [\"/x\"] }\n",
        );
        is(
            "name = 1\nfs.write = []\nb = 2\n",
            "name = 1\nfs.write = []\nfs.read = [\"/x\"]\nb = 2\n",
        );
        is(
            "name = 1\n[fs]\nwrite = []",
            "name = 1\n[fs]\nwrite = []\nread = [\"/x\"]",
        );
        is(
            "name = 1\nfs.read = [\"/a\"]",
            "name = 1\nfs.read = [\"/x\"]",
        );
    }

    #[test]
    fn a_list_is_extended_in_its_form() {
        let extended = |text: &str| {
            let document = DeTable::parse(text).expect("TOML");
            let mut edits = Edits::of(text);
            let list = entry(document.get_ref(), "a").expect("it has one");
            edits.extend(list, &["3".to_owned(), "4".to_owned()]);
            edits.apply()
        };
        assert_eq!(extended("a = []"), "a = [3, 4]");
        assert_eq!(extended("a = [1, 2] # b"), "a = [1, 2, 3, 4] # b");
        assert_eq!(
            extended("a = [\n    1, # one\n    2,\n]"),
            "a = [\n    1, # one\n    2,\n    3,\n    4,\n]"
        );
    }

    #[test]
    fn values_are_written_as_they_are_read() {
        for text in ["plain", "qu\"ote\\", "line\nfeed\u{7f}\u{1b}", "Grüße"] {
            let parsed: toml::Table = format!("{} = {}", key(text), string(text))
                .parse()
                .expect("TOML");
            assert_eq!(parsed[text].as_str(), Some(text));
        }
    }
}

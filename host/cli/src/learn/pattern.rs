//! Widens a pattern of `args` so that it matches one more argument.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::fold::shared_ancestor;

/// Returns the least pattern that matches what `pattern` matches, and `arg`; none if it is of a kind that is not widened.
/// Paths are relative to `cwd`, and `is_readable` is whether the grant has a directory.
pub(crate) fn widen(
    pattern: &Value,
    arg: &str,
    cwd: &Path,
    is_readable: impl Fn(&Path) -> bool,
) -> Option<Value> {
    if let Some(text) = text(pattern) {
        if text == arg {
            return Some(pattern.clone());
        }
        return Some(of_two(text, arg, cwd, is_readable));
    }
    let mut table = pattern.as_table()?.clone();
    if let Some(list) = table.get_mut("one-of").and_then(Value::as_array_mut) {
        if !list.iter().any(|it| it.as_str() == Some(arg)) {
            list.push(arg.into());
        }
        return Some(table.into());
    }
    if let Some(range) = table.get("int").and_then(Value::as_array) {
        let bounds: Vec<i64> = range.iter().filter_map(Value::as_integer).collect();
        let [low, high] = bounds[..] else { return None };
        let prefix = table.get("prefix").and_then(Value::as_str).unwrap_or("");
        let number = integer(arg.strip_prefix(prefix)?)?;
        table.insert(
            "int".to_owned(),
            range_of(low.min(number), high.max(number)),
        );
        return Some(table.into());
    }
    let under = table
        .get_mut("path")?
        .as_table_mut()?
        .get_mut("under")?
        .as_array_mut()?;
    let path = existing(arg, cwd)?;
    let is_under = under
        .iter()
        .filter_map(Value::as_str)
        .any(|root| path.starts_with(cwd.join(root)));
    if !is_under {
        let dir = path.parent().filter(|dir| is_readable(dir))?;
        under.push(dir.to_string_lossy().into_owned().into());
    }
    Some(table.into())
}

/// Returns whether `pattern` matches `arg`, as far as that is clear.
pub(crate) fn matches(pattern: &Value, arg: &str) -> bool {
    if let Some(text) = text(pattern) {
        return text == arg;
    }
    let table = pattern.as_table();
    let list = table
        .and_then(|table| table.get("one-of"))
        .and_then(Value::as_array);
    list.is_some_and(|list| list.iter().any(|it| it.as_str() == Some(arg)))
}

/// Returns the argument that a literal pattern matches.
fn text(pattern: &Value) -> Option<&str> {
    match pattern.as_str() {
        Some("*" | "**") => None,
        Some(text) => Some(text),
        None => pattern.as_table()?.get("literal")?.as_str(),
    }
}

fn of_two(one: &str, other: &str, cwd: &Path, is_readable: impl Fn(&Path) -> bool) -> Value {
    let mut table = Table::new();
    if let Some((prefix, low, high)) = numbers(one, other) {
        table.insert("int".to_owned(), range_of(low, high));
        if !prefix.is_empty() {
            table.insert("prefix".to_owned(), prefix.into());
        }
        return table.into();
    }
    let paths = existing(one, cwd).zip(existing(other, cwd));
    if let Some((one, other)) = paths {
        let shared = match (one.parent(), other.parent()) {
            (Some(one), Some(other)) => shared_ancestor(one, other),
            _ => PathBuf::from("/"),
        };
        if is_readable(&shared) {
            let under = Value::Array(vec![shared.to_string_lossy().into_owned().into()]);
            let path = Table::from_iter([("under".to_owned(), under)]);
            table.insert("path".to_owned(), path.into());
            return table.into();
        }
    }
    let list = Value::Array(vec![one.into(), other.into()]);
    table.insert("one-of".to_owned(), list);
    table.into()
}

/// Returns the text before two numbers, and the numbers in order.
fn numbers<'a>(one: &'a str, other: &str) -> Option<(&'a str, i64, i64)> {
    let at = one.find(|it: char| it.is_ascii_digit())?;
    let (prefix, number) = one.split_at(at);
    let [one, other] = [integer(number)?, integer(other.strip_prefix(prefix)?)?];
    Some((prefix, one.min(other), one.max(other)))
}

/// Reads a number that is written in the one usual way.
fn integer(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn range_of(low: i64, high: i64) -> Value {
    Value::Array(vec![low.into(), high.into()])
}

/// Returns the file that an argument names, if there is one. A word that is also a file is more likely a word, unless it
/// looks like a path.
fn existing(arg: &str, cwd: &Path) -> Option<PathBuf> {
    let looks = arg.contains('/') || arg.contains('.');
    let path = cwd.join(arg);
    (looks && !arg.starts_with('-')).then(|| path.canonicalize().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widened(pattern: &str, arg: &str) -> Option<String> {
        let table: Table = format!("it = {pattern}").parse().expect("a value");
        let widened = widen(&table["it"], arg, Path::new("/usr"), |dir| {
            dir.starts_with("/usr")
        })?;
        Some(crate::learn::text::value(&widened))
    }

    #[test]
    fn what_differs_becomes_a_number_a_path_or_a_choice() {
        let is = |pattern: &str, arg: &str, expected: &str| {
            assert_eq!(
                widened(pattern, arg).as_deref(),
                Some(expected),
                "{pattern} {arg}"
            );
        };
        is("\"-n5\"", "-n20", "{ int = [5, 20], prefix = \"-n\" }");
        is("\"7\"", "3", "{ int = [3, 7] }");
        is("\"status\"", "log", "{ one-of = [\"status\", \"log\"] }");
        is("\"status\"", "status", "\"status\"");
        is(
            "\"/usr/bin/env\"",
            "/usr/bin/sh",
            "{ path = { under = [\"/usr/bin\"] } }",
        );
        is("\"./bin\"", "./lib", "{ path = { under = [\"/usr\"] } }");
        // A number with a leading zero is a word.
        is("\"007\"", "8", "{ one-of = [\"007\", \"8\"] }");
    }

    #[test]
    fn a_widened_pattern_is_widened_further() {
        let is = |pattern: &str, arg: &str, expected: &str| {
            assert_eq!(
                widened(pattern, arg).as_deref(),
                Some(expected),
                "{pattern} {arg}"
            );
        };
        is(
            "{ int = [5, 20], prefix = \"-n\" }",
            "-n30",
            "{ int = [5, 30], prefix = \"-n\" }",
        );
        is("{ one-of = [\"a\"] }", "b", "{ one-of = [\"a\", \"b\"] }");
        is("{ one-of = [\"a\"] }", "a", "{ one-of = [\"a\"] }");
        is(
            "{ path = { under = [\"/usr\"] } }",
            "/usr/bin/sh",
            "{ path = { under = [\"/usr\"] } }",
        );
        assert_eq!(widened("{ int = [5, 20] }", "x"), None);
        assert_eq!(
            widened("\"*\"", "x"),
            None,
            "it matches already, or is not ours to widen"
        );
        assert_eq!(
            widened("{ path = { under = [\"/usr\"] } }", "/etc/passwd"),
            None
        );
    }
}

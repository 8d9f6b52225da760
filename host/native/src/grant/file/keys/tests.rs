//! The table has the keys of the schema, and its examples load.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::grant::file::schema::schema;
use crate::grant::{GrantError, Grants};

/// The program of the command in each example.
const PROGRAM: &str = "/usr/bin/wc";

/// A grant in which one key has this value.
fn grant(key: &Key, value: &str) -> String {
    let name = key.name;
    let command = |lines: &str| {
        format!(
            "version = 1\n[[component.c.command]]\nname = \"c\"\nprogram = {PROGRAM:?}\n{lines}\n"
        )
    };
    let args = keys()
        .find(|key| key.name == "args")
        .expect("a key")
        .example;
    match key.table {
        KeyTable::File => format!("{name} = {value}\n"),
        KeyTable::Settings | KeyTable::Component => {
            let section = format!("version = 1\n[component.c]\n{name} = {value}\n");
            command("fs.read = [\"/usr/share\"]").replace("version = 1\n", &section)
        }
        KeyTable::Command => match name {
            "name" => command("").replace("name = \"c\"", &format!("name = {value}")),
            "program" => command("").replace(&format!("{PROGRAM:?}"), value),
            "args" => command(&format!("args = {value}")),
            _ => command(&format!("args = {args}\n{name} = {value}")),
        },
        KeyTable::Pattern => {
            let kind = match name {
                "prefix" => "int = [1, 2], ",
                "repeat" | "optional" => "literal = \"a\", ",
                "allow-dash" => "any = true, ",
                "path.access" => "path.under = [\"/usr/share\"], ",
                _ => "",
            };
            command(&format!("args = [{{ {kind}{name} = {value} }}]"))
        }
    }
}

fn load(text: &str) -> Result<Grants, GrantError> {
    Grants::from_toml_str(text, Path::new("/"))
}

/// Collects the names of the keys of an object, those of its inner objects with a dot.
fn collect(schema: &Value, prefix: &str, names: &mut BTreeSet<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let full = format!("{prefix}{name}");
        let either = property["anyOf"].as_array().into_iter().flatten();
        let mut tables = either
            .chain([property])
            .filter(|it| it.get("properties").is_some());
        match tables.next() {
            Some(table) => collect(table, &format!("{full}."), names),
            None => drop(names.insert(full)),
        }
    }
}

/// The names of the keys that the table has in some tables of a grant.
fn known(tables: &[KeyTable]) -> BTreeSet<String> {
    let known = keys().filter(|key| tables.contains(&key.table));
    known.map(|key| key.name.to_owned()).collect()
}

#[test]
fn the_table_has_the_keys_of_the_schema_and_no_others() {
    use KeyTable::{Command, Component, File, Pattern, Settings};
    let schema = schema();
    let component = &schema["properties"]["component"]["additionalProperties"];
    let command = &component["properties"]["command"]["items"];
    let either = command["properties"]["args"]["items"]["anyOf"].as_array();
    let mut patterns = either.expect("a pattern is a string or a table").iter();
    let pattern = patterns.find(|it| it.get("properties").is_some());
    for (schema, tables, containers) in [
        (&schema, &[File][..], &["component"][..]),
        (&schema["properties"]["defaults"], &[Settings], &[]),
        (component, &[Component, Settings], &["command"]),
        (command, &[Command, Settings], &[]),
        (pattern.expect("a table"), &[Pattern], &[]),
    ] {
        let mut names = BTreeSet::new();
        collect(schema, "", &mut names);
        names.retain(|name| {
            !containers.contains(&name.as_str()) && !(tables == [File] && name.contains('.'))
        });
        assert_eq!(names, known(tables), "{tables:?}");
    }
}

#[test]
fn each_key_of_the_schema_has_a_description() {
    fn walk(schema: &Value, place: &str) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let place = format!("{place}.{name}");
            let is_table = property.get("properties").is_some()
                || property
                    .get("anyOf")
                    .is_some_and(|it| it.to_string().contains("\"properties\""));
            let is_described = property["description"]
                .as_str()
                .is_some_and(|it| !it.is_empty());
            assert!(is_described || is_table || name == "command", "{place}");
            walk(property, &place);
        }
        for inner in ["items", "additionalProperties"] {
            if let Some(inner) = schema.get(inner) {
                walk(inner, place);
            }
        }
        for inner in schema["anyOf"].as_array().into_iter().flatten() {
            walk(inner, place);
        }
    }
    walk(&schema(), "");
}

#[test]
fn each_example_loads() {
    for key in keys() {
        let hash = Sha256::digest(std::fs::read(PROGRAM).expect("everybody may read it"));
        let hash = format!("\"{hash:x}\"");
        let example = match key.name {
            "sha256" => &hash,
            _ => key.example,
        };
        let text = grant(key, example);
        load(&text).unwrap_or_else(|error| panic!("{}: {error}\n{text}", key.name));
        // A value of another type is refused, so the example is read.
        let wrong = if key.example.starts_with('[') {
            "true"
        } else {
            "[[]]"
        };
        let text = grant(key, wrong);
        load(&text).expect_err(&text);
    }
}

#[test]
fn each_key_states_what_it_does_and_why() {
    for key in keys() {
        for text in [key.kind, key.meaning, key.reason] {
            assert!(!text.is_empty(), "{}", key.name);
            assert!(
                !text.ends_with('.') && !text.contains('|'),
                "{}: {text}",
                key.name
            );
        }
    }
}

#[test]
fn a_plain_text_has_no_links() {
    assert_eq!(Key::plain("a [b](c.md#d) `[\"e\"]` f"), "a b `[\"e\"]` f");
    assert_eq!(Key::plain("`[[a]]` [b](c)"), "`[[a]]` b");
}

//! The schema has the keys that are read.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::grant::Grants;

/// Every key, each in its table.
const ALL: &str = r#"
    version = 1
    [defaults]
    sandbox = "required"
    network = "none"
    disclose-pid = true
    stdin = false
    redirect = true
    allow-bytes = true
    env = { set = { LANG = "C" }, inherit = ["TZ"], allow = ["X"] }
    fs = { read = ["/usr", "/bin"], write = ["/dev/null"], deny = ["/etc/passwd"] }
    limits = { wall = "1s", cpu = "1s", memory = "1MiB", processes = 1, open-files = "unlimited", file-size = "unlimited", tmpfs = "1MiB", output = "1B" }
    capture = { stdout = "1B", stderr = "1B" }
    cwd = { default = "/usr", roots = ["/usr"] }
    [component.c]
    max-live = 1
    max-total = 1
    rate = "1/s"
    max-held-children = 1
    max-held-memory = "1B"
    max-held-descriptors = 1
    detach = { allow = true, max-life = "1s" }
    [[component.c.command]]
    name = "echo"
    program = "/bin/echo"
    arg0 = "echo"
    allow-arg0 = ["x"]
    fixed = ["-n"]
    args = [
      { literal = "a" }, { any = true, allow-dash = true }, { one-of = ["a"] }, { re = "a" },
      { int = [1, 2], prefix = "n" }, { path = { under = ["/usr"], access = "read" }, repeat = "0..2" },
      { literal = "a", optional = true }, { rest = true },
    ]
    decision = "allow"
    interpreter = true
    match = []
    not-match = []
"#;

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .expect("it is an object")
        .keys()
        .map(String::as_str)
        .collect()
}

/// Collects the tables of `value` where `schema` has objects, and checks that
/// together they have the schema's keys.
fn compare(schema: &Value, values: &[&Value], place: &str) {
    if let Some(properties) = schema.get("properties") {
        let found: BTreeSet<&str> = values.iter().flat_map(|value| keys(value)).collect();
        let mut known = keys(properties);
        if place.ends_with("command[]") {
            // Common to all layers, and in the defaults already; a pin would
            // need the hash of this machine's echo.
            let elsewhere = [
                "sandbox",
                "network",
                "disclose-pid",
                "stdin",
                "redirect",
                "allow-bytes",
                "env",
                "fs",
                "limits",
                "capture",
                "cwd",
                "sha256",
            ];
            known.retain(|key| !elsewhere.contains(key));
        } else if place.ends_with("component.c") {
            known.retain(|key| found.contains(key) || ["max-live", "rate", "detach"].contains(key));
        }
        assert_eq!(known, found, "{place}");
        for key in found {
            let inner: Vec<&Value> = values.iter().filter_map(|value| value.get(key)).collect();
            compare(&properties[key], &inner, &format!("{place}.{key}"));
        }
    } else if let Some(items) = schema.get("items") {
        let inner: Vec<&Value> = values
            .iter()
            .flat_map(|value| value.as_array().into_iter().flatten())
            .collect();
        compare(items, &inner, &format!("{place}[]"));
    } else if let Some(inner) = schema
        .get("additionalProperties")
        .filter(|it| it.is_object())
    {
        for (key, value) in values
            .iter()
            .flat_map(|value| value.as_object().into_iter().flatten())
        {
            compare(inner, &[value], &format!("{place}.{key}"));
        }
    } else if let Some(either) = schema.get("anyOf").and_then(Value::as_array) {
        let tables: Vec<&Value> = values
            .iter()
            .copied()
            .filter(|value| value.is_object())
            .collect();
        let object = either
            .iter()
            .find(|schema| schema.get("properties").is_some());
        if let Some(object) = object {
            compare(object, &tables, place);
        }
    }
}

#[test]
fn the_schema_has_the_keys_that_are_read() {
    let everything = Grants::from_toml_str(ALL, std::path::Path::new("/"));
    everything.expect("every key is known");
    let value: toml::Table = ALL.parse().expect("it is TOML");
    let value = serde_json::to_value(value).expect("it fits JSON");
    compare(&schema(), &[&value], "");
}

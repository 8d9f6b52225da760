//! The outputs of `--json`: each has a version, and is as its schema states.

use serde_json::Value;

use crate::harness::Setup;
use crate::operator::capspawn_with;
use crate::support::program;

/// Asserts that a value is as the schema of this output states. Knows the words that the schemas use.
#[track_caller]
pub(crate) fn assert_matches(value: &Value, name: &str) {
    let schema = capspawn_with(&["help", "json", name]);
    let schema: Value = serde_json::from_str(&schema.stdout).expect("a schema is JSON");
    if let Err(reason) = matches(value, &schema, name) {
        panic!("{reason}\n{value:#}");
    }
}

fn matches(value: &Value, schema: &Value, place: &str) -> Result<(), String> {
    const KNOWN: [&str; 10] = [
        "$schema",
        "title",
        "type",
        "enum",
        "const",
        "minimum",
        "properties",
        "required",
        "additionalProperties",
        "items",
    ];
    let words = schema.as_object().ok_or(format!("{place}: no schema"))?;
    if let Some(unknown) = words.keys().find(|word| !KNOWN.contains(&word.as_str())) {
        return Err(format!("{place}: this test does not know {unknown}"));
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is = |known: &Value| known == kind || (known == "number" && kind == "integer");
    let types = &schema["type"];
    if !is(types) && !types.as_array().is_some_and(|all| all.iter().any(is)) {
        return Err(format!("{place}: {kind} is not {types}"));
    }
    if let Some(all) = schema["enum"].as_array()
        && !all.contains(value)
    {
        return Err(format!("{place}: {value} is none of {all:?}"));
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return Err(format!("{place}: {value} is not the constant"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        matches(item, &schema["items"], &format!("{place}[{index}]"))?;
    }
    let Some(object) = value.as_object() else {
        return Ok(());
    };
    for name in schema["required"].as_array().into_iter().flatten() {
        if !object.contains_key(name.as_str().unwrap_or_default()) {
            return Err(format!("{place}: {name} is missing"));
        }
    }
    for (name, inner) in object {
        let known = schema["properties"]
            .get(name)
            .unwrap_or(&schema["additionalProperties"]);
        if !known.is_object() {
            return Err(format!("{place}: {name} is not in the schema"));
        }
        matches(inner, known, &format!("{place}.{name}"))?;
    }
    Ok(())
}

#[test]
fn each_json_output_has_a_version_and_matches_its_schema() {
    let rest = "args = [\"log\"]\nlimits = { cpu = \"unlimited\" }\ncwd = { default = \"/usr\" }";
    let setup = Setup::new(&[("git", &program("git"), rest)]);
    let grants = setup.grants();
    let grants = grants.to_str().expect("UTF-8");
    for (name, args) in [
        ("check", &["check", "--json", grants][..]),
        (
            "explain",
            &["explain", "--json", grants, "exec", "git", "--", "log"],
        ),
        (
            "explain",
            &["explain", "--json", grants, "exec", "git", "--", "push"],
        ),
        ("explain", &["explain", "--json", grants, "exec", "absent"]),
        ("doctor", &["doctor", "--json"]),
    ] {
        let printed = capspawn_with(args).stdout;
        let json: Value = serde_json::from_str(&printed).expect("the output is JSON");
        assert_eq!(json["version"], 1, "{args:?}");
        assert_matches(&json, name);
    }
    let grants: Value =
        serde_json::from_str(&capspawn_with(&["help", "json", "grants"]).stdout).expect("JSON");
    assert!(grants["properties"]["component"].is_object());
}

//! The JSON schema of a grant, for editors and for embedders' own settings.
//!
//! These types describe the format and nothing else. Grants are read through
//! [`super::table`], which keeps places and collects mistakes; a test compares the keys of
//! both. The words of `sandbox`, `network` and `decision` come from the types that are read, the
//! descriptions, defaults and examples of keys from [`super::keys`].

#![expect(
    dead_code,
    reason = "schemars reads the types; no value of them is constructed"
)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::document::Effect;
use super::keys::{Absent, Key, KeyTable, keys};
use crate::confinement::{Network, Sandbox};

/// Returns the JSON schema (draft 2020-12) of a grant file.
pub fn schema() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<GrantFile>()
        .to_value();
    describe(&mut schema, &[KeyTable::File], "");
    schema
}

/// Adds to each key of an object what the table of keys has about it. The object is one of `tables`, or a table inside
/// with the name `prefix`.
fn describe(schema: &mut Value, tables: &[KeyTable], prefix: &str) {
    use KeyTable::{Command, Component, Pattern, Settings};
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for (name, property) in properties {
        let full = format!("{prefix}{name}");
        match (tables, name.as_str()) {
            ([KeyTable::File], "defaults") => describe(property, &[Settings], ""),
            ([KeyTable::File], "component") => {
                describe(
                    &mut property["additionalProperties"],
                    &[Component, Settings],
                    "",
                );
            }
            ([Component, ..], "command") => {
                describe(&mut property["items"], &[Command, Settings], "")
            }
            _ => {
                if let Some(key) =
                    keys().find(|key| tables.contains(&key.table) && key.name == full)
                {
                    add(key, property);
                }
                if full == "args" {
                    let either = property["items"]["anyOf"].as_array_mut();
                    let patterns = either.into_iter().flatten();
                    patterns.for_each(|pattern| describe(pattern, &[Pattern], ""));
                }
                // A table that may be absent is an object, or null.
                describe(property, tables, &format!("{full}."));
                let either = property.get_mut("anyOf").and_then(Value::as_array_mut);
                let either = either.into_iter().flatten();
                either.for_each(|inner| describe(inner, tables, &format!("{full}.")));
            }
        }
    }
}

fn add(key: &Key, property: &mut Value) {
    let value = |text: &str| {
        let table: Result<toml::Table, _> = format!("value = {text}").parse();
        let value = table.ok().and_then(|mut table| table.remove("value"))?;
        serde_json::to_value(value).ok()
    };
    property["description"] = json!(Key::plain(key.meaning));
    property["examples"] = json!([value(key.example)]);
    if let Absent::Value(text) = key.absent {
        property["default"] = json!(value(text));
    }
}

/// What components may run. A command that is absent is denied; a setting that is absent
/// has its built-in default.
#[derive(JsonSchema)]
#[schemars(
    rename = "capspawn grant",
    rename_all = "kebab-case",
    deny_unknown_fields
)]
struct GrantFile {
    #[schemars(range(min = 1, max = 1))]
    version: u64,
    /// The settings of every component.
    #[schemars(default)]
    defaults: Layer,
    /// The components, by the name that the host gives them, or by `sha256:` and the hash
    /// of their bytes.
    #[schemars(default)]
    component: BTreeMap<String, Component>,
}

#[derive(JsonSchema, Default)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Layer {
    #[schemars(flatten)]
    settings: Settings,
}

/// The settings that the defaults, a component and a command can each have. Lists add up,
/// single values replace.
#[derive(JsonSchema, Default)]
#[schemars(rename_all = "kebab-case")]
struct Settings {
    sandbox: Option<Word<Sandbox>>,
    network: Option<Word<Network>>,
    disclose_pid: Option<bool>,
    stdin: Option<bool>,
    redirect: Option<bool>,
    allow_bytes: Option<bool>,
    env: Option<Env>,
    fs: Option<Fs>,
    limits: Option<Limits>,
    capture: Option<Capture>,
    cwd: Option<Cwd>,
}

/// One of the words for the values of `T`.
struct Word<T>(PhantomData<T>);

trait Words {
    fn words() -> [&'static str; 3];
}

impl Words for Sandbox {
    fn words() -> [&'static str; 3] {
        Self::ALL.map(Self::name)
    }
}

impl Words for Network {
    fn words() -> [&'static str; 3] {
        Self::ALL.map(Self::name)
    }
}

impl Words for Effect {
    fn words() -> [&'static str; 3] {
        Self::ALL.map(Self::name)
    }
}

impl<T: Words> JsonSchema for Word<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": T::words() })
    }
}

/// The variables of the child's environment. It has no others.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Env {
    set: Option<BTreeMap<String, String>>,
    inherit: Option<Vec<String>>,
    allow: Option<Vec<String>>,
}

/// Roots in the host's file system. Relative paths are relative to the grant file.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Fs {
    read: Option<Vec<String>>,
    write: Option<Vec<String>>,
    deny: Option<Vec<String>>,
}

/// The limits of a child, each with its unit, or `unlimited`.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Limits {
    wall: Option<String>,
    cpu: Option<String>,
    memory: Option<String>,
    processes: Option<CountOrUnlimited>,
    open_files: Option<CountOrUnlimited>,
    file_size: Option<String>,
    tmpfs: Option<String>,
    output: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum CountOrUnlimited {
    Count(u64),
    Word(Unlimited),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum Unlimited {
    Unlimited,
}

/// How much output the host keeps.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Capture {
    stdout: Option<String>,
    stderr: Option<String>,
}

/// The directory in which children start.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Cwd {
    default: Option<String>,
    roots: Option<Vec<String>>,
}

/// What one component may do.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Component {
    #[schemars(default)]
    max_live: Option<u32>,
    #[schemars(default)]
    max_total: Option<u64>,
    #[schemars(default)]
    rate: Option<String>,
    #[schemars(default)]
    max_held_children: Option<u32>,
    #[schemars(default)]
    max_held_memory: Option<String>,
    #[schemars(default)]
    max_held_descriptors: Option<u32>,
    #[schemars(default)]
    detach: Option<Detach>,
    #[schemars(flatten)]
    settings: Settings,
    #[schemars(default)]
    command: Vec<Command>,
}

/// Whether children may outlive the guest.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Detach {
    #[schemars(default)]
    allow: bool,
    max_life: Option<String>,
}

/// One program and the arguments that a guest may give it.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Command {
    name: String,
    program: String,
    #[schemars(default)]
    sha256: Option<String>,
    #[schemars(default)]
    arg0: Option<String>,
    #[schemars(default)]
    allow_arg0: Vec<String>,
    #[schemars(default)]
    fixed: Vec<String>,
    #[schemars(default)]
    args: Vec<Pattern>,
    #[schemars(default)]
    decision: Option<Word<Effect>>,
    #[schemars(default)]
    interpreter: bool,
    #[schemars(default)]
    r#match: Vec<Vec<String>>,
    #[schemars(default)]
    not_match: Vec<Vec<String>>,
    #[schemars(flatten)]
    settings: Settings,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Pattern {
    Word(String),
    Table(PatternTable),
}

/// Exactly one of `literal`, `any`, `rest`, `one-of`, `int`, `path`, `re`.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct PatternTable {
    literal: Option<String>,
    any: Option<bool>,
    rest: Option<bool>,
    one_of: Option<Vec<String>>,
    int: Option<(i64, i64)>,
    path: Option<Path>,
    re: Option<String>,
    prefix: Option<String>,
    repeat: Option<String>,
    optional: Option<bool>,
    allow_dash: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Path {
    under: Vec<String>,
    access: Option<Access>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum Access {
    Read,
    Write,
}

#[cfg(test)]
mod tests;

//! The JSON schema of a grant, for editors and for embedders' own settings.
//!
//! These types are the file's form and nothing else: reading goes through
//! [`super::table`], which knows places and collects mistakes. A test holds the
//! two together, key by key.

#![expect(
    dead_code,
    reason = "schemars reads the types; no value of them is ever made"
)]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

/// Returns the JSON schema (draft 2020-12) of a grant.
pub fn schema() -> serde_json::Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings
        .into_generator()
        .into_root_schema_for::<GrantFile>()
        .to_value()
}

/// What components may run. What is absent is denied, or the built-in minimum.
#[derive(JsonSchema)]
#[schemars(
    rename = "capspawn grant",
    rename_all = "kebab-case",
    deny_unknown_fields
)]
struct GrantFile {
    /// Always 1.
    #[schemars(range(min = 1, max = 1))]
    version: u64,
    /// What holds for every component.
    #[schemars(default)]
    defaults: Layer,
    /// By the name that the host gives a component, or `sha256:` and the hash of
    /// its bytes.
    #[schemars(default)]
    component: BTreeMap<String, Component>,
}

#[derive(JsonSchema, Default)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Layer {
    #[schemars(flatten)]
    settings: Settings,
}

/// What defaults, a component and a command can each say: lists add up, single
/// values replace.
#[derive(JsonSchema, Default)]
#[schemars(rename_all = "kebab-case")]
struct Settings {
    /// Fail closed, run and report, or none at all.
    sandbox: Option<SandboxWord>,
    network: Option<NetworkWord>,
    /// Whether the guest may see its children's process ids, which are the host's;
    /// false if absent.
    disclose_pid: Option<bool>,
    env: Option<Env>,
    fs: Option<Fs>,
    limits: Option<Limits>,
    capture: Option<Capture>,
    cwd: Option<Cwd>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum SandboxWord {
    Required,
    BestEffort,
    None,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum NetworkWord {
    None,
    Loopback,
    Host,
}

/// The child's whole environment.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Env {
    /// Variables that every child gets.
    set: Option<BTreeMap<String, String>>,
    /// Names that are taken from the host when the grant loads.
    inherit: Option<Vec<String>>,
    /// Names that a guest may set; `*` at the end covers what begins so.
    allow: Option<Vec<String>>,
}

/// Roots in the host's file system; relative ones are relative to the file.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Fs {
    read: Option<Vec<String>>,
    write: Option<Vec<String>>,
    /// Holes in the above.
    deny: Option<Vec<String>>,
}

/// Each with its unit, or `unlimited`.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Limits {
    /// Such as `30s`; never unlimited.
    wall: Option<String>,
    /// Such as `10s`.
    cpu: Option<String>,
    /// Such as `256MiB`.
    memory: Option<String>,
    /// Tasks, threads included.
    processes: Option<CountOrUnlimited>,
    open_files: Option<CountOrUnlimited>,
    /// Such as `64MiB`.
    file_size: Option<String>,
    /// What fits into a private `/tmp`, such as `64MiB`; never unlimited.
    tmpfs: Option<String>,
    /// Of both streams together, such as `1GiB`.
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

/// How much output is kept.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Capture {
    /// Such as `1MiB`.
    stdout: Option<String>,
    /// Such as `64KiB`.
    stderr: Option<String>,
}

/// Where children start.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Cwd {
    /// The first of the roots if absent.
    default: Option<String>,
    /// What a guest may choose below; the default alone if absent.
    roots: Option<Vec<String>>,
}

/// What one component may do.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Component {
    /// Children at once.
    #[schemars(default)]
    max_live: Option<u32>,
    /// Children in all.
    #[schemars(default)]
    max_total: Option<u64>,
    /// Such as `20/min`.
    #[schemars(default)]
    rate: Option<String>,
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
    /// Such as `10min`.
    max_life: Option<String>,
}

/// One program and the arguments that it may get.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case", deny_unknown_fields)]
struct Command {
    /// What the guest asks for.
    name: String,
    /// An absolute path; `*`, with the name `*`, is any program.
    program: String,
    /// The file's hash, in hexadecimal.
    #[schemars(default)]
    sha256: Option<String>,
    /// `argv[0]`; the program's path if absent.
    #[schemars(default)]
    arg0: Option<String>,
    /// Arguments before the guest's.
    #[schemars(default)]
    fixed: Vec<String>,
    /// What the guest's arguments must match; none are allowed if absent.
    #[schemars(default)]
    args: Vec<Pattern>,
    #[schemars(default)]
    decision: Option<DecisionWord>,
    /// Must be true for an interpreter or shell with a wildcard.
    #[schemars(default)]
    interpreter: bool,
    /// Vectors that must match, tried at load.
    #[schemars(default)]
    r#match: Vec<Vec<String>>,
    /// Vectors that must not match, tried at load.
    #[schemars(default)]
    not_match: Vec<Vec<String>>,
    #[schemars(flatten)]
    settings: Settings,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
enum DecisionWord {
    Allow,
    Ask,
    Deny,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Pattern {
    /// `*` is any one argument, `**` all that is left, anything else itself.
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
    /// The least and the most.
    int: Option<(i64, i64)>,
    path: Option<Path>,
    /// A regular expression for the whole argument.
    re: Option<String>,
    /// With `int` or `path`: what stands before.
    prefix: Option<String>,
    /// `m..n`, both included, or `m..`.
    repeat: Option<String>,
    optional: Option<bool>,
    /// With `any` or `rest`: what begins with `-` or `@` too.
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
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::grant::Grants;

    /// Every key that there is, each in its place.
    const ALL: &str = r#"
        version = 1
        [defaults]
        sandbox = "required"
        network = "none"
        disclose-pid = true
        env = { set = { LANG = "C" }, inherit = ["TZ"], allow = ["X"] }
        fs = { read = ["/usr", "/bin"], write = ["/dev/null"], deny = ["/etc/passwd"] }
        limits = { wall = "1s", cpu = "1s", memory = "1MiB", processes = 1, open-files = "unlimited", file-size = "unlimited", tmpfs = "1MiB", output = "1B" }
        capture = { stdout = "1B", stderr = "1B" }
        cwd = { default = "/usr", roots = ["/usr"] }
        [component.c]
        max-live = 1
        max-total = 1
        rate = "1/s"
        detach = { allow = true, max-life = "1s" }
        [[component.c.command]]
        name = "echo"
        program = "/bin/echo"
        arg0 = "echo"
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
                    "env",
                    "fs",
                    "limits",
                    "capture",
                    "cwd",
                    "sha256",
                ];
                known.retain(|key| !elsewhere.contains(key));
            } else if place.ends_with("component.c") {
                known.retain(|key| {
                    found.contains(key) || ["max-live", "rate", "detach"].contains(key)
                });
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
}

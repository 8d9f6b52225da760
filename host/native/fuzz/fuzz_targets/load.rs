//! Any text as a grant: no panic, and every refusal names a mistake.
#![no_main]

mod base;

use std::path::Path;

use capspawn_native::Command;
use capspawn_native::grant::{GrantError, Grants};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::Value;

use base::BASE;

fuzz_target!(init: base::make(), |text: &str| -> Corpus {
    let toml = toml::from_str::<Value>(text).ok();
    let json = serde_json::from_str::<Value>(text).ok();
    // A grant opens the files that it names, and a fuzzer must not open any device or pipe of
    // the machine. A text that does not parse opens nothing.
    if !toml.iter().chain(&json).all(stays_in_base) {
        return Corpus::Reject;
    }
    let base = Path::new(BASE);
    check(text, Grants::from_toml_str(text, base), toml.is_some());
    check(text, Grants::from_json_str(text, base), json.is_some());
    if let Some(value) = json {
        drop(Grants::from_value(value, base));
    }
    Corpus::Keep
});

/// Returns whether no string of the value can name a file outside of the base.
fn stays_in_base(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            let outside = text.starts_with('/') && !Path::new(text).starts_with(BASE);
            !outside && !text.split('/').any(|part| part == "..")
        }
        Value::Array(values) => values.iter().all(stays_in_base),
        Value::Object(table) => table.values().all(stays_in_base),
        _ => true,
    }
}

fn check(text: &str, loaded: Result<Grants, GrantError>, parses: bool) {
    let lines = text.split('\n').count();
    match loaded {
        Ok(grants) => {
            assert!(parses, "a text that does not parse was loaded");
            for grant in grants.components() {
                for summary in grant.commands() {
                    let request = Command::new(summary.name).args(summary.fixed);
                    let explained = grant.explain(&request);
                    assert!(!explained.to_string().is_empty());
                }
            }
        }
        Err(error) => {
            assert!(
                !error.diagnostics().is_empty(),
                "a refusal without a diagnostic"
            );
            for diagnostic in error.diagnostics() {
                assert!(!diagnostic.message.is_empty(), "a diagnostic without a message");
                if let Some((line, column)) = diagnostic.place {
                    assert!((1..=lines).contains(&line), "line {line} of {lines}");
                    assert!((1..=text.len() + 1).contains(&column), "column {column}");
                }
            }
            assert!(!error.to_string().is_empty());
        }
    }
}

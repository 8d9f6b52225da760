//! The shipped JSON schema is the one that the types generate.

use std::fs;
use std::path::Path;

/// If this variable is set, the test writes the file before it compares it.
const BLESS: &str = "CAPSPAWN_BLESS";

#[test]
fn the_shipped_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("grants.schema.json");
    let schema = capspawn_native::grant::schema();
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    if std::env::var_os(BLESS).is_some() {
        fs::write(&path, &text).expect("the source folder is writable");
    }
    let shipped = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        shipped == text,
        "{} is out of date: run the test with {BLESS}=1 to rewrite it",
        path.display()
    );
}

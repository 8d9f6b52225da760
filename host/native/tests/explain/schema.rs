//! The shipped schema is the one that the types say.

use std::fs;
use std::path::Path;

/// Set to anything, this test writes the file instead of comparing it.
const BLESS: &str = "CAPSPAWN_BLESS";

#[test]
fn the_shipped_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("grants.schema.json");
    let schema = capspawn_native::grant::schema();
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    if std::env::var_os(BLESS).is_some() {
        fs::write(&path, &text).expect("the source folder can be written");
    }
    let shipped = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        shipped == text,
        "{} is out of date; {BLESS}=1 rewrites it",
        path.display()
    );
}

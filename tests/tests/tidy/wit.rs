//! The WIT names the version in which each of its items came.

use crate::sources::WIT;

#[test]
fn every_wit_item_has_the_version_that_added_it() {
    let mut items = 0;
    // A library's own package is no interface: nobody else imports it.
    let interface = WIT.iter().filter(|(path, _)| path.starts_with("wit/"));
    for (path, text) in interface {
        let mut has_version = false;
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if is_item(line) {
                items += 1;
                let line_number = index + 1;
                assert!(
                    has_version,
                    "{path}:{line_number}: no @since before `{line}`"
                );
            }
            has_version = line.starts_with("@since(");
        }
    }
    assert!(items > 40, "the rule no longer sees the items: {items}");
}

/// Whether a line declares something that a later version may add.
fn is_item(line: &str) -> bool {
    let keywords = [
        "interface ",
        "world ",
        "use ",
        "import ",
        "export ",
        "type ",
        "record ",
        "enum ",
        "variant ",
        "flags ",
        "resource ",
        "constructor(",
    ];
    let is_function = || {
        line.split_once(": ").is_some_and(|(name, shape)| {
            let is_name = name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '%');
            let shapes = ["func(", "static func(", "async func(", "static async func("];
            is_name && shapes.iter().any(|it| shape.starts_with(it))
        })
    };
    !line.starts_with("//") && (keywords.iter().any(|it| line.starts_with(it)) || is_function())
}

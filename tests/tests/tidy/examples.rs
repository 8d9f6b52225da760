//! Tests the rules of `direction.rs` on small made-up crates.

use crate::direction::{climbs, file_circles, folder_circles};
use crate::modules::{Crate, Sources};

/// A crate with these files below `src`; the first is its root.
fn tree(files: &[(&str, &str)]) -> Crate {
    let path = |file: &str| format!("src/{file}");
    let sources = files
        .iter()
        .map(|(file, text)| (path(file), text.to_string()));
    Crate::load(&path(files[0].0), &sources.collect::<Sources>())
}

/// Which file uses which, as `USER:LINE -> USED`.
fn arrows(files: &[(&str, &str)]) -> Vec<String> {
    let arrows = tree(files).arrows();
    let shown = arrows.iter().map(|arrow| {
        let [user, used] = [&arrow.user, &arrow.used].map(|it| it.trim_start_matches("src/"));
        format!("{user}:{} -> {used}", arrow.line)
    });
    shown.collect()
}

/// The arrows of the file `a.rs` with this text, beside a few others.
fn of_a(text: &str) -> Vec<String> {
    arrows(&[
        ("lib.rs", "mod a; mod b; mod room;"),
        ("a.rs", text),
        (
            "b.rs",
            "pub struct B; pub fn f() {} pub(crate) mod inner { pub struct I; }",
        ),
        (
            "room/mod.rs",
            "mod one; mod two; pub use one::One; pub use self::two::*; pub use one::One as Uno;
             pub struct Room;",
        ),
        (
            "room/one.rs",
            "pub struct One; impl One { pub const MAX: u8 = 1; }",
        ),
        ("room/two.rs", "pub enum Two { A, B }"),
    ])
}

#[test]
fn an_import_is_an_arrow() {
    assert_eq!(of_a("use crate::b::B;"), ["a.rs:1 -> b.rs"]);
    assert_eq!(of_a("use super::b::{self, B};"), ["a.rs:1 -> b.rs"]);
    assert_eq!(of_a("use crate::b::B as Other;"), ["a.rs:1 -> b.rs"]);
    assert_eq!(of_a("fn g() {\nuse crate::b::f;\n}"), ["a.rs:2 -> b.rs"]);
}

#[test]
fn a_path_in_the_code_is_an_arrow() {
    for text in [
        "fn g() { crate::b::f(); }",
        "fn g(_: super::b::B) {}",
        "impl Trait for crate::b::B {}",
        "fn g() { println!(\"{}\", crate::b::f()); }",
        "macro_rules! m { () => { $crate::b::f() }; }",
        "mod inner { fn g() { super::super::b::f(); } }",
    ] {
        assert_eq!(of_a(text), ["a.rs:1 -> b.rs"], "{text}");
    }
}

#[test]
fn an_imported_module_is_an_arrow_where_it_is_used() {
    assert!(of_a("use crate::b;").is_empty());
    assert_eq!(
        of_a("use crate::b;\nfn g() { b::f(); }"),
        ["a.rs:2 -> b.rs"]
    );
    assert_eq!(
        of_a("use crate::b as c;\nfn g() { h!(c::f()); }"),
        ["a.rs:2 -> b.rs"]
    );
    assert_eq!(
        of_a("use crate::room;\nfn g(_: room::One) {}"),
        ["a.rs:2 -> room/one.rs"]
    );
}

#[test]
fn a_reexport_leads_to_the_file_that_defines_the_item() {
    assert_eq!(of_a("use crate::room::Room;"), ["a.rs:1 -> room/mod.rs"]);
    assert_eq!(of_a("use crate::room::One;"), ["a.rs:1 -> room/one.rs"]);
    assert_eq!(of_a("use crate::room::Uno;"), ["a.rs:1 -> room/one.rs"]);
    assert_eq!(
        of_a("const M: u8 = crate::room::One::MAX;"),
        ["a.rs:1 -> room/one.rs"]
    );
    assert_eq!(of_a("use crate::room::Two;"), ["a.rs:1 -> room/two.rs"]);
    assert_eq!(
        of_a("use crate::room::*;\nfn g(_: Two) {}"),
        ["a.rs:2 -> room/two.rs"]
    );
    assert_eq!(of_a("use crate::room::Two::A;"), ["a.rs:1 -> room/two.rs"]);
}

#[test]
fn a_reexport_is_an_arrow_only_where_it_is_used() {
    let root = |text| [("lib.rs", text), ("b.rs", "pub struct B;")];
    assert!(arrows(&root("mod b; pub use b::B;")).is_empty());
    assert!(arrows(&root("mod b; pub(crate) use crate::b::B;")).is_empty());
    let used = "mod b; pub use b::B;\nfn g(_: B) {}";
    assert_eq!(arrows(&root(used)), ["lib.rs:2 -> b.rs"]);
}

#[test]
fn an_item_that_no_text_shows_is_the_last_named_modules() {
    assert_eq!(
        of_a("use crate::room::Generated;"),
        ["a.rs:1 -> room/mod.rs"]
    );
    assert_eq!(of_a("use crate::b::inner::I;"), ["a.rs:1 -> b.rs"]);
}

#[test]
fn other_crates_tests_comments_and_visibilities_are_no_arrows() {
    for text in [
        "use b::B;",
        "use ::b::B;",
        "fn g() { ::b::f(); b.f(); }",
        "//! [crate::b::B]\n/// crate::b::B\nfn g() { \"crate::b::B\"; }",
        "#[cfg(test)] mod tests { use crate::b::B; }",
        "#[cfg(test)] mod tests;",
        "#[cfg(all(test, unix))] use crate::b::B;",
        "#[test] fn g() { crate::b::f(); }",
        "struct S { #[cfg(test)] field: crate::b::B }",
        "pub(in crate::b) struct S;",
        "fn b() { b(); }",
    ] {
        assert!(of_a(text).is_empty(), "{text}: {:?}", of_a(text));
    }
    assert_eq!(
        of_a("#[cfg(any(test, unix))] use crate::b::B;"),
        ["a.rs:1 -> b.rs"]
    );
    assert_eq!(
        of_a("#[cfg(not(test))] use crate::b::B;"),
        ["a.rs:1 -> b.rs"]
    );
}

#[test]
fn modules_may_pass_on_each_others_names() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        (
            "a.rs",
            "pub use crate::b::*; pub struct A; fn g(_: B, _: None) {}",
        ),
        ("b.rs", "pub use crate::a::*; pub struct B;"),
    ];
    assert_eq!(arrows(&files), ["a.rs:1 -> b.rs"]);
}

#[test]
fn a_module_of_each_platform_is_used() {
    let files = [
        (
            "lib.rs",
            "mod a; #[cfg(unix)] #[path = \"x.rs\"] mod os; #[cfg(windows)] mod os;",
        ),
        ("a.rs", "use crate::os::Handle;"),
        ("x.rs", "pub struct Handle;"),
        ("os.rs", "pub struct Handle;"),
    ];
    assert_eq!(arrows(&files), ["a.rs:1 -> os.rs", "a.rs:1 -> x.rs"]);
    assert_eq!(tree(&files).moved_files(), ["src/x.rs"]);
}

#[test]
fn a_circle_is_shown_file_by_file() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c; mod d; pub use a::A;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "\nuse crate::c::C; pub struct B;"),
        ("c.rs", "use crate::A; pub struct C;"),
        ("d.rs", "use crate::{A, b::B};"),
    ];
    let [circle] = file_circles(&tree(&files)).try_into().expect("one circle");
    assert!(circle.starts_with("a circle of 3:\n"), "{circle}");
    for line in [
        "  src/a.rs uses src/b.rs\n    src/a.rs:1: `crate::b::B` of src/b.rs\n",
        "  src/b.rs uses src/c.rs\n    src/b.rs:2: ",
        "  src/c.rs uses src/a.rs\n",
    ] {
        assert!(circle.contains(line), "no {line:?} in {circle}");
    }
    assert!(!circle.contains("src/d.rs"), "{circle}");
    assert!(
        folder_circles(&tree(&files)).is_empty(),
        "they are no folders"
    );
    assert!(
        file_circles(&tree(
            &files[..1]
                .iter()
                .copied()
                .chain([
                    ("a.rs", "use crate::b::B; pub struct A;"),
                    ("b.rs", "use crate::c::C; pub struct B;"),
                    ("c.rs", "pub struct C;"),
                    ("d.rs", "use crate::A;"),
                ])
                .collect::<Vec<_>>()
        ))
        .is_empty()
    );
}

#[test]
fn a_file_and_its_folder_may_not_use_each_other() {
    let files = |spawn| {
        [
            ("lib.rs", "mod guest;"),
            (
                "guest.rs",
                "mod spawn; pub struct Guest; fn g() { spawn::f(); }",
            ),
            ("guest/spawn.rs", spawn),
        ]
    };
    assert!(file_circles(&tree(&files("pub fn f() {}"))).is_empty());
    assert_eq!(
        file_circles(&tree(&files("use super::Guest; pub fn f() {}"))).len(),
        1
    );
}

#[test]
fn folders_use_each_other_through_different_files() {
    let files = |last| {
        [
            ("lib.rs", "mod x; mod y;"),
            ("x.rs", "pub mod a; pub mod b;"),
            ("x/a.rs", "use crate::y::a::A;"),
            ("x/b.rs", "pub struct B;"),
            ("y.rs", "pub mod a; pub mod b;"),
            ("y/a.rs", "pub struct A;"),
            ("y/b.rs", last),
        ]
    };
    let bad = tree(&files("use crate::x::b::B;"));
    assert!(file_circles(&bad).is_empty());
    let [circle] = folder_circles(&bad).try_into().expect("one circle");
    assert!(
        circle.starts_with("in crate: a circle of 2:\n  x uses y\n"),
        "{circle}"
    );
    assert!(folder_circles(&tree(&files("pub struct B;"))).is_empty());
}

#[test]
fn arrows_that_run_up_are_found() {
    let files = |low| {
        [
            (
                "lib.rs",
                "mod low; mod mid; mod top; pub use top::Top; pub fn root() {}",
            ),
            ("top.rs", "use crate::{low::Low, mid::Mid}; pub struct Top;"),
            ("mid.rs", "mod inner; pub struct Mid;"),
            ("mid/inner.rs", "use crate::low::Low;"),
            ("low.rs", low),
        ]
    };
    let layers: &[&[&str]] = &[&["top"], &["mid", "low"]];
    let climbs = |low| climbs(&tree(&files(low)), layers);
    assert!(climbs("pub struct Low;").is_empty());
    assert!(
        climbs("use crate::mid::Mid; pub struct Low;").is_empty(),
        "of the same line"
    );
    let [up] = climbs("use crate::Top; pub struct Low;")
        .try_into()
        .expect("one arrow");
    assert_eq!(up, "upwards: src/low.rs:1: `crate::Top` of src/top.rs");
    let [up] = climbs("use crate::root; pub struct Low;")
        .try_into()
        .expect("one arrow");
    assert_eq!(up, "upwards: src/low.rs:1: `crate::root` of src/lib.rs");
}

#[test]
fn every_module_has_a_layer_and_every_layer_a_module() {
    let files = [("lib.rs", "mod a; mod b;"), ("a.rs", ""), ("b.rs", "")];
    let faults = climbs(&tree(&files), &[&["a"], &["c"]]);
    assert_eq!(
        faults,
        [
            "c has a layer and is no module",
            "b is a module and has no layer"
        ]
    );
}

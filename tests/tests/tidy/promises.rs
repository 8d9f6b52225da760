//! The list of tests in the threat model: each test that it names exists, and each promise has a
//! line.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::{fs, iter};

use syn::visit::{self, Visit};
use syn::{Attribute, ItemFn};

use crate::sources::{RUST, root};

const DOCUMENT: &str = "host/THREAT-MODEL.md";
/// The document links relative to this folder.
const FOLDER: &str = "host";
/// Between the promises and the list of their tests.
const LIST: &str = "\n## Tests\n";

/// The functions of one file that are tests.
#[derive(Default)]
struct Tests(BTreeSet<String>);

impl<'ast> Visit<'ast> for Tests {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        // `#[test]` and `#[tokio::test]`.
        let is_test = |it: &Attribute| {
            let last = it.path().segments.last();
            last.is_some_and(|last| last.ident == "test")
        };
        if item.attrs.iter().any(is_test) {
            self.0.insert(item.sig.ident.to_string());
        }
        visit::visit_item_fn(self, item);
    }
}

fn tests_of(source: &str) -> BTreeSet<String> {
    let mut tests = Tests::default();
    tests.visit_file(&syn::parse_file(source).expect("sources are Rust"));
    tests.0
}

/// The first cell and the others of each row of a table, but for the rows with its head.
fn rows(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let rows = text.lines().zip(text.lines().skip(1).chain([""]));
    let rows = rows.filter(|(_, next)| !next.starts_with("|---"));
    rows.filter_map(|(row, _)| row.strip_prefix("| ")?.split_once(" | "))
}

/// The bold words with which the items of a section begin.
fn leads<'a>(text: &'a str, heading: &str) -> impl Iterator<Item = &'a str> {
    let after = text.split(heading).nth(1).unwrap_or_default();
    let section = after.split("\n## ").next().unwrap_or_default();
    let items = section.split("\n- **").skip(1);
    items.filter_map(|item| Some(item.split_once(".**")?.0))
}

/// The file, as a path in the repository, and the name of each test in a row of the list. A link
/// leads to the file of the names behind it, up to the next link.
fn named(row: &str) -> impl Iterator<Item = (String, &str)> {
    let files = row.split("](").skip(1);
    files.flat_map(|of_file| {
        let (link, rest) = of_file.split_once(')').expect("a link has an end");
        let (names, _next_link) = rest.rsplit_once('[').unwrap_or((rest, ""));
        iter::repeat(path(link)).zip(names.split('`').skip(1).step_by(2))
    })
}

/// A link of the document as a path in the repository.
fn path(link: &str) -> String {
    let mut path = PathBuf::from(FOLDER);
    for part in Path::new(link).components() {
        if part == Component::ParentDir {
            path.pop();
        } else {
            path.push(part);
        }
    }
    path.to_str().expect("links are UTF-8").to_owned()
}

/// What is wrong with a threat model, if the files of the repository have these tests.
fn faults(document: &str, tests_of: impl Fn(&str) -> Option<BTreeSet<String>>) -> Vec<String> {
    let (promises, list) = document.split_once(LIST).expect("it has a list of tests");
    let mut faults = Vec::new();
    let mut listed = BTreeSet::new();
    for (promise, tests) in rows(list) {
        listed.insert(promise);
        if named(tests).next().is_none() {
            faults.push(format!("no test: {promise}"));
        }
        for (file, name) in named(tests) {
            match tests_of(&file) {
                None => faults.push(format!("no file {file}: {promise}")),
                Some(tests) if !tests.contains(name) => {
                    faults.push(format!("no test {name} in {file}: {promise}"));
                }
                Some(_) => {}
            }
        }
    }
    let tiers = promises.split("\n| Property |").nth(1).unwrap_or_default();
    let (tiers, _) = tiers.split_once("\n\n").unwrap_or((tiers, ""));
    let properties = rows(tiers).map(|(property, _)| property);
    let promised: Vec<_> = leads(promises, "\n## What holds for every child\n")
        .chain(properties)
        .collect();
    if promised.len() < 2 {
        faults.push("the document has another layout".into());
    }
    let missing = promised.iter().filter(|it| !listed.contains(*it));
    faults.extend(missing.map(|promise| format!("not in the list of tests: {promise}")));
    faults
}

#[test]
fn each_promise_of_the_threat_model_has_a_test_that_exists() {
    let document = fs::read_to_string(root().join(DOCUMENT)).expect("it exists");
    let faults = faults(&document, |file| Some(tests_of(RUST.get(file)?)));
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn a_promise_without_a_test_is_found() {
    let document = |property: &str, tests: &str| {
        format!(
            "# Model\n\n## What holds for every child\n\n- **An end.** It ends.\n\n## Tiers\n\n\
             | Property | A |\n|---|---|\n| Needs | x |\n| {property} | x |\n\n## Tests\n\n\
             | Promise | Tests |\n|---|---|\n| An end | [one](one.rs) `a_test_of_one` |\n\
             | Needs | {tests} |\n"
        )
    };
    let tests = |file: &str| match file {
        "host/one.rs" => Some(tests_of(
            "#[test] fn a_test_of_one() {} mod tests { #[tokio::test] async fn an_inner_test() {} }",
        )),
        "two.rs" => Some(tests_of(
            "#[test] fn a_test_of_two() {} fn no_test_at_all() {}",
        )),
        _ => None,
    };
    let faults = |property, tests_text| faults(&document(property, tests_text), tests);
    let sound = "[one](one.rs) `an_inner_test`; [two](../two.rs) `a_test_of_two` (two)";
    assert_eq!(faults("Needs", sound), Vec::<String>::new());
    assert_eq!(
        faults("`/proc`", sound),
        ["not in the list of tests: `/proc`"]
    );
    for (text, fault) in [
        ("none", "no test: Needs"),
        ("[one](one.rs)", "no test: Needs"),
        (
            "[three](three.rs) `a_test_of_one`",
            "no file host/three.rs: Needs",
        ),
        (
            "[one](one.rs) `an_inner_test`; [two](../two.rs) `a_test_of_one`",
            "no test a_test_of_one in two.rs: Needs",
        ),
        (
            "[two](../two.rs) `no_test_at_all`",
            "no test no_test_at_all in two.rs: Needs",
        ),
    ] {
        assert_eq!(faults("Needs", text), [fault], "{text}");
    }
}

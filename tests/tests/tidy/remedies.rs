//! No text that the host writes for people advises less safety than was asked for.

use proc_macro2::{TokenStream, TokenTree};

use crate::sources::RUST;

/// Where such texts are: the crates that write them, without their tests.
const FOLDERS: [&str; 4] = [
    "host/src",
    "host/cli/src",
    "host/native/src",
    "guest-examples/src",
];

/// How a text would name a weaker confinement.
const WEAKER: [&str; 4] = [
    "best-effort",
    "best_effort",
    "sandbox = \"none\"",
    "without a sandbox",
];

/// The texts that name one, each because it describes what the operator has written, or what an
/// option does. A new one belongs here only if it advises nothing.
const DESCRIBING: [&str; 9] = [
    // The names of the levels, as a grant has them.
    "best-effort",
    "a sandbox is required, best-effort or none",
    // A warning about what the operator has written.
    "{name}: sandbox = \"none\": the child is not confined and can do whatever its user can",
    "{name}: without a sandbox the paths in `args` are checked but not enforced",
    // The reason of a report on a command that the operator has left unconfined.
    "the grant says sandbox = \"none\"",
    // What `check` shows of what the operator has written.
    "best-effort: what the host cannot enforce does not hold",
    // The reference of keys.
    "`\"required\"`, `\"best-effort\"` or `\"none\"`",
    "`\"required\"`: nothing starts unless all of the confinement is enforced; `\"best-effort\"`: the child \\\n                  starts with what the host can enforce, and events report how much; `\"none\"`: no confinement",
    "Files and directories that the child can open and change. Paths as in `fs.read`. On a root host they \\\n                  have to be writable for the user 65534 (`--run-as`), and a child with `sandbox = \"none\"` that lists \\\n                  some runs as [that user](THREAT-MODEL.md#users)",
];

/// The string literals of Rust code, without comments and without tests.
fn texts(code: TokenStream, found: &mut Vec<String>) {
    let mut before: [String; 2] = Default::default();
    for token in code {
        let text = token.to_string();
        match token {
            // The body of a module of tests.
            TokenTree::Group(_) if before == ["mod", "tests"] => {}
            // A comment of documentation is an attribute.
            TokenTree::Group(group) if before[1] == "#" || before == ["#", "!"] => {
                let _ = group;
            }
            TokenTree::Group(group) => texts(group.stream(), found),
            TokenTree::Literal(_) if text.ends_with('"') || text.ends_with('#') => {
                found.push(text.replace("\\\"", "\""));
            }
            _ => {}
        }
        let [_, last] = before;
        before = [last, text];
    }
}

fn is_of_a_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

#[test]
fn no_text_of_the_host_advises_a_weaker_confinement() {
    let mut weaker = Vec::new();
    for (path, source) in RUST.iter() {
        let is_here = FOLDERS.iter().any(|folder| path.starts_with(folder));
        if !is_here || is_of_a_test(path) {
            continue;
        }
        let mut found = Vec::new();
        texts(source.parse().expect("sources are Rust"), &mut found);
        let names_one = |text: &String| WEAKER.iter().any(|words| text.contains(words));
        let describes = |text: &String| {
            let text = text.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
            DESCRIBING.iter().any(|known| text == Some(known))
        };
        let advices = found
            .into_iter()
            .filter(|text| names_one(text) && !describes(text));
        weaker.extend(advices.map(|text| format!("{path}: {text}")));
    }
    assert!(weaker.is_empty(), "{weaker:#?}");
}

#[test]
fn a_text_that_advises_is_found_and_a_comment_or_a_test_is_not() {
    let found = |source: &str| {
        let mut found = Vec::new();
        texts(source.parse().expect("Rust"), &mut found);
        found
    };
    let source = "/// \"best-effort\"\nfn f() { g(\"use best-effort\") } mod tests { fn h() { \"best-effort\" } }";
    assert_eq!(found(source), ["\"use best-effort\""]);
    assert_eq!(
        found("const A: &str = \"sandbox = \\\"none\\\"\";"),
        ["\"sandbox = \"none\"\""]
    );
}

//! The text of the repository's source files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proc_macro2::{TokenStream, TokenTree};

use crate::modules::Sources;

pub(crate) static RUST: LazyLock<Sources> = LazyLock::new(|| sources("rs"));
pub(crate) static WIT: LazyLock<Sources> = LazyLock::new(|| sources("wit"));
pub(crate) static TOML: LazyLock<Sources> = LazyLock::new(|| sources("toml"));

pub(crate) fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the crate has a parent")
}

/// Whether a path of the repository is one of `folders`, or in one of them.
pub(crate) fn is_below(path: &str, folders: &[&str]) -> bool {
    folders.iter().any(|it| Path::new(path).starts_with(it))
}

/// All files of the repository with this extension.
fn sources(extension: &str) -> Sources {
    let mut found = BTreeMap::new();
    for folder in ["guest", "guest-examples", "host", "tests", "wit"] {
        collect(&root().join(folder), extension, &mut found);
    }
    assert!(!found.is_empty(), "no .{extension} files in the repository");
    found
}

fn collect(folder: &Path, extension: &str, found: &mut Sources) {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let paths = entries.map(|entry| entry.expect("folders are readable").path());
    for path in paths.collect::<Vec<PathBuf>>() {
        if path.is_dir() {
            // The WIT of dependencies is not ours; what a build makes is no source; what a link
            // names is found in its own place.
            let is_left_out = path.ends_with("target") || path.ends_with("deps");
            if !is_left_out && !path.is_symlink() {
                collect(&path, extension, found);
            }
        } else if path.extension().is_some_and(|it| it == extension) {
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            let path = path.strip_prefix(root()).expect("it is below the root");
            found.insert(path.to_str().expect("names are UTF-8").to_owned(), text);
        }
    }
}

/// A word, sign or literal of Rust source, and the line that it is on.
pub(crate) type Token = (String, usize);

/// The code of each Rust file: comments are left out, and literals have no text.
pub(crate) static CODE: LazyLock<BTreeMap<&str, Vec<Token>>> = LazyLock::new(|| {
    let code = RUST.iter().map(|(path, text)| (path.as_str(), code(text)));
    code.collect()
});

pub(crate) fn code(source: &str) -> Vec<Token> {
    let mut code = Vec::new();
    flatten(source.parse().expect("sources are Rust"), &mut code);
    code
}

/// Adds each token that is no group.
fn flatten(tokens: TokenStream, code: &mut Vec<Token>) {
    for token in tokens {
        let line = token.span().start().line;
        match token {
            TokenTree::Group(group) => flatten(group.stream(), code),
            TokenTree::Literal(_) => code.push(("\"\"".to_owned(), line)),
            other => code.push((other.to_string(), line)),
        }
    }
}

/// The lines on which the words of `wanted` begin, one after the other.
pub(crate) fn lines_with(code: &[Token], wanted: &[&str]) -> Vec<usize> {
    let found = code.windows(wanted.len()).filter(|window| {
        let words = window.iter().map(|(word, _)| word.as_str());
        words.eq(wanted.iter().copied())
    });
    found.map(|window| window[0].1).collect()
}

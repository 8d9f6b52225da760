//! The names by which tables of programs know a program.

use std::path::Path;

/// Returns the last part of a path as it is written, and as it is resolved: `awk` is a link to `mawk`.
pub(super) fn names_of(path: &Path) -> impl Iterator<Item = String> {
    let real = path.canonicalize().ok();
    [Some(path.to_owned()), real]
        .into_iter()
        .flatten()
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
}

/// Returns whether `name` is one of `known`, in which a `*` stands for any text.
pub(super) fn is_one_of(name: &str, known: &[&str]) -> bool {
    known.iter().any(|pattern| covers(pattern, name))
}

/// Returns whether a name, with `*` for any text, covers `name`.
pub(in crate::grant) fn covers(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.len() >= last.len() && left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name) in [
            ("sh", "sh"),
            ("python*", "python3.12"),
            ("python*", "python"),
            ("*PAGER", "GIT_PAGER"),
            ("*PAGER", "PAGER"),
            ("*-gcc-*", "x86_64-linux-gnu-gcc-12"),
            ("a*b*c", "a1b2c"),
            ("*", ""),
        ] {
            assert!(covers(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("sh", "bash"),
            ("python*", "pytho"),
            ("*PAGER", "PAGERS"),
            ("a*b*c", "a1c"),
            ("ab*ba", "aba"),
        ] {
            assert!(!covers(pattern, name), "{pattern} {name}");
        }
    }
}

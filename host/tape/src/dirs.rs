//! Directories with names: a tape shows `$WORKSPACE` for the folder in which it was recorded, and is replayed in another
//! one.
//!
//! A name in the text itself is written `$$NAME`, so that it is never taken for the folder. Rejected: variables of the
//! environment, which would put whatever they hold into a tape.

use std::path::{Path, PathBuf};

/// Directories with names, in the order in which they are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dirs(Vec<(String, Vec<u8>)>);

impl Dirs {
    /// Adds `dir`, an absolute path without a `/` at the end, which tapes show as `$NAME`. Of two that contain each
    /// other, the inner one is looked for first.
    ///
    /// # Errors
    ///
    /// The name has other characters than capital letters, digits and `_`, or is taken; or the path is not absolute or
    /// is the root.
    pub fn add(&mut self, name: &str, dir: impl Into<PathBuf>) -> Result<(), DirError> {
        let dir = dir.into();
        let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || !name.chars().all(is_part) {
            return Err(DirError::Name(name.to_owned()));
        }
        if self.0.iter().any(|(taken, _)| taken == name) {
            return Err(DirError::Twice(name.to_owned()));
        }
        // Components drop a `/` at the end.
        let path: PathBuf = dir.components().collect();
        if !path.is_absolute() || path == Path::new("/") {
            return Err(DirError::Path(dir));
        }
        self.0.push((name.to_owned(), crate::text::bytes_of(path)));
        // The longest first: it may be inside another one. `$AB` is no `$A` with a `B`.
        self.0
            .sort_by_key(|(name, dir)| std::cmp::Reverse((dir.len(), name.len())));
        Ok(())
    }

    /// Returns the names, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.0.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    }

    /// Replaces the directories in `text` by their names.
    pub(crate) fn hide(&self, text: &[u8]) -> Vec<u8> {
        let mut hidden = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((&first, tail)) = rest.split_first() {
            if self.name_at(rest).is_some() {
                hidden.extend_from_slice(b"$$");
                rest = tail;
            } else if let Some((name, dir)) = self.dir_at(rest) {
                hidden.push(b'$');
                hidden.extend_from_slice(name.as_bytes());
                rest = &rest[dir.len()..];
            } else {
                hidden.push(first);
                rest = tail;
                // `$` and a name would be read as the name itself: this directory stays as it is.
                if first == b'$'
                    && let Some((_, dir)) = self.dir_at(rest)
                {
                    hidden.extend_from_slice(dir);
                    rest = &rest[dir.len()..];
                }
            }
        }
        hidden
    }

    /// Replaces the names in `text` by the directories.
    pub(crate) fn show(&self, text: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((&first, tail)) = rest.split_first() {
            if first == b'$' && self.name_at(tail).is_some() {
                shown.push(b'$');
                rest = &tail[1..];
            } else if let Some((name, dir)) = self.name_at(rest) {
                shown.extend_from_slice(dir);
                rest = &tail[name.len()..];
            } else {
                shown.push(first);
                rest = tail;
            }
        }
        shown
    }

    fn name_at(&self, text: &[u8]) -> Option<(&str, &[u8])> {
        let text = text.strip_prefix(b"$")?;
        let starts = |(name, _): &&(String, Vec<u8>)| text.starts_with(name.as_bytes());
        let found = self
            .0
            .iter()
            .filter(starts)
            .max_by_key(|(name, _)| name.len());
        found.map(|(name, dir)| (name.as_str(), dir.as_slice()))
    }

    fn dir_at(&self, text: &[u8]) -> Option<(&str, &[u8])> {
        let goes_on = |c: &u8| c.is_ascii_alphanumeric() || b"_-.".contains(c);
        let is_here = |(_, dir): &&(String, Vec<u8>)| {
            let rest = text.strip_prefix(dir.as_slice());
            rest.is_some_and(|rest| !rest.first().is_some_and(goes_on))
        };
        let found = self.0.iter().find(is_here);
        found.map(|(name, dir)| (name.as_str(), dir.as_slice()))
    }
}

/// A directory that no tape can show by this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirError {
    /// The name has other characters.
    #[error("the name {0:?} has other characters than capital letters, digits and `_`")]
    Name(String),
    /// The name is taken.
    #[error("the name {0} stands for two directories")]
    Twice(String),
    /// The path cannot be replaced.
    #[error("{0:?} is not the absolute path of a directory below the root")]
    Path(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dirs() -> Dirs {
        let mut dirs = Dirs::default();
        dirs.add("WORKSPACE", "/tmp/a/").expect("a directory");
        dirs.add("CACHE", "/tmp/a/cache").expect("a directory");
        dirs
    }

    #[test]
    fn a_directory_is_hidden_at_the_border_of_a_path_alone() {
        let hidden = |text: &str| String::from_utf8(dirs().hide(text.as_bytes())).expect("text");
        assert_eq!(hidden("-I/tmp/a/src"), "-I$WORKSPACE/src");
        assert_eq!(hidden("/tmp/a/cache:/tmp/a"), "$CACHE:$WORKSPACE");
        assert_eq!(
            hidden("/tmp/ab /tmp/a.c /tmp/a-b"),
            "/tmp/ab /tmp/a.c /tmp/a-b"
        );
    }

    #[test]
    fn what_was_hidden_is_shown_as_it_was() {
        for text in [
            "/tmp/a/b",
            "$WORKSPACE",
            "$$WORKSPACE/tmp/a",
            "$",
            "$$",
            "$CACHE$x",
            "/tmp/a$",
            "$/tmp/a",
            "$$/tmp/a/b",
        ] {
            let hidden = dirs().hide(text.as_bytes());
            assert_eq!(dirs().show(&hidden), text.as_bytes(), "{text}");
        }
        let mut elsewhere = Dirs::default();
        elsewhere.add("WORKSPACE", "/home/b").expect("a directory");
        assert_eq!(elsewhere.show(b"$WORKSPACE/c"), b"/home/b/c");
    }

    #[test]
    fn a_name_is_one_word_and_a_path_is_absolute() {
        let mut dirs = dirs();
        for (name, dir) in [
            ("", "/a"),
            ("a", "/a"),
            ("A-B", "/a"),
            ("WORKSPACE", "/a"),
            ("A", "a"),
            ("A", "/"),
        ] {
            dirs.add(name, dir).expect_err("not a name and a path");
        }
    }
}

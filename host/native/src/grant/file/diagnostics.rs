//! The mistakes in a grant, each with its place.

use std::fmt;
use std::path::{Path, PathBuf};

/// One mistake in a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Line and column of the key or value, both counted from 1, the column in
    /// characters; `None` for a grant that was loaded from a value without text.
    pub place: Option<(usize, usize)>,
    /// What is wrong, and a suggestion if there is one.
    pub message: String,
}

/// A grant that cannot be loaded. Nothing of it is in force.
///
/// Displayed as one line for each mistake, `FILE:LINE:COLUMN: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantError {
    file: PathBuf,
    diagnostics: Vec<Diagnostic>,
}

impl GrantError {
    /// Returns every mistake, in the order of the text.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Returns the file; `<grant>` for a grant that was loaded from a string or a value.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Returns the error of a file that cannot be read or parsed.
    pub(in crate::grant) fn one(
        file: &Path,
        place: Option<(usize, usize)>,
        message: String,
    ) -> Self {
        Self {
            file: file.to_owned(),
            diagnostics: vec![Diagnostic { place, message }],
        }
    }
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        for (index, Diagnostic { place, message }) in self.diagnostics.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match place {
                Some((line, column)) => write!(f, "{file}:{line}:{column}: {message}")?,
                None => write!(f, "{file}: {message}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for GrantError {}

/// A place in the text, as a byte offset; `None` without a text.
pub(in crate::grant) type Offset = Option<usize>;

/// Collects the mistakes while a grant is read, so that one run shows all of them.
#[derive(Debug)]
pub(in crate::grant) struct Diagnostics<'a> {
    file: &'a Path,
    text: Option<&'a str>,
    found: Vec<(Offset, String)>,
}

impl<'a> Diagnostics<'a> {
    pub(in crate::grant) fn new(file: &'a Path, text: Option<&'a str>) -> Self {
        Self {
            file,
            text,
            found: Vec::new(),
        }
    }

    /// Adds a mistake.
    pub(in crate::grant) fn push(&mut self, at: Offset, message: impl Into<String>) {
        self.found.push((at, message.into()));
    }

    /// Returns the number of mistakes, to find out whether a part added any.
    pub(in crate::grant) fn len(&self) -> usize {
        self.found.len()
    }

    /// Returns line and column of a place.
    pub(in crate::grant) fn place(&self, at: Offset) -> Option<(usize, usize)> {
        Some(line_and_column(self.text?.as_bytes(), at?))
    }

    /// Returns `value` if there is no mistake, and otherwise all mistakes.
    pub(in crate::grant) fn finish<T>(mut self, value: T) -> Result<T, GrantError> {
        if self.found.is_empty() {
            return Ok(value);
        }
        self.found.sort_by_key(|(at, _)| *at);
        let found = std::mem::take(&mut self.found);
        let diagnostics = found
            .into_iter()
            .map(|(at, message)| Diagnostic {
                place: self.place(at),
                message,
            })
            .collect();
        Err(GrantError {
            file: self.file.to_owned(),
            diagnostics,
        })
    }
}

/// Returns the line and column of a byte offset, counted from 1, the column in characters.
pub(in crate::grant) fn line_and_column(text: &[u8], at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let line_start = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |end| end + 1);
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    (
        line,
        String::from_utf8_lossy(&before[line_start..])
            .chars()
            .count()
            + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_from_one_and_in_characters() {
        assert_eq!(line_and_column(b"ab\ncd", 0), (1, 1));
        assert_eq!(line_and_column(b"ab\ncd", 4), (2, 2));
        assert_eq!(line_and_column("äöx".as_bytes(), 4), (1, 3));
    }

    #[test]
    fn an_error_displays_one_line_for_each_diagnostic() {
        let mut found = Diagnostics::new(Path::new("g.toml"), Some("a\nb"));
        found.push(Some(2), "second");
        found.push(Some(0), "first");
        let error = found.finish(()).expect_err("there are two mistakes");
        assert_eq!(error.to_string(), "g.toml:1:1: first\ng.toml:2:1: second");
    }
}

//! The rows of all files, and whether they hold.

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Instant;

use test_kit::is_tier_required;

use crate::chosen::{is_chosen, is_outside};
use crate::installed::find;
use crate::job::{Ended, confined, tier, unconfined};
use crate::row::{Limit, Row, Rows};

/// How much of a job's output a failure shows, in bytes.
const SHOWN: usize = 4000;

/// The rows of one file.
#[derive(Debug)]
pub(crate) struct Theme {
    pub(crate) title: &'static str,
    text: &'static str,
}

macro_rules! themes {
    ($($name:ident $title:literal $file:literal;)*) => {
        $(pub(crate) static $name: Theme = Theme {
            title: $title,
            text: include_str!(concat!("rows/", $file)),
        };)*
        /// All of them, in the order of the document.
        pub(crate) static THEMES: &[&Theme] = &[$(&$name),*];
    };
}

themes! {
    SESSIONS "Sessions, process groups, time limits" "sessions.toml";
    BUILDS "Build tools" "builds.toml";
    TESTS "Test runners" "tests.toml";
    GIT "Git" "git.toml";
    FILES "Files and archives" "files.toml";
    PYTHON "Python" "python.toml";
    JAVASCRIPT "JavaScript" "javascript.toml";
    LANGUAGES "Compilers, debuggers, other languages" "languages.toml";
    DATABASES "Databases and network services" "databases.toml";
    MEDIA "Media and browsers" "media.toml";
    SERVERS "Language servers" "servers.toml";
    SELF "Calls on oneself, privileges" "self.toml";
}

/// The reasons of limits, each with a sentence.
pub(crate) static REASONS: LazyLock<toml::Table> = LazyLock::new(|| {
    let table = include_str!("rows/reasons.toml").parse();
    table.expect("reasons.toml is a table")
});

impl Theme {
    /// The rows of the file.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let rows: Result<Rows, _> = toml::from_str(self.text);
        rows.unwrap_or_else(|error| panic!("{}: {error}", self.title))
            .rows
    }

    /// Runs the chosen rows, and fails with all that do not hold.
    pub(crate) fn check(&self) {
        let mut faults = String::new();
        for row in self.rows().iter().filter(|row| is_chosen(row)) {
            let what = format!("{}: {}", row.program, row.job);
            let installed = match find(row) {
                Ok(installed) => installed,
                Err(reason) => {
                    println!("DID NOT RUN  {what}: {reason}");
                    if is_tier_required() || is_outside() {
                        let _ = writeln!(faults, "\n{what}: did not run: {reason}");
                    }
                    continue;
                }
            };
            let start = Instant::now();
            let (ended, limit) = if is_outside() {
                (unconfined(row, &installed), None)
            } else {
                (confined(row, &installed), row.limit(tier()))
            };
            let what = format!("{what} ({:.1} s)", start.elapsed().as_secs_f32());
            match fault(row, limit, &ended) {
                Some(fault) => {
                    println!("FAILS        {what}");
                    let shown = ended.output.len().saturating_sub(SHOWN);
                    let shown = ended.output.ceil_char_boundary(shown);
                    let output = &ended.output[shown..];
                    let _ = writeln!(faults, "\n{what}: {fault}; it {}:\n{output}", ended.how);
                }
                None => match limit {
                    Some(limit) => println!("limit        {what}: {}", limit.limit),
                    None => println!("passes       {what}"),
                },
            }
        }
        assert!(faults.is_empty(), "{}:\n{faults}", self.title);
    }
}

/// What is wrong with the end of a job.
fn fault(row: &Row, limit: Option<&Limit>, ended: &Ended) -> Option<String> {
    let success = ended.how == "exited with 0" && printed(ended, &row.prints).is_none();
    let Some(limit) = limit else {
        if success {
            return None;
        }
        let missing = printed(ended, &row.prints).map(|it| format!(", and print {it:?}"));
        return Some(format!(
            "it has to exit with 0{}",
            missing.unwrap_or_default()
        ));
    };
    if success {
        return Some(format!(
            "the limit {:?} has gone: remove it from the row",
            limit.limit
        ));
    }
    if !limit.ends.is_empty() && !limit.ends.iter().any(|it| is_way(it, &ended.how)) {
        return Some(format!(
            "the limit {:?} makes it end as {:?}",
            limit.limit, limit.ends
        ));
    }
    let missing = printed(ended, &limit.prints)?;
    Some(format!(
        "the limit {:?} makes it print {missing:?}",
        limit.limit
    ))
}

/// Whether a job ended in `way`. An error of the spawn has more text, which is not the row's.
fn is_way(way: &str, how: &str) -> bool {
    let rest = how.strip_prefix(way);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// The first line of `wanted` that is missing in the output.
fn printed<'a>(ended: &Ended, wanted: &'a str) -> Option<&'a str> {
    let mut lines = wanted.lines().map(str::trim);
    lines.find(|line| !contains(&ended.output, line))
}

/// Whether the output contains `part`, and no word or number goes on after it: 13 is not 1.
fn contains(output: &str, part: &str) -> bool {
    let ends_in_word = part.ends_with(char::is_alphanumeric);
    let mut found = output.match_indices(part);
    found.any(|(at, _)| {
        let rest = &output[at + part.len()..];
        !ends_in_word || !rest.starts_with(char::is_alphanumeric)
    })
}

//! What a guest and its children did, and assertions on it.

mod difference;
mod record;

use std::fmt::{self, Write as _};
use std::time::Duration;

use capspawn_native::Event;

pub(crate) use self::record::Recorder;
pub use self::record::{ChildReport, Denied, FailedLaunch, QuotaRefusal};

use self::difference::difference;
use crate::scripted::Fault;

/// How a guest ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It exited with this code.
    Exited(u8),
    /// It trapped, or could not be started; why.
    Trapped(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with {code}"),
            Self::Trapped(reason) => write!(f, "trapped: {reason}"),
        }
    }
}

/// What a guest and its children did, from [`TestHost::run`](crate::TestHost::run).
///
/// Each assertion prints what differs and then the whole report, and returns the report for the next one. A child, a
/// denial and a refusal read as one line, which begins with the command as it would be typed: `git commit -m "a message"`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// How the guest ended.
    pub outcome: Outcome,
    /// The guest's own standard output.
    pub stdout: Vec<u8>,
    /// The guest's own standard error.
    pub stderr: Vec<u8>,
    /// The children that were started, in their order.
    pub children: Vec<ChildReport>,
    /// The requests that the grant, the approver or the veto refused.
    pub denials: Vec<Denied>,
    /// The requests that a quota refused.
    pub quota_refusals: Vec<QuotaRefusal>,
    /// The requests that were allowed, and whose launch failed.
    pub failed_launches: Vec<FailedLaunch>,
    /// Refusals that are not listed one by one: an owner may have 64 at once and 10 a second, by the host's clock.
    pub suppressed: u64,
    /// What the scripts have not foreseen.
    pub faults: Vec<Fault>,
    /// All events, as the operator's log has them.
    pub events: Vec<Event>,
    /// How long it took, by the host's clock.
    pub elapsed: Duration,
}

impl Report {
    /// Returns the guest's standard output as text. What is not UTF-8 is replaced by U+FFFD.
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Returns the guest's standard error as text. What is not UTF-8 is replaced by U+FFFD.
    pub fn stderr_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Asserts that the guest exited with 0, and that the scripts have foreseen everything.
    ///
    /// # Panics
    ///
    /// If not.
    #[track_caller]
    pub fn assert_success(&self) -> &Self {
        self.assert_exit(0).assert_no_faults()
    }

    /// Asserts that the guest exited with `code`.
    ///
    /// # Panics
    ///
    /// If it ended otherwise.
    #[track_caller]
    pub fn assert_exit(&self, code: u8) -> &Self {
        let expected = Outcome::Exited(code);
        if self.outcome != expected {
            self.fail(&format!("the guest {}, and not: {expected}", self.outcome));
        }
        self
    }

    /// Asserts that the scripts have foreseen everything.
    ///
    /// # Panics
    ///
    /// If there is a fault.
    #[track_caller]
    pub fn assert_no_faults(&self) -> &Self {
        if !self.faults.is_empty() {
            self.fail("the scripts have not foreseen everything");
        }
        self
    }

    /// Asserts that the guest's standard output is this.
    ///
    /// # Panics
    ///
    /// If it differs.
    #[track_caller]
    pub fn assert_stdout(&self, expected: &str) -> &Self {
        self.assert_lines(
            "the guest's standard output",
            expected.lines(),
            self.stdout_text().lines(),
        );
        if expected != self.stdout_text() {
            self.fail("the guest's standard output differs in the line feed at its end");
        }
        self
    }

    /// Asserts that these children were started, in this order: each as its command line, `git status --porcelain`.
    ///
    /// # Panics
    ///
    /// If others were, or in another order.
    #[track_caller]
    pub fn assert_children<'a>(&self, expected: impl IntoIterator<Item = &'a str>) -> &Self {
        let found: Vec<_> = self
            .children
            .iter()
            .map(ChildReport::command_line)
            .collect();
        self.assert_lines("the children", expected, found.iter().map(String::as_str));
        self
    }

    /// Asserts that these children were started in this order, and ended so: `git status: exited with 0`.
    ///
    /// # Panics
    ///
    /// If they were others, or ended otherwise.
    #[track_caller]
    pub fn assert_endings<'a>(&self, expected: impl IntoIterator<Item = &'a str>) -> &Self {
        let found: Vec<_> = self.children.iter().map(ChildReport::ending).collect();
        self.assert_lines(
            "the children and their ends",
            expected,
            found.iter().map(String::as_str),
        );
        self
    }

    /// Asserts that these requests were denied, in this order: each as its command line and what was refused,
    /// `git push: argument`.
    ///
    /// # Panics
    ///
    /// If others were.
    #[track_caller]
    pub fn assert_denials<'a>(&self, expected: impl IntoIterator<Item = &'a str>) -> &Self {
        let found: Vec<_> = self.denials.iter().map(Denied::line).collect();
        self.assert_lines("the denials", expected, found.iter().map(String::as_str));
        self
    }

    /// Asserts that quotas refused these requests, in this order: each as its command line and the quota,
    /// `git status: live children`.
    ///
    /// # Panics
    ///
    /// If they refused others.
    #[track_caller]
    pub fn assert_quota_refusals<'a>(&self, expected: impl IntoIterator<Item = &'a str>) -> &Self {
        let found: Vec<_> = self.quota_refusals.iter().map(QuotaRefusal::line).collect();
        self.assert_lines(
            "what quotas refused",
            expected,
            found.iter().map(String::as_str),
        );
        self
    }

    #[track_caller]
    fn assert_lines<'a, 'b>(
        &self,
        what: &str,
        expected: impl IntoIterator<Item = &'a str>,
        found: impl IntoIterator<Item = &'b str>,
    ) {
        let expected: Vec<_> = expected.into_iter().collect();
        let found: Vec<_> = found.into_iter().collect();
        if let Some(difference) = difference(&expected, &found) {
            self.fail(&format!(
                "{what} differ (- expected, + found)\n{difference}"
            ));
        }
    }

    #[track_caller]
    fn fail(&self, reason: &str) -> ! {
        panic!("{reason}\n\n{self}");
    }
}

/// The report as a page: the outcome, and each thing that happened.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "guest: {}", self.outcome)?;
        list(f, "children", &self.children)?;
        list(f, "denied", &self.denials)?;
        list(f, "refused by a quota", &self.quota_refusals)?;
        list(f, "failed to launch", &self.failed_launches)?;
        if self.suppressed > 0 {
            writeln!(f, "refusals that are not listed: {}", self.suppressed)?;
        }
        list(f, "not foreseen", &self.faults)?;
        text(f, "standard output", &self.stdout_text())?;
        text(f, "standard error", &self.stderr_text())
    }
}

fn list(f: &mut fmt::Formatter<'_>, title: &str, items: &[impl fmt::Display]) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    let mut lines = String::new();
    for item in items {
        writeln!(lines, "{item}")?;
    }
    text(f, title, &lines)
}

fn text(f: &mut fmt::Formatter<'_>, title: &str, text: &str) -> fmt::Result {
    if text.is_empty() {
        return Ok(());
    }
    writeln!(f, "{title}:")?;
    text.lines().try_for_each(|line| writeln!(f, "  {line}"))
}

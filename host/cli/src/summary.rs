//! `--summary`: a table of all children and refusals of a run, printed at its end.

use std::collections::BTreeMap;

use capspawn::{Event, EventKind};
use capspawn_native::escape::quoted;
use capspawn_native::limits::show_bytes;

/// The most children that the table has a row for each; the others are counted.
const MAX_ROWS: usize = 1000;

/// The most kinds of refusals that the table has a row for each.
const MAX_REFUSALS: usize = 100;

/// The most characters of a command and its arguments in a row.
const MAX_COMMAND: usize = 48;

/// Collects what the table shows.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    rows: Vec<[String; 6]>,
    more_rows: u64,
    /// How often each kind of request was refused: its command, and why.
    refusals: BTreeMap<(String, String), u64>,
    more_refusals: u64,
}

const HEAD: [&str; 6] = [
    "command",
    "status",
    "time",
    "peak memory",
    "stdout",
    "stderr",
];

impl Summary {
    /// Takes one event into account.
    pub(crate) fn add(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Exit {
                status,
                seconds,
                stdout_bytes,
                stdout_dropped,
                stderr_bytes,
                stderr_dropped,
                usage,
                limit,
                ..
            } => {
                if self.rows.len() == MAX_ROWS {
                    self.more_rows += 1;
                    return;
                }
                let mut ended = status.to_string();
                if let Some(limit) = limit {
                    ended += &format!(" ({} = {})", limit.key, limit.value);
                }
                self.rows.push([
                    request(event),
                    ended,
                    format!("{seconds:.3} s"),
                    usage
                        .peak_memory_bytes
                        .map_or("not measured".to_owned(), rounded),
                    bytes(*stdout_bytes, *stdout_dropped),
                    bytes(*stderr_bytes, *stderr_dropped),
                ]);
            }
            EventKind::Denied { item, .. } => self.refuse(event, format!("denied ({item})")),
            EventKind::Quota { quota, setting, .. } => {
                self.refuse(event, format!("quota {quota} ({setting})"))
            }
            EventKind::Failed { .. } => self.refuse(event, "not started".to_owned()),
            EventKind::Suppressed {
                of: "refused",
                count,
            } => self.more_refusals += count,
            _ => {}
        }
    }

    fn refuse(&mut self, event: &Event, why: String) {
        let key = (quoted(&event.command).to_string(), why);
        if self.refusals.len() == MAX_REFUSALS && !self.refusals.contains_key(&key) {
            self.more_refusals += 1;
        } else {
            *self.refusals.entry(key).or_default() += 1;
        }
    }

    /// Returns the lines of the table.
    pub(crate) fn lines(&self) -> Vec<String> {
        let count = self.rows.len() as u64 + self.more_rows;
        let refused = self.refusals.values().sum::<u64>() + self.more_refusals;
        let mut lines = vec![format!(
            "{count} {} ended, {refused} {} refused",
            if count == 1 { "child" } else { "children" },
            if refused == 1 {
                "request was"
            } else {
                "requests were"
            },
        )];
        if !self.rows.is_empty() {
            let head = HEAD.map(str::to_owned);
            let all = || [&head].into_iter().chain(&self.rows);
            let width = |column: usize| {
                all()
                    .map(|row| row[column].chars().count())
                    .max()
                    .unwrap_or_default()
            };
            let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
            lines.extend(all().map(|row| {
                let cells = row
                    .iter()
                    .zip(&widths)
                    .map(|(cell, width)| format!("{cell:<width$}"));
                let line = cells.collect::<Vec<_>>().join("  ");
                line.trim_end().to_owned()
            }));
        }
        if self.more_rows > 0 {
            lines.push(format!(
                "and {} more children: --events FILE records each",
                self.more_rows
            ));
        }
        for ((command, why), count) in &self.refusals {
            let times = if *count == 1 {
                "once"
            } else {
                &format!("{count} times")
            };
            lines.push(format!("{command} {why} {times}"));
        }
        if self.more_refusals > 0 {
            lines.push(format!(
                "and {} more requests were refused",
                self.more_refusals
            ));
        }
        lines
    }
}

/// Returns the command and the beginning of its arguments.
fn request(event: &Event) -> String {
    let words = [&event.command].into_iter().chain(&event.args);
    let words: Vec<_> = words.map(|it| quoted(it).to_string()).collect();
    let text = words.join(" ");
    match text.chars().count() > MAX_COMMAND {
        true => text
            .chars()
            .take(MAX_COMMAND - 3)
            .chain("...".chars())
            .collect(),
        false => text,
    }
}

fn bytes(seen: u64, dropped: u64) -> String {
    match dropped {
        0 => rounded(seen),
        dropped => format!("{} ({} dropped)", rounded(seen), rounded(dropped)),
    }
}

/// Returns a size with at most three digits before its unit.
fn rounded(bytes: u64) -> String {
    let shift = [30, 20, 10].into_iter().find(|shift| bytes >= 1 << shift);
    show_bytes(shift.map_or(bytes, |shift| bytes >> shift << shift))
}

#[cfg(test)]
mod tests {
    use capspawn::{ExitStatus, KillReason};
    use capspawn_native::ReachedLimit;
    use capspawn_native::launch::{Request, TreeUsage};

    use super::*;

    fn event(args: &[&str], kind: EventKind) -> Event {
        let request = Request {
            program: "git".to_owned(),
            args: args.iter().map(ToString::to_string).collect(),
            ..Request::default()
        };
        Event::new(kind, "exec".into(), "".into(), 1).about(&request)
    }

    fn exit(status: ExitStatus, limit: Option<ReachedLimit>) -> EventKind {
        EventKind::Exit {
            id: 1,
            status,
            signal: None,
            seconds: 0.25,
            stdout_bytes: 3000,
            stdout_dropped: 1024,
            stderr_bytes: 7,
            stderr_dropped: 0,
            usage: TreeUsage {
                peak_memory_bytes: Some(5 << 20),
                ..TreeUsage::default()
            },
            confinement: "enforced",
            limit,
            reason: None,
        }
    }

    fn denied() -> EventKind {
        EventKind::Denied {
            by: "grant",
            item: "argument".into(),
            reason: "no rule matches".into(),
            nearest: None,
            would_allow: None,
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_child_and_counts_refusals() {
        let mut summary = Summary::default();
        summary.add(&event(&["log"], exit(ExitStatus::Exited(0), None)));
        let limit = ReachedLimit {
            key: "limits.wall",
            value: "30s".into(),
        };
        summary.add(&event(
            &["gc"],
            exit(ExitStatus::Killed(KillReason::Timeout), Some(limit)),
        ));
        summary.add(&event(&["push"], denied()));
        summary.add(&event(&["pull"], denied()));
        let lines = summary.lines();
        assert_eq!(lines[0], "2 children ended, 2 requests were refused");
        let expected = "command      status                               time     peak memory  stdout               stderr";
        assert_eq!(lines[1], expected);
        assert!(
            lines[2].starts_with("\"git\" \"log\"  exited with 0 "),
            "{}",
            lines[2]
        );
        assert!(
            lines[2].ends_with("0.250 s  5MiB         2KiB (1KiB dropped)  7B"),
            "{}",
            lines[2]
        );
        assert!(
            lines[3].contains("killed: timeout (limits.wall = 30s)"),
            "{}",
            lines[3]
        );
        assert_eq!(lines[4], "\"git\" denied (argument) 2 times");
    }

    #[test]
    fn the_table_is_bounded_and_a_long_request_is_cut() {
        let mut summary = Summary::default();
        let long = "x".repeat(100);
        for _ in 0..MAX_ROWS + 5 {
            summary.add(&event(&[&long], exit(ExitStatus::Exited(0), None)));
        }
        let lines = summary.lines();
        assert_eq!(lines.len(), MAX_ROWS + 3);
        assert!(
            lines[MAX_ROWS + 2].contains("5 more children"),
            "{}",
            lines[MAX_ROWS + 2]
        );
        assert!(lines.iter().all(|line| line.chars().count() < 200));
    }
}

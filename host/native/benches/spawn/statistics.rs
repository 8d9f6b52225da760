//! Medians and tails of alternating measurements.

use std::fmt;
use std::time::Instant;

use serde::Serialize;

/// The unit of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    Seconds,
    PerSecond,
    BytesPerSecond,
    Bytes,
    Processes,
    Descriptors,
}

impl Unit {
    fn less_is_better(self) -> bool {
        !matches!(self, Self::PerSecond | Self::BytesPerSecond)
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Seconds if value < 1e-3 => format!("{:.0} us", value * 1e6),
            Self::Seconds => format!("{:.2} ms", value * 1e3),
            Self::PerSecond => format!("{value:.0}/s"),
            Self::BytesPerSecond => format!("{:.0} MiB/s", value / f64::from(1 << 20)),
            Self::Bytes => format!("{value:.0} B"),
            Self::Processes | Self::Descriptors => format!("{value:.1}"),
        }
    }
}

/// The summary of many measurements of one thing.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Summary {
    unit: Unit,
    samples: usize,
    pub(crate) median: f64,
    /// The tail: the 99th percentile of a time, the first of a rate.
    p99: f64,
}

impl Summary {
    /// Summarises `values`, of which there must be at least one.
    pub(crate) fn new(unit: Unit, mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        if !unit.less_is_better() {
            values.reverse();
        }
        let rank = |percent: usize| values[(values.len() * percent / 100).min(values.len() - 1)];
        Self {
            unit,
            samples: values.len(),
            median: rank(50),
            p99: rank(99),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, p99] = [self.median, self.p99].map(|value| self.unit.show(value));
        if self.samples == 1 {
            return f.write_str(&median);
        }
        write!(f, "{median} (p99 {p99})")
    }
}

/// Two summaries to compare.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) ours: Summary,
    pub(crate) baseline: Summary,
}

/// Measures `baseline` and `ours` alternately, `rounds` times each. The first tenth
/// is warm-up and is discarded.
pub(crate) fn by_turns(
    unit: Unit,
    rounds: usize,
    mut baseline: impl FnMut() -> f64,
    mut ours: impl FnMut() -> f64,
) -> Pair {
    let warm = rounds.div_ceil(10);
    let mut values = [Vec::new(), Vec::new()];
    for round in 0..warm + rounds {
        let pair = [baseline(), ours()];
        if round >= warm {
            for (values, value) in values.iter_mut().zip(pair) {
                values.push(value);
            }
        }
    }
    let [baseline, ours] = values.map(|values| Summary::new(unit, values));
    Pair { ours, baseline }
}

/// Returns how many seconds `work` takes.
pub(crate) fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

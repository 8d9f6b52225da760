//! Samples the running trees, and ends those that exceed a limit.
//!
//! A tree that starts processes quickly can exceed its limits between two samples of the usual
//! interval. So the sampler reads the last process id that the kernel has given, a number in a
//! file, ten times an interval, and samples at once where it has moved far. It then
//! takes no more than a tenth of a processor.
//!
//! Rejected: the process events of netlink, which need `CAP_NET_ADMIN`, and tracing the children,
//! which stops them at each fork and takes the debugger's place.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use crate::child::record::Record;
use crate::child::tree::Verdict;
use crate::child::usage::{Marks, SAMPLE_INTERVAL, Sample, TreeName};

/// How often the sampler looks whether processes are started quickly: every 20 ms.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How many new processes or threads on the machine make it sample at once: 16, a quarter of the
/// smallest limits on tasks that are usual.
const QUICK_STARTS: u64 = 16;

/// How many times as long as a sample took it rests: a twentieth of a processor at most.
const REST: u32 = 19;

/// How many process ids a launch takes at most. Launches do not count as quick starts.
const IDS_PER_LAUNCH: u64 = 3;

/// Samples the running trees for as long as the registry lives. It sets no timer
/// while nothing runs, and skips children younger than one interval unless processes are started
/// quickly.
pub(super) async fn sample(core: Arc<Core>) {
    let mut last_pid = LastPid::default();
    let mut starts = || Starts {
        last_pid: last_pid.read(),
        launches: core.launches(),
    };
    let mut pace = Pace::new(Instant::now(), starts());
    let mut marks = Marks::default();
    loop {
        let records = core.running();
        if records.is_empty() {
            core.child_started().await;
            pace = Pace::new(Instant::now(), starts());
        } else if let Some(youngest) = pace.due(Instant::now(), starts()) {
            let old_enough = |(_, record): &(TreeName, Arc<Record>)| record.age() >= youngest;
            let due: Vec<_> = records.into_iter().filter(old_enough).collect();
            if !due.is_empty() {
                // Reading /proc may take milliseconds, so it does not run on the supervisors' thread.
                let mut own = std::mem::take(&mut marks);
                let sampled = Arc::clone(&core);
                let check = move || {
                    let check = AssertUnwindSafe(|| check(&sampled, &due, &mut own));
                    catch_unwind(check).is_ok().then_some(own)
                };
                // Where no thread can be started, limits are checked all the same.
                match core.workers().run_or_here(check).await {
                    Ok(Some(own)) => marks = own,
                    Ok(None) | Err(_) => {
                        tracing::error!("could not sample the running trees");
                    }
                }
            }
            pace.ended(Instant::now());
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// The file with the last process id that the kernel has given in this pid namespace. It is kept open: to open it for
/// each child would cost 1 % of a spawn.
#[derive(Debug, Default)]
struct LastPid(Option<File>);

impl LastPid {
    /// Reads the number; none where no `/proc` shows it.
    fn read(&mut self) -> Option<u64> {
        if self.0.is_none() {
            self.0 = File::open("/proc/loadavg").ok();
        }
        // Five numbers, the last of which is the process id.
        let mut text = [0; 128];
        let length = self.0.as_ref()?.read_at(&mut text, 0).ok()?;
        let text = str::from_utf8(text.get(..length)?).ok()?;
        text.split_ascii_whitespace().last()?.parse().ok()
    }
}

/// What has been started until a moment.
#[derive(Debug, Clone, Copy)]
struct Starts {
    /// The last process id that the kernel has given in this pid namespace, if it shows it.
    last_pid: Option<u64>,
    /// The number of launches.
    launches: u64,
}

impl Starts {
    /// Whether many processes have been started since `before`, launches left out.
    fn are_quick(self, before: Self) -> bool {
        let started = match (before.last_pid, self.last_pid) {
            // After the largest number they begin anew.
            (Some(before), Some(now)) => now.checked_sub(before).unwrap_or(u64::MAX),
            _ => 0,
        };
        let launches = self.launches.saturating_sub(before.launches);
        started >= QUICK_STARTS.saturating_add(launches.saturating_mul(IDS_PER_LAUNCH))
    }
}

/// When to sample.
#[derive(Debug)]
struct Pace {
    began: Instant,
    ended: Instant,
    starts: Starts,
}

impl Pace {
    fn new(now: Instant, starts: Starts) -> Self {
        Self {
            began: now,
            ended: now,
            starts,
        }
    }

    /// Returns whether a sample is due, which then begins: how old a child must be to be in it.
    fn due(&mut self, now: Instant, starts: Starts) -> Option<Duration> {
        let rest = self.ended.duration_since(self.began).saturating_mul(REST);
        let is_rested = now.duration_since(self.ended) >= rest;
        let youngest = if is_rested && starts.are_quick(self.starts) {
            Duration::ZERO
        } else if now.duration_since(self.ended) >= SAMPLE_INTERVAL {
            SAMPLE_INTERVAL
        } else {
            return None;
        };
        *self = Self::new(now, starts);
        Some(youngest)
    }

    fn ended(&mut self, now: Instant) {
        self.ended = now;
    }
}

fn check(core: &Core, running: &[(TreeName, Arc<Record>)], marks: &mut Marks) {
    let names: Vec<_> = running.iter().map(|(name, _)| *name).collect();
    let sample = match Sample::take(&names, marks) {
        Ok(sample) => sample,
        Err(error) => {
            tracing::warn!(%error, "could not read /proc, so no limit of a tree was checked");
            return;
        }
    };
    for (name, record) in running {
        match record.check(name.group, &sample) {
            Verdict::Within => {}
            Verdict::Over(reason) => record.kill(reason, Duration::ZERO),
            Verdict::Unclear(measurement) => {
                let record = Arc::clone(record);
                // The kernel may take long to read one tree, which then delays no other.
                core.workers()
                    .start_or_here(move || record.measured(measurement.run()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(last_pid: u64, launches: u64) -> Starts {
        Starts {
            last_pid: Some(last_pid),
            launches,
        }
    }

    /// The file is read again from its beginning.
    #[test]
    fn a_process_that_is_started_moves_the_last_pid() {
        let mut last_pid = LastPid::default();
        let before = last_pid.read().expect("a /proc");
        // The numbers begin anew after the largest.
        let has_moved = || {
            drop(std::thread::spawn(|| {}).join());
            last_pid.read().is_some_and(|now| now != before)
        };
        assert!(std::iter::repeat_with(has_moved).take(3).any(|it| it));
    }

    #[test]
    fn launches_are_no_quick_starts_and_processes_that_a_child_starts_are() {
        let before = starts(100, 5);
        assert!(!starts(100 + QUICK_STARTS - 1, 5).are_quick(before));
        assert!(starts(100 + QUICK_STARTS, 5).are_quick(before));
        assert!(!starts(100 + 20 * IDS_PER_LAUNCH, 25).are_quick(before));
        assert!(starts(3, 5).are_quick(before), "the numbers begin anew");
        let unknown = Starts {
            last_pid: None,
            launches: 5,
        };
        assert!(!unknown.are_quick(before) && !before.are_quick(unknown));
    }

    #[test]
    fn a_sample_is_due_after_an_interval_or_at_quick_starts_once_the_last_one_has_rested() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut pace = Pace::new(start, starts(0, 0));
        assert_eq!(pace.due(at(199), starts(0, 0)), None);
        assert_eq!(pace.due(at(200), starts(0, 0)), Some(SAMPLE_INTERVAL));
        pace.ended(at(202));
        let quick = starts(QUICK_STARTS, 0);
        assert_eq!(pace.due(at(202 + 2 * 19 - 1), quick), None, "it rests");
        assert_eq!(pace.due(at(202 + 2 * 19), quick), Some(Duration::ZERO));
        pace.ended(at(241));
        assert_eq!(pace.due(at(440), quick), None, "no more were started");
        assert_eq!(pace.due(at(441), quick), Some(SAMPLE_INTERVAL));
    }
}

//! The cost of children: each figure against a baseline measured in the same run.
//!
//! `cargo bench -p capspawn-native [-- [--json FILE] [FIGURE]]` prints one line for
//! each figure: the ratio of the medians, and each median with its 99th percentile.
//! No time is asserted. Run as root, it measures the forms of a root host, and then
//! runs itself again as user 65534 for those of an unprivileged host.
//!
//! An idle machine gives steadier figures. So does a real-time policy (`chrt -f`), but
//! it measures a scheduler under which hosts do not run.
//!
//! Rejected: criterion, which measures one thing after the other, so that a change of
//! the clock frequency in between looks like a difference. Here the measurements
//! alternate (A B A B), and the figure is the ratio of their medians.

#![expect(
    clippy::disallowed_types,
    reason = "the baselines are children of std and tokio"
)]

mod arguments;
mod baseline;
mod bubblewrap;
mod captured;
mod cost;
mod endings;
mod forms;
mod live;
mod nobody;
mod report;
mod retained;
mod statistics;
mod tree;
mod two_threads;

use std::process::ExitCode;

use arguments::Arguments;
use forms::Form;
use report::Report;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

type Measure = fn(&Form, &mut Report);

/// What is measured for each form, by name. `retained` comes first: it measures
/// resident memory, and would reuse what the other figures have freed.
const FIGURES: [(&str, Measure); 10] = [
    ("retained", retained::measure),
    ("spawn", cost::spawn),
    ("large-host", cost::in_a_large_host),
    ("new-guest", cost::of_a_new_guest),
    ("live-guest", live::measure),
    ("two-threads", two_threads::measure),
    ("captured", captured::measure),
    ("tree", tree::measure),
    ("endings", endings::measure),
    ("bubblewrap", bubblewrap::measure),
];

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            let names = FIGURES.map(|(name, _)| name).join(", ");
            eprintln!("{error}\nusage: [--json FILE] [FIGURE], of {names}");
            return ExitCode::from(2);
        }
    };
    allow_many_descriptors();
    let mut report = Report::default();
    for form in forms::all() {
        for (name, measure) in FIGURES {
            if arguments.wants(name) {
                measure(&form, &mut report);
            }
        }
    }
    if rustix::process::geteuid().is_root() {
        nobody::measure(&arguments, &mut report);
    }
    match arguments.json.map(|path| report.write(&path)) {
        None | Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("the figures could not be written: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Raises the limit on open files: a thousand live children take five each.
fn allow_many_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        eprintln!("descriptors stay limited to {:?}: {error}", limit.current);
    }
}

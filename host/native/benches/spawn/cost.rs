//! The cost of one confined child, `/bin/true`, against the same child unconfined.

use std::thread;
use std::time::Duration;

use capspawn_native::{Decision, Guest};

use crate::baseline;
use crate::forms::{self, Form, nothing, settle, spawn_and_wait};
use crate::report::{Figure, Report};
use crate::statistics::{Unit, by_turns, seconds};

const ROUNDS: usize = 400;
const LARGE_BYTES: usize = 1 << 30;

/// Measures a child started by the launcher, by the registry, and with its release.
pub(crate) fn spawn(form: &Form, report: &mut Report) {
    let figure = |name| Figure {
        name,
        baseline: "std",
        target: "1.10 (A), 1.25 (B), 1.5 (B by init)",
    };
    by_launcher(form, report, figure("launch and wait"));
    by_registry(form, report, figure("spawn and wait"));
    released(form, report, figure("spawn, wait and release"));
    let figure = Figure {
        name: "spawn, until it returns",
        baseline: "std",
        target: "none",
    };
    until_it_returns(form, report, figure);
}

/// Measures how long a spawn blocks a caller that does not wait for the end.
fn until_it_returns(form: &Form, report: &mut Report, figure: Figure<'_>) {
    let registry = forms::build(form.registry());
    let guest = forms::guest(&registry, None);
    let command = nothing();
    let pair = by_turns(Unit::Seconds, ROUNDS, baseline::spawn, || {
        let mut child = None;
        let time = seconds(|| child = guest.spawn(&command).ok());
        child.expect("it starts").wait_blocking(None);
        settle(&registry, 0);
        time
    });
    report.pair(form, figure, &pair);
}

/// Measures the same in a host with 1 GiB resident, whose page tables a fork would
/// copy.
pub(crate) fn in_a_large_host(form: &Form, report: &mut Report) {
    let figure = |name| Figure {
        name,
        baseline: "std",
        target: "1.15 (A)",
    };
    let resident = vec![1u8; LARGE_BYTES];
    by_launcher(form, report, figure("launch and wait, 1 GiB resident"));
    by_registry(form, report, figure("spawn and wait, 1 GiB resident"));
    std::hint::black_box(resident);
}

fn by_launcher(form: &Form, report: &mut Report, figure: Figure<'_>) {
    let guest = form.guest();
    let Ok(Decision::Allow(plan)) = guest.grant().decide(&nothing()) else {
        panic!("the grant allows it");
    };
    let pair = by_turns(
        Unit::Seconds,
        ROUNDS,
        || seconds(baseline::spawn_and_wait),
        || seconds(|| form.launch_and_wait(&plan)),
    );
    report.pair(form, figure, &pair);
}

fn by_registry(form: &Form, report: &mut Report, figure: Figure<'_>) {
    let registry = forms::build(form.registry());
    let guest = forms::guest(&registry, None);
    let command = nothing();
    let pair = by_turns(
        Unit::Seconds,
        ROUNDS,
        || seconds(baseline::spawn_and_wait),
        || {
            let time = seconds(|| drop(spawn_and_wait(&guest, &command)));
            settle(&registry, 0);
            time
        },
    );
    report.pair(form, figure, &pair);
}

/// Measures up to the release, which reaps; the baseline reaps while it waits.
fn released(form: &Form, report: &mut Report, figure: Figure<'_>) {
    let guest = form.guest();
    let command = nothing();
    let pair = by_turns(
        Unit::Seconds,
        ROUNDS,
        || seconds(baseline::spawn_and_wait),
        || {
            seconds(|| {
                spawn_and_wait(&guest, &command).release_blocking();
            })
        },
    );
    report.pair(form, figure, &pair);
}

/// Measures the first child of a guest against the later ones, where guests come at a pace and where they come one
/// right after the other.
pub(crate) fn of_a_new_guest(form: &Form, report: &mut Report) {
    let paces = [
        (
            "first spawn of a new guest, 50 a second",
            Duration::from_millis(20),
            "1.5",
        ),
        (
            "first spawn of a new guest, without a pause",
            Duration::ZERO,
            "none",
        ),
    ];
    for (name, pace, target) in paces {
        let registry = forms::build(form.registry());
        let old = forms::guest(&registry, None);
        let command = nothing();
        let spawn = |guest: &Guest| {
            let time = seconds(|| drop(spawn_and_wait(guest, &command)));
            settle(&registry, 0);
            time
        };
        let pair = by_turns(
            Unit::Seconds,
            ROUNDS / 2,
            || spawn(&old),
            || {
                thread::sleep(pace);
                spawn(&registry.guest(old.grant().clone(), "new"))
            },
        );
        let figure = Figure {
            name,
            baseline: "later spawns",
            target,
        };
        report.pair(form, figure, &pair);
    }
}

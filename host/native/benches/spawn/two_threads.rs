//! How many children two threads together spawn in a second, and what they have in common.
//!
//! A lock, a thread or a process that both share shows as a difference between the figures: the first has one registry
//! for both threads, the second a registry each, the third no registry, and the last nothing in common.

use std::sync::Arc;
use std::thread;

use capspawn_native::sandbox::NativeLauncher;
use capspawn_native::{Decision, Guest, Registry};

use crate::baseline;
use crate::forms::{self, Form, nothing, settle, spawn_and_wait};
use crate::report::{Figure, Report};
use crate::statistics::{Unit, by_turns, seconds};

/// Children of each thread in a round.
const EACH: u32 = 25;
const ROUNDS: usize = 20;

pub(crate) fn measure(form: &Form, report: &mut Report) {
    let shared = forms::build(form.registry());
    let guests = [(); 2].map(|()| forms::guest(&shared, None));
    by_registry(
        form,
        report,
        "spawn and wait on 2 threads",
        &[&shared],
        &guests,
    );

    let own = [(); 2].map(|()| forms::build(form.registry()));
    let guests = own.each_ref().map(|registry| forms::guest(registry, None));
    let all = own.each_ref();
    by_registry(form, report, "the same, a registry for each", &all, &guests);

    let plans = [(); 2].map(|()| match form.guest().grant().decide(&nothing()) {
        Ok(Decision::Allow(plan)) => plan,
        _ => panic!("the grant allows it"),
    });
    let pair = by_turns(
        Unit::PerSecond,
        ROUNDS,
        || per_second(|_| baseline::spawn_and_wait()),
        || per_second(|thread| form.launch_and_wait(&plans[thread])),
    );
    report.pair(form, figure("launch and wait on 2 threads"), &pair);

    let forms = [(); 2].map(|()| Form {
        name: form.name,
        launcher: Arc::new(NativeLauncher::builder().tier(form.tier).build()),
        tier: form.tier,
    });
    let pair = by_turns(
        Unit::PerSecond,
        ROUNDS,
        || per_second(|_| baseline::spawn_and_wait()),
        || per_second(|thread| forms[thread].launch_and_wait(&plans[thread])),
    );
    report.pair(form, figure("the same, a launcher for each"), &pair);
}

fn figure(name: &str) -> Figure<'_> {
    Figure {
        name,
        baseline: "std",
        target: "0.95 or more",
    }
}

fn by_registry(
    form: &Form,
    report: &mut Report,
    name: &str,
    registries: &[&Registry],
    guests: &[Guest; 2],
) {
    let command = nothing();
    let pair = by_turns(
        Unit::PerSecond,
        ROUNDS,
        || per_second(|_| baseline::spawn_and_wait()),
        || {
            let rate = per_second(|thread| drop(spawn_and_wait(&guests[thread], &command)));
            for registry in registries {
                settle(registry, 0);
            }
            rate
        },
    );
    report.pair(form, figure(name), &pair);
}

fn per_second(work: impl Fn(usize) + Sync) -> f64 {
    let time = seconds(|| {
        thread::scope(|scope| {
            for number in 0..2 {
                let work = &work;
                scope.spawn(move || (0..EACH).for_each(|_| work(number)));
            }
        });
    });
    f64::from(2 * EACH) / time
}

//! The cost of ended children that are kept: memory, and the time of the next spawn.

use std::fs;

use crate::forms::{self, Form, nothing, settle, spawn_and_wait};
use crate::report::{Figure, Report};
use crate::statistics::{Summary, Unit, by_turns, seconds};

const RETAINED: usize = 10_000;

pub(crate) fn measure(form: &Form, report: &mut Report) {
    let [empty, full] = [(); 2].map(|()| forms::build(form.registry()));
    let [beside_none, beside_many] = [&empty, &full].map(|registry| forms::guest(registry, None));
    let command = nothing();
    for guest in [&beside_none, &beside_many] {
        (0..100).for_each(|_| drop(spawn_and_wait(guest, &command)));
    }
    settle(&full, 0);
    let before = resident_bytes();
    let held: Vec<_> = (0..RETAINED)
        .map(|_| spawn_and_wait(&beside_many, &command))
        .collect();
    let each = (resident_bytes() - before) / held.len() as f64;
    let each = Summary::new(Unit::Bytes, vec![each]);
    report.single(
        form,
        "resident memory of a retained entry, its handle included",
        "4096 B",
        &each,
    );
    let pair = by_turns(
        Unit::Seconds,
        400,
        || {
            let time = seconds(|| drop(spawn_and_wait(&beside_none, &command)));
            settle(&empty, 0);
            time
        },
        || {
            let time = seconds(|| drop(spawn_and_wait(&beside_many, &command)));
            settle(&full, held.len());
            time
        },
    );
    let figure = Figure {
        name: "spawn and wait with 10,000 retained entries",
        baseline: "without retained entries",
        target: "1.05",
    };
    report.pair(form, figure, &pair);
}

fn resident_bytes() -> f64 {
    let text = fs::read_to_string("/proc/self/statm").expect("proc is there");
    let pages = text.split(' ').nth(1).and_then(|word| word.parse().ok());
    let pages: usize = pages.expect("the second number");
    (pages * rustix::param::page_size()) as f64
}

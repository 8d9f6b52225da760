//! Every attempt of these tests: a child finds its own here, by name.

use std::collections::BTreeSet;
use std::env;

use crate::attempt::{Attempt, NAME};
use crate::table::Row;
use crate::{files, host, ipc, itself, kernel, processes, session, sockets, terminal, tracing};

/// The escape tables.
const TABLES: [&[Row]; 14] = [
    files::OUTSIDE,
    files::METADATA,
    files::INSIDE,
    kernel::CALLS,
    processes::HOST,
    ipc::CALLS,
    itself::ITSELF,
    tracing::TRACING,
    processes::SAME_USER,
    processes::PID_1,
    processes::GRANTED_PROC,
    sockets::NO_NETWORK,
    sockets::OWN_LOOPBACK,
    sockets::HOST_NETWORK,
];

/// Attempts of tests that do more than a row can say.
const SINGLE: [&[Attempt]; 8] = [
    files::SINGLE,
    host::SINGLE,
    ipc::SINGLE,
    itself::SINGLE,
    kernel::SINGLE,
    processes::SINGLE,
    session::SINGLE,
    terminal::SINGLE,
];

fn attempts() -> impl Iterator<Item = &'static Attempt> {
    let rows = TABLES.into_iter().flatten().map(|row| &row.attempt);
    rows.chain(SINGLE.into_iter().flatten())
}

/// Not a test, but the program of a child: in a child it makes the attempt.
#[test]
fn entry() {
    let Ok(name) = env::var(NAME) else { return };
    match attempts().find(|attempt| attempt.name == name) {
        Some(attempt) => attempt.make(),
        None => panic!("no attempt {name:?}: its table is not in the catalogue"),
    }
}

#[test]
fn no_two_attempts_have_the_same_name() {
    let mut names = BTreeSet::new();
    for attempt in attempts() {
        assert!(names.insert(attempt.name), "{:?} twice", attempt.name);
    }
}

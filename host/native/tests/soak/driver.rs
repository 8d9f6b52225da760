//! The guests and children of one thread, and the operations on them.

use std::time::Duration;

use capspawn_native::{
    Child, Command, ExitStatus, Guest, Quota, Shortage, Signal, SpawnError, Stage,
};
use tokio::runtime::Runtime;

use crate::DRIVERS;
use crate::faults;
use crate::fixture::{Fixture, request};
use crate::random::Random;
use crate::tally::Tally;

/// The guests of all drivers together.
const GUESTS: u64 = 50;
/// The most handles that one driver holds.
const MAX_HELD: usize = 40;

pub(crate) struct Driver<'f> {
    fixture: &'f Fixture,
    number: u64,
    random: Random,
    /// Each with its number in the fixture.
    guests: Vec<(usize, Guest)>,
    held: Vec<Held>,
    runtime: Runtime,
    tally: Tally,
}

struct Held {
    child: Child,
    seen: Option<ExitStatus>,
    expected: Option<Vec<u8>>,
}

impl<'f> Driver<'f> {
    pub(crate) fn new(fixture: &'f Fixture, number: u64, random: Random) -> Self {
        let own = (0..GUESTS).filter(|guest| guest % DRIVERS == number);
        let own = own.filter_map(|guest| usize::try_from(guest).ok());
        Self {
            fixture,
            number,
            random,
            guests: own.map(|guest| (guest, fixture.guest(guest))).collect(),
            held: Vec::new(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .expect("the runtime starts"),
            tally: Tally::default(),
        }
    }

    /// Does that many operations, then drops all guests and handles.
    pub(crate) fn drive(mut self, operations: u64) -> Tally {
        for operation in 0..operations {
            // Every run has each fault, with any seed.
            match (self.number, operation % 20) {
                (0, 0) => self.exhaust(operation == 0),
                (1, 0) => self.kill_helper(),
                (2, 0 | 10) => self.kill_start(),
                _ => self.operate(),
            }
        }
        self.tally
    }

    fn operate(&mut self) {
        match self.random.below(20) {
            0..=6 => self.spawn_any(),
            7 => self.replace_guest(),
            8 => self.kill_all(),
            _ => self.operate_on_child(),
        }
    }

    fn spawn_any(&mut self) {
        let (command, expected) = request(&mut self.random);
        let result = self.guest().spawn(&command);
        self.take(result, expected);
    }

    fn guest(&mut self) -> &Guest {
        let index = self
            .random
            .index(self.guests.len())
            .expect("each driver has guests");
        &self.guests[index].1
    }

    fn take(&mut self, result: Result<Child, SpawnError>, expected: Option<Vec<u8>>) {
        match result {
            Ok(child) => {
                self.tally.started += 1;
                self.held.push(Held {
                    child,
                    seen: None,
                    expected,
                });
            }
            Err(SpawnError::Denied(_)) => self.tally.denied += 1,
            Err(SpawnError::Quota(
                Quota::LiveChildren
                | Quota::HeldMemory
                | Quota::HeldDescriptors
                | Quota::HostCapacity,
            )) => {
                self.tally.over_quota += 1;
            }
            // The watchdog, the server or the session was killed, and so was its replacement; or the server while it started
            // the child.
            Err(SpawnError::Launch(error))
                if [Stage::Announce, Stage::Request, Stage::Reply].contains(&error.stage) =>
            {
                self.tally.failed += 1;
            }
            // Pid 1 of the session was killed: the kernel then reports ENOMEM for a new process in
            // the pid namespace.
            Err(SpawnError::Shortage(Shortage::Memory | Shortage::Killed)) => {
                self.tally.failed += 1;
            }
            Err(SpawnError::Shortage(_)) => self.tally.over_quota += 1,
            Err(other) => panic!("{other}"),
        }
        if self.held.len() > MAX_HELD {
            self.remove_child();
        }
    }

    /// The children of the old guest end with it, though their handles are still held.
    fn replace_guest(&mut self) {
        let index = self
            .random
            .index(self.guests.len())
            .expect("each driver has guests");
        let number = self.guests[index].0;
        self.guests[index].1 = self.fixture.guest(number);
    }

    fn kill_all(&mut self) {
        let guest = self.guest();
        guest.kill_all();
        assert!(
            guest.live().len() <= 12,
            "more children are live than the quota allows"
        );
    }

    fn remove_child(&mut self) -> Option<Held> {
        let index = self.random.index(self.held.len())?;
        Some(self.held.swap_remove(index))
    }

    fn operate_on_child(&mut self) {
        let operation = self.random.below(10);
        if operation < 2 {
            let Some(held) = self.remove_child() else {
                return;
            };
            if operation == 0 {
                held.child.release_blocking();
            }
            return;
        }
        let Some(index) = self.random.index(self.held.len()) else {
            return;
        };
        let some_ms = Duration::from_millis(self.random.below(10));
        let signals = [
            Signal::Hangup,
            Signal::Terminate,
            Signal::User1,
            Signal::Kill,
        ];
        let signal = self.random.index(signals.len()).map(|index| signals[index]);
        let held = &mut self.held[index];
        match operation {
            2 => held.child.kill(Duration::ZERO),
            3 => held.child.kill(some_ms),
            4 => held.child.signal(signal.expect("the list is not empty")),
            5 => drop(held.child.wait_blocking(Some(some_ms))),
            6 => self.runtime.block_on(cancelled_wait(&held.child)),
            7 => held.check_output(),
            _ => drop(held.child.poll()),
        }
        if held.check_status() {
            self.tally.ended += 1;
        }
    }

    /// Spawns while no descriptor is left, or few are.
    fn exhaust(&mut self, none: bool) {
        let few = 3 + self.random.below(faults::open_descriptors() + 16);
        let command = Command::new("cat");
        let result = faults::short_of_descriptors(if none { 3 } else { few }, || {
            self.guest().spawn(&command)
        });
        if let Err(SpawnError::Shortage(_)) = &result {
            self.tally.exhausted += 1;
        }
        assert!(
            !none || result.is_err(),
            "a child has started without a descriptor"
        );
        self.take(result, None);
    }

    fn kill_helper(&mut self) {
        self.tally.helpers_killed += u64::from(faults::kill_helper(&mut self.random));
        self.spawn_any();
    }

    fn kill_start(&mut self) {
        let (command, expected) = request(&mut self.random);
        let index = self
            .random
            .index(self.guests.len())
            .expect("each driver has guests");
        let guest = &self.guests[index].1;
        let (result, killed) = faults::killed_while(&mut self.random, || guest.spawn(&command));
        self.tally.starts_killed += u64::from(killed);
        self.take(result, expected);
    }
}

/// A wait that is cancelled after its first poll.
async fn cancelled_wait(child: &Child) {
    tokio::select! {
        biased;
        _ = child.wait(None) => {}
        () = tokio::task::yield_now() => {}
    }
}

impl Held {
    /// Returns whether the child is seen to have ended for the first time. Asserts that its status
    /// does not change later.
    fn check_status(&mut self) -> bool {
        let status = self.child.poll();
        if self.seen.is_some() {
            assert_eq!(status, self.seen, "the status has changed");
            return false;
        }
        self.seen = status;
        status.is_some()
    }

    fn check_output(&self) {
        let (stdout, stderr) = self.child.captured(0, 0);
        assert!(stdout.data.len() <= 64 << 10 && stderr.data.len() <= 1 << 10);
        let whole = stdout.complete && stdout.dropped == 0;
        if let (true, Some(ExitStatus::Exited(0)), Some(expected)) =
            (whole, self.child.poll(), &self.expected)
        {
            assert!(
                stdout.data == *expected,
                "the output is not what the child wrote"
            );
        }
    }
}

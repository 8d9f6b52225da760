//! What comes back to the host, and what goes to the watchdog.

use proptest::prelude::*;

use super::{bytes, step};
use capspawn_raw::child::FailureSlot;
use capspawn_raw::step::{Fault, Step};
use capspawn_raw::wire::{FailureReport, GroupChange, ProbeFinding, Report};

proptest! {
    #[test]
    fn random_bytes_make_no_reader_panic(bytes in bytes()) {
        if let Some(report) = Report::read(&bytes) {
            prop_assert_eq!(&report.to_bytes()[..], &bytes[..]);
        }
    }

    #[test]
    fn reports_come_back(
        step in step(),
        refused in prop::option::of(super::step()),
        errno in any::<i32>(),
        pid in any::<u32>(),
        operation in any::<u32>(),
    ) {
        let all = [
            Report::Started { pid },
            Report::Failed { step, errno, operation },
            Report::Ready { pid_1: 0 },
            Report::Ready { pid_1: 42 },
            Report::State { found: false },
            Report::State { found: true },
            Report::Refused { step: refused, errno, pid },
        ];
        for report in all {
            let bytes = report.to_bytes();
            prop_assert_eq!(Report::read(&bytes), Some(report));
            prop_assert_eq!(Report::read(&bytes[..15]), None);
            prop_assert_eq!(Report::read(&[&bytes[..], &[0]].concat()), None);
        }
    }

    #[test]
    fn failures_come_back(step in step(), errno in any::<i32>(), bytes in any::<[u8; 8]>()) {
        let report = FailureReport((step, errno));
        prop_assert_eq!(FailureReport::read(report.to_bytes()), Some(report));
        if let Some(report) = FailureReport::read(bytes) {
            prop_assert_eq!(report.to_bytes(), bytes);
        }
        let slot = FailureSlot::new();
        prop_assert_eq!(slot.load(), None);
        slot.store((step, errno));
        prop_assert_eq!(slot.load(), Some((step, errno)));
    }

    #[test]
    fn changes_of_groups_come_back(group in 1..=i32::MAX) {
        for change in [GroupChange::Started(group), GroupChange::Gone(group)] {
            prop_assert_eq!(GroupChange::read(change.to_bytes()), Some(change));
        }
    }
}

#[test]
fn there_is_no_group_0() {
    assert_eq!(GroupChange::read([0; 4]), None);
}

#[test]
fn every_finding_has_a_bit_of_its_own() {
    let all = [
        ProbeFinding::Read,
        ProbeFinding::Write,
        ProbeFinding::Inet,
        ProbeFinding::Unix,
        ProbeFinding::Signal,
        ProbeFinding::Privileges,
        ProbeFinding::Syscalls,
        ProbeFinding::Group,
    ];
    assert_eq!(ProbeFinding::status(all.map(|it| (it, true))), u8::MAX);
    assert_eq!(ProbeFinding::status(all.map(|it| (it, false))), 0);
    for finding in all {
        let status = ProbeFinding::status(all.map(|it| (it, it == finding)));
        assert_eq!(status, finding.bit());
        assert_eq!(status.count_ones(), 1);
    }
}

#[test]
fn a_step_has_the_number_by_which_it_is_found() {
    for (number, step) in (1..).zip(Step::ALL) {
        assert_eq!(step.number(), number);
        assert_eq!(Step::from_number(number), Some(*step));
    }
    assert_eq!(Step::from_number(0), None);
    let next = u32::try_from(Step::ALL.len()).expect("few") + 1;
    assert_eq!(Step::from_number(next), None);
}

#[test]
fn a_fault_fails_its_own_step_without_taking_it() {
    let fault = Fault {
        step: Some(Step::Stdio),
        errno: 5,
    };
    let mut taken = 0;
    let mut take = |step, fault: Fault| {
        fault.guard(step, || {
            taken += 1;
            Ok(())
        })
    };
    assert_eq!(take(Step::Stdio, fault), Err((Step::Stdio, 5)));
    assert_eq!(take(Step::Exec, fault), Ok(()));
    assert_eq!(take(Step::Stdio, Fault::NONE), Ok(()));
    assert_eq!(taken, 2);
    let failed = Fault::NONE.guard(Step::Root, || Err::<(), _>(7));
    assert_eq!(failed, Err((Step::Root, 7)));
}

//! A fault at each step of a session and of its children.

use std::sync::Arc;

use capspawn_raw::steps::{Fault, Step};

use super::support::{self, launch, null, plan, profile, spawner, wait};
use crate::launch::{Exit, Stage};
use crate::sandbox::sys::linux::session::Session;
use crate::sandbox::sys::linux::spawner::Spawner;

fn failing(step: Step) -> Spawner {
    support::failing(Fault {
        step: step as u32,
        errno: libc::EXDEV,
    })
}

#[test]
fn a_failed_start_of_a_session_names_its_stage() {
    let steps = [
        (Step::Identity, Stage::Identity),
        (Step::Namespaces, Stage::Namespaces),
        (Step::Root, Stage::Root),
    ];
    for (step, stage) in steps {
        let error = Session::start(&failing(step), &profile()).expect_err("it fails");
        assert_eq!(
            (error.stage, error.source.raw_os_error()),
            (stage, Some(libc::EXDEV))
        );
    }
}

#[test]
fn a_failed_start_of_a_child_names_its_stage_and_the_session_stays_alive() {
    let steps = [
        (Step::Signals, Stage::Signals),
        (Step::Session, Stage::Session),
        (Step::Watch, Stage::Watch),
        (Step::Stdio, Stage::Stdio),
        (Step::Descriptors, Stage::Descriptors),
        (Step::WorkingDirectory, Stage::WorkingDirectory),
        (Step::Limits, Stage::Limits),
        (Step::NoNewPrivileges, Stage::Privileges),
        (Step::Capabilities, Stage::Privileges),
        (Step::Landlock, Stage::Ruleset),
        (Step::Seccomp, Stage::Filter),
        (Step::Exec, Stage::Exec),
    ];
    for (step, stage) in steps {
        let session = Session::start(&failing(step), &profile()).expect("it starts");
        let session = Arc::new(session);
        for _ in 0..2 {
            let error = launch(&session, &plan("/bin/true", &[]), null()).expect_err("it fails");
            assert_eq!(
                (error.stage, error.source.raw_os_error()),
                (stage, Some(libc::EXDEV))
            );
        }
        assert!(session.is_alive());
    }
    let session = Arc::new(Session::start(&spawner(), &profile()).expect("it starts"));
    let child = launch(&session, &plan("/bin/true", &[]), null()).expect("it starts");
    assert_eq!(wait(&child), Ok(Exit::Code(0)));
}

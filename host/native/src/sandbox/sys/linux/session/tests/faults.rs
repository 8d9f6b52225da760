//! A fault at each step of a session and of its children.

use std::sync::Arc;

use capspawn_raw::step::{Fault, Step};

use super::support::{self, launch, null, plan, profile, spawner, wait};
use crate::launch::{Exit, Stage};
use crate::sandbox::sys::linux::session::Session;
use crate::sandbox::sys::linux::spawner::Spawner;

/// The steps that tests make fail in the session itself.
const SESSION_STEPS: [Step; 3] = [Step::Identity, Step::Namespaces, Step::Root];

fn failing(step: Step) -> Spawner {
    support::failing(Fault {
        step: Some(step),
        errno: libc::EXDEV,
    })
}

#[test]
fn a_failed_start_of_a_session_names_its_stage() {
    for step in SESSION_STEPS {
        let error = Session::start(&failing(step), &profile()).expect_err("it fails");
        assert_eq!(
            (error.stage, error.source.raw_os_error()),
            (Stage::from(step), Some(libc::EXDEV))
        );
    }
}

#[test]
fn a_failed_start_of_a_child_names_its_stage_and_the_session_stays_alive() {
    let is_childs = |step: &Step| *step != Step::Request && !SESSION_STEPS.contains(step);
    for step in Step::ALL.iter().copied().filter(is_childs) {
        let session = Session::start(&failing(step), &profile()).expect("it starts");
        let session = Arc::new(session);
        for _ in 0..2 {
            let error = launch(&session, &plan("/bin/true", &[]), null()).expect_err("it fails");
            assert_eq!(
                (error.stage, error.source.raw_os_error()),
                (Stage::from(step), Some(libc::EXDEV))
            );
        }
        assert!(session.is_alive());
    }
    let session = Arc::new(Session::start(&spawner(), &profile()).expect("it starts"));
    let child = launch(&session, &plan("/bin/true", &[]), null()).expect("it starts");
    assert_eq!(wait(&child), Ok(Exit::Code(0)));
}

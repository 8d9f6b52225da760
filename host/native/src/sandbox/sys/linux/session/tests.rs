//! Sessions, with real children.

use std::sync::Arc;

use super::Session;
use crate::launch::{Exit, Process};

mod support;
use support::{launcher, null, plan, profile, wait};

#[test]
fn a_child_starts_and_its_end_is_told() {
    let launcher = launcher();
    let session = Arc::new(Session::start(&launcher, &profile()).expect("it starts"));
    assert!(session.is_alive());
    let child = session
        .launch(&plan("/bin/true", &[]), &null())
        .expect("it starts");
    assert_eq!(wait(&child), Ok(Exit::Code(0)));
    let child = session
        .launch(&plan("/bin/false", &[]), &null())
        .expect("it starts");
    assert_eq!(wait(&child), Ok(Exit::Code(1)));
}

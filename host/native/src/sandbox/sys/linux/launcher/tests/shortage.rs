//! What is kept for later children goes first when the host is short of something.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use test_kit::{is_alone, test_name};

use super::*;
use crate::launch::{LaunchError, OwnerUids};

fn tier_a(spawner: Spawner) -> NativeLauncher {
    NativeLauncher::over(spawner, Some(Tier::A))
}

fn run(launcher: &NativeLauncher, guest: u64, plan: &Plan) -> Result<Exit, LaunchError> {
    let process = launcher.launch(Scope(guest), plan, null())?;
    Ok(wait(&*process))
}

#[test]
fn a_guest_gets_the_user_id_of_a_spare_when_all_are_in_use() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let uids = OwnerUids::new(1_600_000_500, 1_600_000_502).expect("a range");
    let spawner = Spawner::new(default_user(), false, Fault::NONE).with_owners(uids);
    let launcher = tier_a(spawner);
    let plan = plan();
    for guest in [1, 2] {
        assert_eq!(
            run(&launcher, guest, &plan).expect("it starts"),
            Exit::Code(0)
        );
    }
    assert_eq!(launcher.sessions.spares().len(), 1, "it has the third id");
    let mut other = plan.clone();
    other.limits.tmpfs_bytes /= 2;
    assert_eq!(run(&launcher, 3, &other).expect("it starts"), Exit::Code(0));
    let error = run(&launcher, 4, &other).expect_err("each id is a guest's");
    assert_eq!(error.stage, Stage::Identity);
    assert_eq!(error.shortage(), Some(Shortage::UserIds));
}

/// Not even two descriptors are left for the question whether a session can end.
#[test]
fn idle_sessions_end_for_a_guest_that_finds_no_descriptor_left() {
    if !is_alone(test_name!()) {
        return;
    }
    const IDLE: u64 = 16;
    let launcher = tier_a(Spawner::new(default_user(), false, Fault::NONE));
    let plan = plan();
    for guest in 0..IDLE {
        assert_eq!(
            run(&launcher, guest, &plan).expect("it starts"),
            Exit::Code(0)
        );
    }
    let mut busy_plan = plan.clone();
    busy_plan.program = Arc::new(Program::open("/bin/sleep").expect("it exists"));
    busy_plan.argv = vec!["sleep".into(), "600".into()];
    let busy = launcher.launch(Scope(0), &busy_plan, null());
    let busy = busy.expect("it starts");
    drop(launcher.sessions.spares());
    assert!(
        launcher.make_room(),
        "spares, so that only idle sessions are left"
    );
    for guest in 1..IDLE {
        assert_eq!(
            run(&launcher, guest, &plan).expect("it starts"),
            Exit::Code(0)
        );
    }
    drop(launcher.sessions.spares());
    let whole = getrlimit(Resource::Nofile);
    let low = Rlimit {
        current: Some(512),
        ..whole
    };
    setrlimit(Resource::Nofile, low).expect("a lower limit is always possible");
    let mut taken = Vec::new();
    let short = loop {
        match rustix::io::dup(&busy.exit_fd()) {
            Ok(fd) => taken.push(fd),
            Err(errno) => break errno,
        }
    };
    assert_eq!(short, Errno::MFILE);
    let started = run(&launcher, IDLE, &plan);
    setrlimit(Resource::Nofile, whole).expect("the hard limit stayed");
    drop(taken);
    assert_eq!(started.expect("it starts"), Exit::Code(0));
    assert_eq!(busy.try_exit().expect("a state"), None, "a child runs on");
    let left = (0..IDLE).filter(|guest| !launcher.sessions.sessions(Scope(*guest)).is_empty());
    assert_eq!(left.collect::<Vec<_>>(), [0]);
}

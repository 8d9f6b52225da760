//! Sessions that run as their owner's user.

use std::fs;
use std::sync::Arc;

use capspawn_raw::step::{Fault, Step};
use rustix::process::Pid;

use super::leaks::{is_alone, settled};
use super::support::{
    self, failing, folder, launch, null, output, plan, processes, profile_of, rules, wait,
};
use crate::confinement::{Confinement, FsRules};
use crate::launch::{Exit, OwnerUids, Scope};
use crate::sandbox::sys::linux::session::{Profile, Session};
use crate::sandbox::sys::linux::spawner::Spawner;

const SCOPE: Scope = Scope(1);

/// A spawner whose owners have users of their own; none if this process is not root.
fn spawner(fault: Fault) -> Option<Spawner> {
    let uids = OwnerUids::new(1_600_000_000, 1_600_000_099)?;
    let is_root = rustix::process::geteuid().is_root();
    is_root.then(|| failing(fault).with_owners(uids))
}

/// A profile with a write root, which is in the folder.
fn writing(folder: &tempfile::TempDir) -> Profile {
    profile_of(Confinement {
        fs: FsRules {
            write: vec![folder.path().into()],
            ..rules()
        },
        ..Confinement::default()
    })
}

#[test]
fn no_process_of_the_session_keeps_the_mounts_that_the_host_has_made() {
    let Some(spawner) = spawner(Fault::NONE) else {
        return;
    };
    let count = |session: &Session| {
        let of = |pid: Pid| {
            let path = format!("/proc/{}/fd", pid.as_raw_nonzero());
            fs::read_dir(path).expect("it runs").count()
        };
        processes(session).map(of)
    };
    let folder = folder();
    let profile = writing(&folder);
    let common = Session::start(&spawner, &profile).expect("it starts");
    let expected = count(&common);
    // Its processes would count as the next session's.
    drop(common);
    let owners = Session::start_for(SCOPE, &spawner, &profile).expect("it starts");
    assert_eq!(count(&owners), expected);
    let owners = Arc::new(owners);
    let shown = output(
        &owners,
        "id -u; ls /proc/self/fd; touch /proc/1/x 2>/dev/null; echo",
    );
    assert_eq!(shown.lines().next(), Some("65534"), "{shown}");
    assert_eq!(
        shown.lines().filter(|line| !line.is_empty()).count(),
        5,
        "{shown}"
    );
}

const LEAKS: &str =
    "sandbox::sys::linux::session::tests::owners::sessions_of_owners_leave_nothing_started_or_not";

#[test]
fn sessions_of_owners_leave_nothing_started_or_not() {
    if spawner(Fault::NONE).is_none() || !is_alone(LEAKS) {
        return;
    }
    let fault = |step| Fault {
        step,
        errno: libc::EXDEV,
    };
    let steps = [
        None,
        Some(Step::Identity),
        Some(Step::Namespaces),
        Some(Step::Root),
    ];
    let spawners = steps.map(|step| spawner(fault(step)).expect("this process is root"));
    let folder = folder();
    let profile = writing(&folder);
    let all = || {
        for (spawner, step) in spawners.iter().zip(steps) {
            let Ok(session) = Session::start_for(SCOPE, spawner, &profile) else {
                assert!(step.is_some());
                continue;
            };
            let session = Arc::new(session);
            let child = launch(&session, &plan("/bin/true", &[]), null()).expect("it starts");
            assert_eq!(wait(&child), Ok(Exit::Code(0)));
        }
    };
    all();
    let before = settled();
    for _ in 0..30 {
        all();
    }
    assert_eq!(settled(), before);
    for spawner in &spawners {
        let owners = spawner.owners().expect("each spawner has some");
        owners.close(SCOPE);
        let lease = owners.lease(Scope(2)).expect("the first is free again");
        assert_eq!(Arc::strong_count(&lease), 2, "this one and the guest's");
    }
}

#[test]
fn a_session_whose_host_is_short_of_descriptors_does_not_fall_back_to_the_common_user() {
    const NAME: &str = "sandbox::sys::linux::session::tests::owners::a_session_whose_host_is_short_of_descriptors_does_not_fall_back_to_the_common_user";
    let Some(spawner) = spawner(Fault::NONE) else {
        return;
    };
    if !is_alone(NAME) {
        return;
    }
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let folder = folder();
    let profile = writing(&folder);
    let user = |session: &Session| {
        let status = support::status(session.first_server()).expect("root sees it");
        let line = status.lines().find(|line| line.starts_with("Uid:"));
        line.expect("it has a user").to_owned()
    };
    let session = Session::start_for(SCOPE, &spawner, &profile).expect("it starts");
    if !user(&session).contains("16000000") {
        println!("skipped: files of this folder cannot be shown as an owner's");
        return;
    }
    drop(session);
    let whole = getrlimit(Resource::Nofile);
    let open = fs::read_dir("/proc/self/fd").expect("a /proc").count() as u64;
    let mut started = 0;
    for free in 0..40 {
        let limit = Rlimit {
            current: Some(open + free),
            ..whole
        };
        setrlimit(Resource::Nofile, limit).expect("it may be lowered");
        let session = Session::start_for(SCOPE, &spawner, &profile);
        setrlimit(Resource::Nofile, whole).expect("it may be raised again");
        if let Ok(session) = session {
            assert!(user(&session).contains("16000000"), "{}", user(&session));
            started += 1;
        }
    }
    assert!(started > 0 && started < 40, "{started} of 40");
}

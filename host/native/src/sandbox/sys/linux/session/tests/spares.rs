//! Spare sessions: when there is one, who gets it, and when it may not be used.

use std::fs;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::leaks::is_alone;
use super::pool::Pool;
use super::support::{await_end, folder, pidfd, processes, rules, script};
use crate::confinement::{Confinement, FsRules};
use crate::launch::{Owner, OwnerUids, Plan, Scope};
use crate::sandbox::sys::linux::session::Session;

const FIRST: Scope = Scope(1);
const SECOND: Scope = Scope(2);
const THIRD: Scope = Scope(3);

/// A child that reports what an earlier one has left in `/tmp`, and leaves something.
fn leaving() -> Plan {
    confined(script("ls -A /tmp; echo mine > /tmp/left; echo end"))
}

/// Returns `plan` with the files that a shell needs.
fn confined(mut plan: Plan) -> Plan {
    plan.confinement = Arc::new(Confinement {
        fs: rules(),
        ..Confinement::default()
    });
    plan
}

fn is_same(one: &Arc<Session>, other: &Arc<Session>) -> bool {
    Arc::ptr_eq(one, other)
}

#[test]
fn the_second_guest_of_a_profile_has_a_spare_started_which_the_third_gets() {
    let pool = Pool::new();
    let plan = leaving();
    assert_eq!(pool.output_of(FIRST, &plan), "end\n");
    assert_eq!(pool.output_of(FIRST, &plan), "left\nend\n");
    assert!(pool.spares().is_empty(), "one guest");
    assert_eq!(pool.output_of(SECOND, &plan), "end\n");
    let spares = pool.spares();
    let [spare] = &*spares else {
        panic!("{spares:?}")
    };
    assert!(!is_same(spare, &pool.session_of(SECOND)));
    assert_eq!(pool.output_of(THIRD, &plan), "end\n");
    assert!(is_same(spare, &pool.session_of(THIRD)));
    let next = pool.spares();
    assert_eq!(next.len(), 1);
    assert!(next.iter().all(|next| !is_same(next, spare)));
}

/// The profile says what a session shows, so that another one's spare is of no use.
#[test]
fn a_spare_is_for_its_own_profile() {
    let pool = Pool::new();
    let plan = leaving();
    pool.output_of(FIRST, &plan);
    pool.output_of(SECOND, &plan);
    let spares = pool.spares();
    let mut other = leaving();
    other.limits.tmpfs_bytes /= 2;
    pool.output_of(THIRD, &other);
    assert!(!is_same(&spares[0], &pool.session_of(THIRD)));
    assert_eq!(pool.spares().len(), 1);
}

#[test]
fn a_spare_whose_root_was_replaced_is_not_used() {
    let (pool, folder) = (Pool::new(), folder());
    let root = folder.path().join("root");
    fs::create_dir(&root).expect("the folder is ours");
    let mut plan = script("ls -A \"$ROOT\"; echo end");
    plan.env
        .push(("ROOT".into(), root.to_str().expect("text").into()));
    plan.confinement = Arc::new(Confinement {
        fs: FsRules {
            write: vec![root.as_path().into()],
            ..rules()
        },
        ..Confinement::default()
    });
    pool.output_of(FIRST, &plan);
    pool.output_of(SECOND, &plan);
    let spares = pool.spares();
    assert_eq!(spares.len(), 1);
    fs::rename(&root, folder.path().join("old")).expect("the folder is ours");
    fs::create_dir(&root).expect("the folder is ours");
    fs::write(root.join("new"), "").expect("the folder is ours");
    assert_eq!(pool.output_of(THIRD, &plan), "new\nend\n");
    assert!(!is_same(&spares[0], &pool.session_of(THIRD)));
}

#[test]
fn a_spare_whose_denied_file_was_replaced_ends() {
    let (pool, folder) = (Pool::new(), folder());
    let secret = folder.path().join("secret");
    fs::write(&secret, "first").expect("the folder is ours");
    let mut plan = script("cat \"$SECRET\"; echo end");
    plan.env
        .push(("SECRET".into(), secret.to_str().expect("text").into()));
    plan.confinement = Arc::new(Confinement {
        fs: FsRules {
            write: vec![folder.path().into()],
            deny: vec![secret.as_path().into()],
            ..rules()
        },
        ..Confinement::default()
    });
    pool.output_of(FIRST, &plan);
    pool.output_of(SECOND, &plan);
    let spares = pool.spares();
    assert_eq!(spares.len(), 1);
    let new = folder.path().join("new");
    fs::write(&new, "second").expect("the folder is ours");
    fs::rename(&new, &secret).expect("the folder is ours");
    let output = pool.output_of(THIRD, &plan);
    assert!(
        output.ends_with("end\n") && !output.contains("second"),
        "{output}"
    );
    assert!(!is_same(&spares[0], &pool.session_of(THIRD)));
}

#[test]
fn a_spare_that_is_taken_is_watched_once() {
    let (pool, folder) = (Pool::new(), folder());
    let secret = folder.path().join("secret");
    fs::write(&secret, "text").expect("the folder is ours");
    let mut plan = script("echo end");
    plan.confinement = Arc::new(Confinement {
        fs: FsRules {
            write: vec![folder.path().into()],
            deny: vec![secret.as_path().into()],
            ..rules()
        },
        ..Confinement::default()
    });
    pool.output_of(FIRST, &plan);
    pool.output_of(SECOND, &plan);
    let spares = pool.spares();
    let names = pool.watch_count(&spares[0]);
    assert!(names > 0);
    assert_eq!(names, pool.watch_count(&pool.session_of(SECOND)));
    pool.output_of(THIRD, &plan);
    assert!(is_same(&spares[0], &pool.session_of(THIRD)));
    assert_eq!(pool.watch_count(&spares[0]), names);
}

const ENDS: &str = "sandbox::sys::linux::session::tests::spares::spares_end_with_their_pool";

#[test]
fn spares_end_with_their_pool() {
    // The test could not distinguish its sessions from those of other tests.
    if !is_alone(ENDS) {
        return;
    }
    let pool = Pool::new();
    let plan = leaving();
    pool.output_of(FIRST, &plan);
    pool.output_of(SECOND, &plan);
    let spares = pool.spares();
    assert_eq!(spares.len(), 1);
    let ends = processes(&spares[0]).map(pidfd);
    drop(spares);
    drop(pool);
    for end in &ends {
        await_end(end.as_fd());
    }
}

/// Returns the user of the guest's children.
fn user(pool: &Pool, guest: Scope) -> u32 {
    pool.output_of(guest, &confined(script("id -u")));
    pool.session_of(guest).user().uid
}

#[test]
fn a_spare_gets_the_user_of_the_owner_who_takes_it() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let uids = OwnerUids::new(1_600_000_200, 1_600_000_299).expect("a range");
    let pool = Pool::with_owners(uids);
    let mut users = [FIRST, SECOND, THIRD].map(|guest| {
        let spares = pool.spares();
        let user = user(&pool, guest);
        // From the third guest on there is one.
        assert_eq!(spares.is_empty(), guest != THIRD);
        for spare in &spares {
            assert!(is_same(spare, &pool.session_of(guest)));
        }
        user
    });
    users.sort_unstable();
    assert!(users.is_sorted_by(|one, other| one < other), "{users:?}");
}

#[test]
fn a_spare_with_the_user_of_one_owner_is_no_other_owners() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let uids = OwnerUids::new(1_600_000_300, 1_600_000_399).expect("a range");
    let pool = Pool::with_owners(uids);
    let [one, other] = ["one", "other"].map(|tenant| Owner {
        component: "test",
        tenant,
    });
    pool.open(FIRST, one);
    pool.open(SECOND, one);
    pool.open(THIRD, other);
    let users = [FIRST, SECOND].map(|guest| user(&pool, guest));
    assert_eq!(users[0], users[1]);
    let spares = pool.spares();
    assert_eq!(spares.len(), 1);
    assert_eq!(
        spares[0].user().uid,
        users[0],
        "for the next guest of that owner"
    );
    assert_ne!(user(&pool, THIRD), users[0]);
    let fourth = Scope(4);
    pool.open(fourth, one);
    assert_eq!(user(&pool, fourth), users[0]);
    assert!(is_same(&spares[0], &pool.session_of(fourth)));
}

//! The pool: which session a spawn uses, and which sessions it drops.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::support::{
    await_end, folder, null, pidfd, plan, processes, profile, rules, run_with, script, spawner,
    wait,
};
use crate::confinement::{Confinement, FsRoot, FsRules};
use crate::launch::{ChildStdio, Exit, LaunchError, Owner, OwnerUids, Plan, Scope, Stage};
use crate::sandbox::sys::linux::session::child::SessionChild;
use crate::sandbox::sys::linux::session::pool::SessionPool;
use crate::sandbox::sys::linux::session::slots::MAX_SESSIONS;
use crate::sandbox::sys::linux::session::{Profile, Session};
use crate::sandbox::sys::linux::spawner::Spawner;
use crate::shortage::Shortage;

const GUEST: Scope = Scope(7);

/// A pool with a spawner.
pub(super) struct Pool {
    spawner: Arc<Spawner>,
    pool: SessionPool,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self {
            spawner: Arc::new(spawner()),
            pool: SessionPool::default(),
        }
    }

    /// Returns a pool whose owners have user ids of their own, where the host is root.
    pub(super) fn with_owners(uids: OwnerUids) -> Self {
        Self {
            spawner: Arc::new(spawner().with_owners(uids)),
            pool: SessionPool::default(),
        }
    }

    /// Returns a pool on a host without inotify.
    pub(super) fn without_events() -> Self {
        Self {
            spawner: Arc::new(spawner()),
            pool: SessionPool::without_events(),
        }
    }

    /// Notes the owner of a guest.
    pub(super) fn open(&self, guest: Scope, owner: Owner<'_>) {
        let owners = self.spawner.owners().expect("the pool has them");
        owners.open(guest, owner);
    }

    pub(super) fn has_events(&self) -> bool {
        self.pool.has_events()
    }

    pub(super) fn launch(&self, plan: &Plan) -> Result<SessionChild, LaunchError> {
        self.pool.launch(&self.spawner, GUEST, plan, &null())
    }

    /// Runs `/bin/true` in the profile `number` to its end, and returns the session that it used.
    fn use_session(&self, number: u64) -> Arc<Session> {
        let plan = confined(plan("/bin/true", &[]), number);
        let child = self.launch(&plan).expect("it starts");
        assert_eq!(wait(&child), Ok(Exit::Code(0)));
        self.find(&plan).expect("its session")
    }

    /// Runs `plan` to its end, and returns its output.
    pub(super) fn output(&self, plan: &Plan) -> String {
        run_with(|stdio| self.pool.launch(&self.spawner, GUEST, plan, &stdio)).0
    }

    pub(super) fn find(&self, plan: &Plan) -> Option<Arc<Session>> {
        self.pool.find(GUEST, &Profile::of(plan))
    }

    /// Runs `plan` for `guest` to its end, and returns its output.
    pub(super) fn output_of(&self, guest: Scope, plan: &Plan) -> String {
        run_with(|stdio| self.pool.launch(&self.spawner, guest, plan, &stdio)).0
    }

    /// Returns the session of `guest`.
    pub(super) fn session_of(&self, guest: Scope) -> Arc<Session> {
        let mut sessions = self.pool.sessions(guest);
        sessions.pop().expect("it has one")
    }

    pub(super) fn end_idle(&self) {
        self.pool.end_idle();
    }

    pub(super) fn watch_count(&self, session: &Arc<Session>) -> usize {
        self.pool.watch_count(session)
    }

    pub(super) fn spares(&self) -> Vec<Arc<Session>> {
        self.pool.spares()
    }

    pub(super) fn sessions(&self) -> Vec<Arc<Session>> {
        self.pool.sessions(GUEST)
    }

    pub(super) fn holds(&self, session: &Arc<Session>) -> bool {
        let all = self.sessions();
        all.iter().any(|other| Arc::ptr_eq(other, session))
    }
}

/// Returns `plan` in the profile `number`: each has a `/tmp` of its own size.
fn confined(mut plan: Plan, number: u64) -> Plan {
    plan.confinement = profile().confinement;
    plan.limits.tmpfs_bytes = (16 + number) * 1024 * 1024;
    plan
}

/// Kills a process of a session, and waits until it has ended. Pid 1 ends once no child is left.
fn kill(pid: Pid) {
    kill_process(pid, Signal::KILL).expect("it runs");
}

fn await_end_of(session: &Session) {
    while session.is_alive() {
        std::thread::yield_now();
    }
}

#[test]
fn children_of_one_profile_share_a_session_and_other_profiles_do_not() {
    let pool = Pool::new();
    let first = pool.use_session(0);
    assert!(Arc::ptr_eq(&first, &pool.use_session(0)));
    assert!(!Arc::ptr_eq(&first, &pool.use_session(1)));
    assert_eq!(pool.sessions().len(), 2);
}

#[test]
fn a_session_without_its_server_or_its_pid_1_is_not_found_again() {
    for process in [0, 1] {
        let pool = Pool::new();
        let dead = pool.use_session(0);
        kill(processes(&dead)[process]);
        await_end_of(&dead);
        let plan = confined(plan("/bin/true", &[]), 0);
        assert!(pool.find(&plan).is_none(), "process {process}");
        assert!(pool.sessions().is_empty(), "process {process}");
        assert!(!Arc::ptr_eq(&dead, &pool.use_session(0)));
    }
}

#[test]
fn a_session_that_does_not_reply_in_time_is_not_found_again() {
    let pool = Pool::new();
    let stopped = pool.use_session(0);
    stopped.set_reply_timeout(Duration::from_millis(50));
    kill_process(stopped.server(), Signal::STOP).expect("it runs");
    let plan = confined(plan("/bin/true", &[]), 0);
    let error = pool.launch(&plan).expect_err("no reply");
    assert_eq!(
        (error.stage, error.source.kind()),
        (Stage::Reply, ErrorKind::TimedOut)
    );
    assert!(pool.sessions().is_empty());
    // A late reply is discarded, and the next child gets another session.
    assert!(!Arc::ptr_eq(&stopped, &pool.use_session(0)));
}

/// Its children have servers of their own, and run on.
#[test]
fn a_session_whose_first_server_does_not_reply_is_replaced_for_the_next_child() {
    let pool = Pool::new();
    let (stdin, mut writer) = std::io::pipe().expect("a pipe");
    let plan = confined(script("read line; exit 3"), 0);
    let stdio = ChildStdio {
        stdin: Some(stdin.into()),
        ..null()
    };
    let child = pool.pool.launch(&pool.spawner, GUEST, &plan, &stdio);
    let child = child.expect("it starts");
    drop(stdio);
    let stopped = pool.find(&plan).expect("its session");
    stopped.servers.set_start_time(Duration::from_millis(50));
    kill_process(stopped.first_server(), Signal::STOP).expect("it runs");
    let next = pool.use_session(0);
    assert!(!Arc::ptr_eq(&stopped, &next));
    assert!(!pool.holds(&stopped));
    std::io::Write::write_all(&mut writer, b"\n").expect("it is read");
    assert_eq!(wait(&child), Ok(Exit::Code(3)));
    let server = pidfd(stopped.first_server());
    drop((child, stopped));
    await_end(server.as_fd());
}

#[test]
fn a_denied_path_that_appears_is_masked_from_the_next_child() {
    let folder = folder();
    let late = folder.path().join("late");
    let mut read = rules().read;
    read.push(FsRoot::from(folder.path()));
    let confinement = Arc::new(Confinement {
        fs: FsRules {
            read,
            deny: vec![late.clone().into()],
            ..FsRules::default()
        },
        ..Confinement::default()
    });
    let mut list = script(&format!("cat {} 2>/dev/null; echo end", late.display()));
    list.confinement = confinement;
    let pool = Pool::new();
    let first_output = pool.output(&list);
    let first = pool.find(&list).expect("its session");
    assert_eq!(first_output, "end\n");
    fs::write(&late, "secret").expect("room");
    fs::set_permissions(&late, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("ours");
    // The present session does not mask it, and takes no further child.
    assert!(!first.is_usable());
    for _ in 0..2 {
        assert_eq!(pool.output(&list), "end\n");
        let second = pool.find(&list).expect("its session");
        assert!(!Arc::ptr_eq(&first, &second));
        assert_eq!(pool.sessions().len(), 1);
    }
}

#[test]
fn a_spawn_leaves_the_sessions_of_other_profiles_alone() {
    let pool = Pool::new();
    let (dead, used) = (pool.use_session(0), pool.use_session(1));
    kill(dead.first_server());
    await_end_of(&dead);
    assert!(Arc::ptr_eq(&used, &pool.use_session(1)));
    assert!(pool.holds(&dead), "it is checked when its profile is used");
    assert!(!Arc::ptr_eq(&dead, &pool.use_session(0)));
    assert!(!pool.holds(&dead));
    assert_eq!(pool.sessions().len(), 2);
}

#[test]
fn only_live_sessions_count_against_the_limit() {
    let pool = Pool::new();
    let sleeper = |number| {
        let plan = confined(script("exec sleep 1000"), number);
        pool.launch(&plan)
    };
    let count = u64::try_from(MAX_SESSIONS).expect("small");
    let _running: Vec<_> = (0..count)
        .map(|number| sleeper(number).expect("it starts"))
        .collect();
    let error = sleeper(count).expect_err("all sessions have a child");
    assert_eq!(error.shortage(), Some(Shortage::Sessions), "{error}");
    // A session whose server is dead still has its child, and cannot start another.
    let dead = pool.sessions().swap_remove(3);
    kill(dead.first_server());
    await_end_of(&dead);
    sleeper(count).expect("the dead session made room");
    assert!(!pool.holds(&dead));
    assert_eq!(pool.sessions().len(), MAX_SESSIONS);
}

#[test]
fn the_oldest_session_without_a_child_makes_room_when_all_are_alive() {
    let pool = Pool::new();
    let count = u64::try_from(MAX_SESSIONS).expect("small");
    let busy = confined(script("exec sleep 1000"), 0);
    let _child = pool.launch(&busy).expect("it starts");
    let oldest_idle = pool.use_session(1);
    for number in 2..count {
        pool.use_session(number);
    }
    let kept = pool.sessions();
    let oldest_idle = {
        let weak = Arc::downgrade(&oldest_idle);
        drop((oldest_idle, kept));
        weak
    };
    pool.use_session(count);
    assert!(oldest_idle.upgrade().is_none());
    assert!(pool.find(&busy).is_some());
    assert_eq!(pool.sessions().len(), MAX_SESSIONS);
}

/// Two first launches at once start two sessions, of which one is used.
#[test]
fn a_session_that_another_thread_has_started_is_checked_before_it_is_used() {
    let folder = folder();
    let denied = folder.path().join("denied");
    fs::write(&denied, "first").expect("room");
    let mut read = rules().read;
    read.push(FsRoot::from(folder.path()));
    let mut list = script("true");
    list.confinement = Arc::new(Confinement {
        fs: FsRules {
            read,
            deny: vec![denied.clone().into()],
            ..FsRules::default()
        },
        ..Confinement::default()
    });
    let pool = Pool::new();
    let profile = Profile::of(&list);
    let start = || Arc::new(Session::start(&pool.spawner, &profile).expect("it starts"));
    let (theirs, ours) = (start(), start());
    let insert = |session: &Arc<Session>| pool.pool.insert(GUEST, &profile, Arc::clone(session));
    insert(&theirs);
    fs::write(folder.path().join("new"), "secret").expect("room");
    fs::rename(folder.path().join("new"), &denied).expect("room");
    insert(&ours);
    assert_eq!(
        wait(&pool.launch(&list).expect("it starts")),
        Ok(Exit::Code(0))
    );
    assert!(!pool.holds(&theirs) && !pool.holds(&ours));
}

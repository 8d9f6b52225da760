//! A thousand piped children at once, and the end of the host's descriptors.

use capspawn_native::{Child, Command, PipeReader, Quota, Registry, SpawnError, Stdio};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::*;

const CHILDREN: usize = 1000;

fn descriptors() -> usize {
    let listed = std::fs::read_dir("/proc/self/fd").expect("proc is there");
    listed.count()
}

fn limit_descriptors(soft: usize) {
    let hard = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: Some(soft as u64),
        maximum: hard,
    };
    setrlimit(Resource::Nofile, limit).expect("below the hard limit");
}

#[test]
fn a_thousand_piped_children_run_at_once_and_the_next_is_over_capacity() {
    if !is_alone("capacity::a_thousand_piped_children_run_at_once_and_the_next_is_over_capacity") {
        return;
    }
    let registry = Registry::builder().max_entries(10_000).build();
    let registry = registry.expect("a thread can be had");
    let guest = registry.guest(grant("test", "max-live = 10000\nmax-total = 20000"), "");
    let echo = Command {
        stdout: Stdio::Piped,
        ..sh("echo here; exec sleep 600")
    };
    let start = || -> Result<(Child, PipeReader), SpawnError> {
        let child = guest.spawn(&echo)?;
        let stdout = child.take_stdout().expect("registered").expect("once");
        Ok((child, stdout))
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .expect("a runtime");
    let _entered = runtime.enter();

    let mut children = vec![start().expect("there is room")];
    let first = descriptors();
    children.extend((0..9).map(|_| start().expect("there is room")));
    eventually("the supervisors", || descriptors() >= first + 9);
    let each = (descriptors() - first).div_ceil(9);
    limit_descriptors(descriptors() + CHILDREN * each);

    // Beyond a thousand, until the host has nothing left.
    let refused = loop {
        match start() {
            Ok(started) => children.push(started),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(refused, SpawnError::Quota(Quota::HostCapacity)),
        "{refused:?}"
    );
    assert!(children.len() >= CHILDREN, "{} of them", children.len());

    // Each of those that started runs, and its output comes.
    for (child, stdout) in &children {
        let line = runtime.block_on(stdout.read_vec(64));
        assert_eq!(line.expect("the pipe is open"), b"here\n");
        assert_eq!(child.poll(), None);
    }
    assert_eq!(registry.len(), children.len());

    // What is given back can be had again.
    children.truncate(CHILDREN - 10);
    eventually("free descriptors", || start().is_ok());
    drop(children);
    eventually("an empty registry", || registry.is_empty());
}

//! A thousand piped children at once, and what happens when the host has no
//! descriptor left.

use capspawn_native::{Child, Command, PipeReader, Registry, Shortage, SpawnError, Stdio};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::*;

const CHILDREN: usize = 1000;

fn limit_descriptors(soft: usize) {
    let hard = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: Some(soft as u64),
        maximum: hard,
    };
    setrlimit(Resource::Nofile, limit).expect("it is below the hard limit");
}

#[test]
fn a_thousand_piped_children_run_at_once_and_the_next_is_over_capacity() {
    if !is_alone(test_name!()) {
        return;
    }
    let registry = build(Registry::builder().max_entries(10_000));
    let quotas = "max-live = 10000\nmax-total = 20000\nmax-held-descriptors = 20000";
    let guest = registry.guest(grant("test", quotas), "");
    let echo = Command {
        stdout: Stdio::Piped,
        ..sh("echo here; exec sleep 600")
    };
    let start = || -> Result<(Child, PipeReader), SpawnError> {
        let child = guest.spawn(&echo)?;
        let stdout = child
            .take_stdout()
            .expect("the runtime takes the pipe")
            .expect("the pipe was not taken before");
        Ok((child, stdout))
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .expect("the runtime starts");
    let _entered = runtime.enter();

    let mut children = vec![start().expect("the registry has room")];
    let first = descriptors();
    children.extend((0..9).map(|_| start().expect("the registry has room")));
    eventually("the supervisors", || descriptors() >= first + 9);
    let each = (descriptors() - first).div_ceil(9);
    limit_descriptors(descriptors() + CHILDREN * each);

    // More than a thousand, until no descriptor is left.
    let refused = loop {
        match start() {
            Ok(started) => children.push(started),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(refused, SpawnError::Shortage(Shortage::Descriptors)),
        "{refused:?}"
    );
    assert!(children.len() >= CHILDREN, "only {}", children.len());

    // Each child that started runs, and its output arrives.
    for (child, stdout) in &children {
        let line = runtime.block_on(stdout.read_vec(64));
        assert_eq!(line.expect("the pipe is open"), b"here\n");
        assert_eq!(child.poll(), None);
    }
    assert_eq!(registry.len(), children.len());

    // Descriptors that are closed can be used again.
    children.truncate(CHILDREN - 10);
    eventually("free descriptors", || start().is_ok());
    drop(children);
    eventually("an empty registry", || registry.is_empty());
}

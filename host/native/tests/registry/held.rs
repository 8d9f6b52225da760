//! What the host holds for an owner: each attack that made it hold without bound, now within the
//! owner's share, beside another owner that notices nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use capspawn_native::{
    Answer, Child, Command, ExitStatus, Guest, Holdings, PipeReader, Quota, Registry, Shortage,
    SpawnError, Stdin, Stdio,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::scripted_approver::ScriptedApprover;
use crate::support::*;

const MIB: usize = 1 << 20;

#[track_caller]
fn refusal(result: Result<Child, SpawnError>) -> Quota {
    match result {
        Err(SpawnError::Quota(quota)) => quota,
        other => panic!("not a quota: {other:?}"),
    }
}

/// Runs a child of another owner, which finds what it finds alone.
#[track_caller]
fn another_is_served(registry: &Registry) {
    let guest = registry.guest(grant("other", ""), "");
    let child = guest.spawn(&sh("head -c 500000 /dev/zero"));
    let (status, out, _) = output(&child.expect("the host has room beside a share"));
    assert_eq!(status, ExitStatus::Exited(0));
    assert_eq!((out.data.len(), out.dropped), (500_000, 0));
}

#[track_caller]
fn nothing_is_left(registry: &Registry) {
    eventually("a host that holds nothing", || {
        registry.host_holdings().held == Holdings::default()
    });
}

/// Twenty running children took all captured bytes of the host.
#[test]
fn output_of_running_children_stays_within_the_owners_share() {
    let registry = build(Registry::builder().max_held_bytes(8 * MIB));
    let guest = registry.guest(grant("test", "max-held-memory = \"2MiB\""), "");
    let write = Command {
        stdin: Stdin::Piped,
        ..sh("read line; head -c 900000 /dev/zero; exec sleep 600")
    };
    let spawn = |_| guest.spawn(&write).expect("its captures share the share");
    let children: Vec<_> = (0..20).map(spawn).collect();
    for child in &children {
        drop(child.take_stdin().expect("the runtime takes the pipe"));
    }
    let seen = |child: &Child| {
        let (stdout, _) = child.captured(0, 0);
        stdout.data.len() as u64 + stdout.dropped
    };
    eventually("all output", || {
        children.iter().all(|it| seen(it) == 900_000)
    });
    let kept: usize = children.iter().map(|child| stdout(child).len()).sum();
    assert!(kept > MIB && kept <= 2 * MIB, "{kept}");
    assert!(registry.holdings("test", "").bytes <= 2 * MIB);
    let full = guest.spawn(&sh("true"));
    assert_eq!(
        refusal(full),
        Quota::HeldMemory,
        "no ended child makes room"
    );
    another_is_served(&registry);
    drop(children);
    nothing_is_left(&registry);
}

/// A thousand ended children that nobody looked at emptied the output of others.
#[test]
fn ended_children_that_nobody_looks_at_stay_within_the_owners_share() {
    let registry = build(Registry::builder().max_entries(64));
    let guest = registry.guest(grant("test", "max-held-children = 10"), "");
    let other = registry.guest(grant("other", ""), "");
    let before = other.spawn(&sh("echo before")).expect("the host has room");
    assert_eq!(output(&before).1.data, b"before\n");
    let mut children = Vec::new();
    for _ in 0..50 {
        let child = guest.spawn(&sh("echo x")).expect("its oldest makes room");
        let mut waiter = child.waiter();
        bare_runtime().block_on(waiter.completed());
        children.push(child);
    }
    assert_eq!(registry.holdings("test", "").children, 10);
    let kept = children.iter().filter(|child| stdout(child) == b"x\n");
    assert_eq!(kept.count(), 10, "the newest");
    assert_eq!(stdout(&before), b"before\n");
    let receipts = registry.receipts("test", "");
    assert_eq!(receipts.len(), 40);
    another_is_served(&registry);
}

fn piped(script: &str) -> Command {
    Command {
        stdin: Stdin::Piped,
        stdout: Stdio::Piped,
        stderr: Stdio::Piped,
        ..sh(script)
    }
}

/// Each ended child kept three pipes that nobody took.
#[test]
fn pipes_that_nobody_takes_stay_within_the_owners_share() {
    if !is_alone(test_name!()) {
        return;
    }
    let registry = registry();
    let guest = registry.guest(grant("test", "max-held-descriptors = 20"), "");
    ended(&guest.spawn(&sh("true")).expect("there is room"));
    eventually("an empty registry", || registry.is_empty());
    let before = descriptors();
    let mut children = Vec::new();
    for _ in 0..100 {
        let child = guest.spawn(&piped("true")).expect("its oldest makes room");
        bare_runtime().block_on(child.waiter().completed());
        children.push(child);
    }
    assert!(registry.holdings("test", "").descriptors <= 20);
    // The launcher keeps the files of up to 16 cgroups open, six each.
    eventually("closed descriptors", || {
        descriptors() <= before + 20 + 16 * 6
    });
    another_is_served(&registry);
    drop(children);
    nothing_is_left(&registry);
}

/// One guest held 1016 descriptors, and every other guest was refused.
#[test]
fn streams_that_outlive_their_child_stay_within_the_owners_share() {
    let registry = build(Registry::builder().max_held_descriptors(60));
    let guest = registry.guest(grant("test", "max-held-descriptors = 20"), "");
    let stream = |guest: &Guest| -> Result<PipeReader, SpawnError> {
        let command = Command {
            stderr: Stdio::Null,
            stdin: Stdin::Null,
            ..piped("echo here")
        };
        let child = guest.spawn(&command)?;
        let reader = child.take_stdout().expect("the runtime takes it");
        bare_runtime().block_on(child.waiter().completed());
        Ok(reader.expect("it was not taken before"))
    };
    let mut readers = Vec::new();
    let refused = loop {
        match stream(&guest) {
            Ok(reader) => readers.push(reader),
            Err(SpawnError::Quota(quota)) => break quota,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(refused, Quota::HeldDescriptors);
    assert!(refused.setting().contains("max-held-descriptors"));
    assert!((10..=20).contains(&readers.len()), "{}", readers.len());
    assert_eq!(registry.holdings("test", "").descriptors, readers.len());
    // A new guest of the same owner is the same owner.
    drop(guest);
    let guest = registry.guest(grant("test", "max-held-descriptors = 20"), "");
    assert!(stream(&guest).is_err(), "the streams are open still");
    another_is_served(&registry);
    readers.truncate(1);
    readers.push(stream(&guest).expect("closed streams count no more"));
    for reader in &readers {
        assert_eq!(reader.try_read_vec(64).expect("it is open"), b"here\n");
    }
    drop(readers);
    nothing_is_left(&registry);
}

/// 64 children that read nothing held 1 GiB.
#[test]
fn standard_input_that_no_child_reads_stays_within_the_owners_share() {
    let registry = registry();
    let guest = registry.guest(grant("test", "max-held-memory = \"40MiB\""), "");
    let send = || {
        guest.spawn(&Command {
            stdin: Stdin::Bytes(vec![0; 16 * MIB].into()),
            stdout: Stdio::Null,
            stderr: Stdio::Null,
            ..sh("read line; exec sleep 600")
        })
    };
    let held = [(); 2].map(|()| send().expect("there is room"));
    let refused = refusal(send());
    assert_eq!(refused, Quota::HeldMemory);
    assert!(refused.setting().contains("max-held-memory"));
    assert!(registry.holdings("test", "").bytes >= 32 * MIB);
    another_is_served(&registry);
    drop(held);
    eventually("the memory of the input", || {
        registry.holdings("test", "").bytes == 0
    });
    let read = Command {
        stdin: Stdin::Bytes(vec![0; 16 * MIB].into()),
        ..sh("cat >/dev/null; echo read")
    };
    let children = [(); 4].map(|()| {
        let child = guest.spawn(&read).expect("what was read is given back");
        assert_eq!(output(&child).1.data, b"read\n");
        child
    });
    drop(children);
    nothing_is_left(&registry);
}

/// A hundred thousand arguments took 6 MiB for each child that was kept.
#[test]
fn arguments_take_what_their_text_takes_and_stay_within_the_owners_share() {
    let registry = registry();
    let toml = r#"
        version = 1
        [defaults]
        sandbox = "none"
        [component.test]
        max-held-memory = "2MiB"
        [[component.test.command]]
        name = "true"
        program = "/bin/true"
        args = [{ rest = true }]
    "#;
    let guest = registry.guest(load(toml).component("test"), "");
    let mut children = Vec::new();
    for _ in 0..20 {
        let command = Command::new("true").args(vec!["x"; 100_000]);
        let child = guest.spawn(&command).expect("its oldest makes room");
        bare_runtime().block_on(child.waiter().completed());
        children.push(child);
    }
    let holdings = registry.holdings("test", "");
    assert!(holdings.bytes <= 2 * MIB, "{holdings:?}");
    assert_eq!(holdings.children, 4, "500 kB each");
    let last = children.last().expect("some");
    assert_eq!(last.info().args.len(), 100_000);
    assert_eq!(children[0].info().args.len(), 0, "it made room");
    assert_eq!(children[0].poll(), Some(ExitStatus::Exited(0)));
    another_is_served(&registry);
}

/// glibc kept 54 MiB of 60.
#[cfg(target_env = "gnu")]
#[test]
fn after_a_release_the_memory_goes_back_to_the_machine() {
    if !is_alone(test_name!()) {
        return;
    }
    let resident = || {
        let text = std::fs::read_to_string("/proc/self/statm").expect("/proc is mounted");
        let pages = text
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse::<usize>().ok());
        pages.expect("the second number") * rustix::param::page_size()
    };
    let registry = registry();
    let guest = registry.guest(grant("test", ""), "");
    let run = |count: usize| -> Vec<_> {
        let out = sh("head -c 50000 /dev/zero");
        let children = (0..count).map(|_| guest.spawn(&out).expect("there is room"));
        children.inspect(|child| drop(output(child))).collect()
    };
    drop(run(10));
    eventually("an empty registry", || registry.is_empty());
    let before = resident();
    let held = run(250);
    assert!(resident() >= before + 8 * MIB, "12 MiB are held");
    drop(held);
    eventually("the memory of before", || resident() <= before + 2 * MIB);
}

fn poll<R>(request: Pin<&mut impl Future<Output = R>>) -> Poll<R> {
    request.poll(&mut Context::from_waker(Waker::noop()))
}

/// Requests that wait for an approver hold no slot, and were 1 GiB.
#[test]
fn requests_that_wait_for_approval_stay_within_the_owners_share() {
    let approver = ScriptedApprover::slow(Answer::AllowOnce, 0);
    let registry = build(Registry::builder().approver(approver.clone()));
    let toml = r#"
        version = 1
        [defaults]
        sandbox = "none"
        [component.test]
        max-held-memory = "40MiB"
        [[component.test.command]]
        name = "cat"
        program = "/bin/cat"
        decision = "ask"
    "#;
    let guest = registry.guest(load(toml).component("test"), "");
    let command = Command {
        stdin: Stdin::Bytes(vec![0; 16 * MIB].into()),
        ..Command::new("cat")
    };
    let waiting = [1, 2].map(|number| {
        let mut request = Box::pin(guest.spawn_with_approval(&command));
        // It is decided on another thread first.
        eventually("a request that waits for the approver", || {
            assert!(
                poll(request.as_mut()).is_pending(),
                "there is no answer yet"
            );
            registry.holdings("test", "").bytes >= number * 16 * MIB
        });
        request
    });
    let mut third = Box::pin(guest.spawn_with_approval(&command));
    let mut refused = None;
    eventually("a refusal", || match poll(third.as_mut()) {
        Poll::Ready(result) => {
            refused = Some(result);
            true
        }
        Poll::Pending => false,
    });
    let refused = refused.expect("it was ready");
    assert_eq!(refusal(refused), Quota::HeldMemory);
    drop(waiting);
    nothing_is_left(&registry);
}

/// The process has no descriptor left, whatever the shares are: the owner's own oldest pipes go.
#[test]
fn a_host_out_of_descriptors_closes_the_spawning_owners_oldest_pipes_and_no_others() {
    if !is_alone(test_name!()) {
        return;
    }
    let registry = registry();
    let [guest, other, third] =
        ["test", "other", "third"].map(|name| registry.guest(grant(name, ""), ""));
    let end = |guest: &Guest| {
        let child = guest.spawn(&piped("echo here")).expect("there is room");
        bare_runtime().block_on(child.waiter().completed());
        child
    };
    let own: Vec<_> = (0..20).map(|_| end(&guest)).collect();
    let others: Vec<_> = (0..20).map(|_| end(&other)).collect();
    let whole = getrlimit(Resource::Nofile);
    let low = Rlimit {
        current: Some(descriptors() as u64),
        ..whole
    };
    setrlimit(Resource::Nofile, low).expect("lower is possible");
    let refused = third.spawn(&sh("true"));
    let spawned = guest.spawn(&sh("exit 4"));
    setrlimit(Resource::Nofile, whole).expect("the hard limit stayed");
    // It has nothing to lose.
    let is_short = matches!(refused, Err(SpawnError::Shortage(Shortage::Descriptors)));
    assert!(is_short, "{refused:?}");
    assert_eq!(
        ended(&spawned.expect("its own made room")),
        ExitStatus::Exited(4)
    );
    let taken = |child: &Child| child.take_stdout().expect("it can be taken").is_some();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build();
    let runtime = runtime.expect("the runtime starts");
    let _entered = runtime.enter();
    assert!(!taken(&own[0]), "the oldest");
    assert!(taken(&own[19]), "no more than was needed");
    assert!(others.iter().all(taken));
}

/// The share of a component is the operator's: a grant that narrows another narrows it too.
#[test]
fn the_stricter_of_two_grants_sets_the_share() {
    let [wide, narrow] = ["max-held-memory = \"1GiB\"", "max-held-memory = \"1KiB\""]
        .map(|quotas| grant("test", quotas));
    let both = Arc::new(Arc::unwrap_or_clone(wide)).intersect(&narrow);
    assert_eq!(both.quotas().max_held_bytes, 1024);
    let default = grant("test", "max-live = 1000");
    assert_eq!(default.quotas().max_held_children, 2000);
}

//! The approver and the veto: which requests they see, when, and what their
//! answers allow.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use capspawn_native::{
    Answer, Approver, Child, Command, DeniedItem, EventKind, ExitStatus, Grant, Guest, Question,
    Quota, Registry, RegistryBuilder, SpawnError, Stdin,
};

use crate::scripted_approver::ScriptedApprover;
use crate::support::{TEST_TIMEOUT, ended, load};

/// A grant under which `echo` needs approval and `free` does not.
fn grant(extra: &str) -> Arc<Grant> {
    let toml = format!(
        r#"
        version = 1
        [defaults]
        sandbox = "none"
        [component.test]
        {extra}
        [[component.test.command]]
        name = "echo"
        program = "/bin/echo"
        args = ["*"]
        env = {{ allow = ["TOKEN"] }}
        decision = "ask"
        [[component.test.command]]
        name = "free"
        program = "/bin/echo"
        args = ["*"]
        "#
    );
    load(&toml).component("test")
}

type Events = Arc<Mutex<Vec<EventKind>>>;

fn build(builder: RegistryBuilder) -> (Registry, Events) {
    let events = Events::default();
    let seen = Arc::clone(&events);
    let registry = builder
        .on_event(move |event| {
            seen.lock()
                .expect("no test panics here")
                .push(event.kind.clone());
        })
        .build()
        .expect("the registry starts");
    (registry, events)
}

fn guest_of(approver: &Arc<ScriptedApprover>, extra: &str) -> (Guest, Events) {
    let (registry, events) = build(Registry::builder().approver(approver.clone()));
    (registry.guest(grant(extra), "tenant"), events)
}

fn echo(word: &str) -> Command {
    Command::new("echo").arg(word)
}

fn free(word: &str) -> Command {
    Command::new("free").arg(word)
}

/// Asserts that the request is denied for its program; returns the reason in the
/// last event.
fn denied(result: Result<Child, SpawnError>, events: &Events) -> String {
    let Err(SpawnError::Denied(denial)) = result else {
        panic!("not denied: {result:?}");
    };
    assert_eq!(denial.item, DeniedItem::Program);
    match events.lock().expect("no test panics here").last() {
        Some(EventKind::Denied { item, reason, .. }) => {
            assert_eq!(
                (item.as_str(), reason),
                ("program", &denial.reason),
                "the event has the same reason as the error"
            );
            reason.clone()
        }
        other => panic!("not the event of a denial: {other:?}"),
    }
}

/// Waits until `condition` is true, and lets other tasks run meanwhile.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "waited {TEST_TIMEOUT:?} for {what}"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_request_that_was_allowed_once_needs_approval_again() {
    let approver = ScriptedApprover::new(Answer::AllowOnce);
    let (guest, _) = guest_of(&approver, "");
    let request = Command {
        env: vec![("TOKEN".into(), "secret".into())],
        ..echo("a")
    };
    for _ in 0..2 {
        let child = guest
            .spawn_with_approval(&request)
            .await
            .expect("the request is approved");
        let (status, stdout, _) = child.output().await;
        assert_eq!(
            (status, stdout.data),
            (ExitStatus::Exited(0), b"a\n".to_vec())
        );
    }
    let questions = approver.questions();
    assert_eq!(questions.len(), 2);
    let question = &questions[0];
    assert_eq!(
        (&*question.component, &*question.tenant),
        ("test", "tenant")
    );
    assert_eq!(question.command, "echo");
    assert_eq!(question.argv[1..], ["a"]);
    assert!(question.program.ends_with("echo") && question.cwd == Path::new("/"));
    assert_eq!(question.env_names, ["TOKEN"]);
    assert!(!format!("{question:?}").contains("secret"));
}

/// What an approval for the guest covers is what its question showed.
#[tokio::test]
async fn another_variable_or_other_standard_input_needs_another_approval() {
    let approver = ScriptedApprover::new(Answer::AllowForThisGuest);
    let (guest, _) = guest_of(&approver, "");
    let with = |env: &[(&str, &str)], stdin: Stdin| Command {
        env: env
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
        stdin,
        ..echo("a")
    };
    let bytes = |text: &'static str| Stdin::Bytes(text.as_bytes().into());
    // Each differs from the one before in what the question shows.
    let requests = [
        with(&[], Stdin::Null),
        with(&[("TOKEN", "1")], Stdin::Null),
        with(&[("TOKEN", "1"), ("TOKEN", "1")], Stdin::Null),
        with(&[], bytes("")),
        with(&[], bytes("print(1)")),
        with(&[], bytes("print(2)")),
        with(&[], Stdin::Piped),
        with(&[("TOKEN", "1")], Stdin::Piped),
    ];
    for (number, request) in requests.iter().enumerate() {
        for _ in 0..2 {
            guest
                .spawn_with_approval(request)
                .await
                .expect("it is approved");
            assert_eq!(approver.questions().len(), number + 1, "{request:?}");
        }
    }
    let again = with(&[("TOKEN", "2")], Stdin::Null);
    guest
        .spawn_with_approval(&again)
        .await
        .expect("it is approved");
    assert_eq!(
        approver.questions().len(),
        requests.len(),
        "no question shows a value"
    );
    let questions = approver.questions();
    assert!(questions[6].stdin_piped && !questions[5].stdin_piped);
    assert_eq!((questions[0].stdin_bytes, questions[4].stdin_bytes), (0, 8));
}

#[tokio::test]
async fn a_request_that_was_allowed_for_the_guest_needs_no_second_approval() {
    let approver = ScriptedApprover::new(Answer::AllowForThisGuest);
    let (guest, events) = guest_of(&approver, "");
    for word in ["a", "a", "b", "a", "b"] {
        let child = guest.spawn_with_approval(&echo(word)).await;
        ended(&child.expect("the request is approved"));
    }
    let words: Vec<_> = approver
        .questions()
        .iter()
        .map(|it| it.argv[1].clone())
        .collect();
    assert_eq!(words, ["a", "b"], "other arguments need another approval");
    denied(guest.spawn(&echo("a")), &events);

    let other = guest.grant().clone();
    let (registry, _) = build(Registry::builder().approver(approver.clone()));
    let other = registry.guest(other, "tenant");
    ended(
        &other
            .spawn_with_approval(&echo("a"))
            .await
            .expect("the request is approved"),
    );
    assert_eq!(
        approver.questions().len(),
        3,
        "another guest needs its own approval"
    );
}

#[tokio::test]
async fn the_reason_of_a_refusal_is_in_the_event() {
    let approver = ScriptedApprover::new(Answer::Deny {
        reason: "not on a Friday".into(),
    });
    let (guest, events) = guest_of(&approver, "max-total = 1");
    let reason = denied(guest.spawn_with_approval(&echo("a")).await, &events);
    assert!(reason.contains("not on a Friday"), "{reason}");
    ended(
        &guest
            .spawn_with_approval(&free("a"))
            .await
            .expect("the total was not charged"),
    );
    assert_eq!(
        approver.questions().len(),
        1,
        "a command that the grant allows needs no approval"
    );
}

#[tokio::test]
async fn a_request_that_the_grant_refuses_is_not_shown_to_the_approver() {
    let approver = ScriptedApprover::new(Answer::AllowForThisGuest);
    let (guest, _) = guest_of(&approver, "");
    let result = guest.spawn_with_approval(&echo("-a")).await;
    assert!(
        matches!(&result, Err(SpawnError::Denied(denial)) if denial.item == DeniedItem::Argument)
    );
    assert!(approver.questions().is_empty());
}

#[tokio::test]
async fn no_answer_within_the_timeout_is_a_denial() {
    let approver = ScriptedApprover::slow(Answer::AllowOnce, 0);
    let bound = Duration::from_millis(20);
    let builder = Registry::builder()
        .approver(approver.clone())
        .approval_timeout(bound);
    let (registry, events) = build(builder);
    let guest = registry.guest(grant(""), "");
    let reason = denied(guest.spawn_with_approval(&echo("a")).await, &events);
    assert!(reason.contains("no answer came within 20ms"), "{reason}");
    assert_eq!(
        (approver.questions().len(), approver.open()),
        (1, 0),
        "the question is closed"
    );
}

#[tokio::test]
async fn a_request_that_needs_approval_is_denied_without_an_approver() {
    let (registry, events) = build(Registry::builder());
    let guest = registry.guest(grant(""), "");
    let reason = denied(guest.spawn_with_approval(&echo("a")).await, &events);
    assert!(reason.contains("no approver"), "{reason}");
    ended(
        &guest
            .spawn_with_approval(&free("a"))
            .await
            .expect("the other command is allowed"),
    );
}

#[test]
fn a_blocking_spawn_cannot_wait_for_approval_and_is_denied() {
    let approver = ScriptedApprover::new(Answer::AllowOnce);
    let (guest, events) = guest_of(&approver, "");
    denied(guest.spawn(&echo("a")), &events);
    assert!(approver.questions().is_empty());
    ended(
        &guest
            .spawn(&free("a"))
            .expect("the other command is allowed"),
    );
}

#[tokio::test]
async fn a_panic_of_the_approver_is_a_denial() {
    struct Broken;
    impl Approver for Broken {
        fn ask<'a>(&'a self, _: &'a Question) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
            Box::pin(async { panic!("the test wants this panic") })
        }
    }
    let (registry, events) = build(Registry::builder().approver(Arc::new(Broken)));
    let guest = registry.guest(grant(""), "");
    for _ in 0..2 {
        let reason = denied(guest.spawn_with_approval(&echo("a")).await, &events);
        assert!(reason.contains("panicked"), "{reason}");
    }
}

#[tokio::test]
async fn a_spawn_that_is_cancelled_while_it_waits_for_approval_leaves_nothing() {
    let approver = ScriptedApprover::slow(Answer::AllowOnce, 0);
    let (guest, _) = guest_of(&approver, "max-live = 1\nmax-total = 1");
    let request = echo("a");
    let asking = guest.spawn_with_approval(&request);
    tokio::select! {
        _ = asking => panic!("there was no answer yet"),
        () = until("the question", || approver.open() == 1) => {}
    }
    assert_eq!(approver.open(), 0, "the question is closed");
    assert!(guest.live().is_empty());
    approver.answers.add_permits(1);
    let child = guest
        .spawn_with_approval(&request)
        .await
        .expect("the cancelled spawn holds neither turn, slot nor total");
    ended(&child);
}

#[tokio::test]
async fn no_slot_is_held_while_a_question_is_open() {
    let approver = ScriptedApprover::slow(Answer::AllowOnce, 0);
    let (guest, _) = guest_of(&approver, "max-live = 1\nrate = \"2/h\"");
    let request = echo("a");
    let meanwhile = async {
        until("the question", || approver.open() == 1).await;
        let child = guest.spawn(&free("b")).expect("the only slot is free");
        ended(&child);
        approver.answers.add_permits(1);
    };
    let (child, ()) = tokio::join!(guest.spawn_with_approval(&request), meanwhile);
    ended(&child.expect("the rate is charged once for the request"));
    let over = guest.spawn_with_approval(&request).await;
    assert!(matches!(over, Err(SpawnError::Quota(Quota::SpawnRate))));
    assert_eq!(approver.questions().len(), 1);
}

#[tokio::test]
async fn a_slot_that_was_taken_while_the_question_was_open_is_not_available() {
    let approver = ScriptedApprover::slow(Answer::AllowOnce, 0);
    let (registry, _) = build(Registry::builder().approver(approver.clone()));
    let toml = r#"
        version = 1
        [defaults]
        sandbox = "none"
        [component.test]
        max-live = 1
        [[component.test.command]]
        name = "sleep"
        program = "/bin/sleep"
        args = ["600"]
        [[component.test.command]]
        name = "echo"
        program = "/bin/echo"
        args = ["*"]
        decision = "ask"
    "#;
    let grants = load(toml);
    let guest = registry.guest(grants.component("test"), "");
    let request = echo("a");
    let meanwhile = async {
        until("the question", || approver.open() == 1).await;
        let sleeper = guest.spawn(&Command::new("sleep").arg("600"));
        approver.answers.add_permits(1);
        sleeper.expect("the only slot is free")
    };
    let (result, sleeper) = tokio::join!(guest.spawn_with_approval(&request), meanwhile);
    assert!(matches!(
        result,
        Err(SpawnError::Quota(Quota::LiveChildren))
    ));
    assert_eq!(sleeper.poll(), None, "a running child is not ended");
}

#[tokio::test]
async fn a_guest_has_one_question_open_at_a_time() {
    let approver = ScriptedApprover::slow(Answer::AllowForThisGuest, 0);
    let (guest, _) = guest_of(&approver, "");
    let [a, b] = ["a", "b"].map(echo);
    let watch = async {
        for number in 1..=2 {
            until("the question", || approver.questions().len() == number).await;
            for _ in 0..100 {
                tokio::task::yield_now().await;
                assert_eq!((approver.questions().len(), approver.open()), (number, 1));
            }
            approver.answers.add_permits(1);
        }
    };
    let (first, second, same, ()) = tokio::join!(
        guest.spawn_with_approval(&a),
        guest.spawn_with_approval(&b),
        guest.spawn_with_approval(&a),
        watch
    );
    for child in [first, second, same] {
        ended(&child.expect("the request is approved"));
    }
    assert_eq!(
        approver.questions().len(),
        2,
        "a request that was allowed meanwhile is not asked again"
    );
}

#[tokio::test]
async fn a_request_whose_directory_changes_while_the_approver_decides_does_not_run() {
    let folder = tempfile::tempdir().expect("/tmp is writable");
    let root = folder.path().canonicalize().expect("the folder exists");
    for name in ["one", "two"] {
        std::fs::create_dir(root.join(name)).expect("the name is new");
    }
    let link = root.join("link");
    std::os::unix::fs::symlink("one", &link).expect("the name is new");
    let approver = ScriptedApprover::slow(Answer::AllowForThisGuest, 0);
    let (registry, events) = build(Registry::builder().approver(approver.clone()));
    let extra = format!("cwd = {{ roots = [{root:?}] }}");
    let guest = registry.guest(grant(&extra), "");
    let request = Command {
        cwd: link.to_str().map(Into::into),
        ..echo("a")
    };
    let swap = async {
        until("the question", || approver.open() == 1).await;
        std::fs::remove_file(&link).expect("the link exists");
        std::os::unix::fs::symlink("two", &link).expect("the link was removed");
        approver.answers.add_permits(1);
    };
    let (result, ()) = tokio::join!(guest.spawn_with_approval(&request), swap);
    let reason = denied(result, &events);
    assert!(reason.contains("no longer what was approved"), "{reason}");
    approver.answers.add_permits(1);
    ended(
        &guest
            .spawn_with_approval(&request)
            .await
            .expect("the changed request is approved"),
    );
    let folders: Vec<_> = approver.questions().into_iter().map(|it| it.cwd).collect();
    assert_eq!(folders, [root.join("one"), root.join("two")]);
}

#[tokio::test]
async fn a_veto_denies_what_grant_and_approver_allow() {
    let approver = ScriptedApprover::new(Answer::AllowOnce);
    let builder = Registry::builder().approver(approver.clone());
    let (registry, events) =
        build(
            builder.veto(|question| match question.argv[1].to_str().expect("text") {
                "bad" => Err("it is bad".into()),
                "worse" => panic!("the test wants this panic"),
                _ => Ok(()),
            }),
        );
    let guest = registry.guest(grant("max-total = 2"), "");
    for request in [free("bad"), echo("bad")] {
        let reason = denied(guest.spawn_with_approval(&request).await, &events);
        assert_eq!(reason, "vetoed: it is bad");
    }
    let reason = denied(guest.spawn(&free("bad")), &events);
    assert_eq!(reason, "vetoed: it is bad");
    let reason = denied(guest.spawn(&free("worse")), &events);
    assert!(reason.contains("panicked"), "{reason}");
    for request in [free("good"), echo("good")] {
        let child = guest
            .spawn_with_approval(&request)
            .await
            .expect("the other command is allowed");
        assert_eq!(child.output().await.1.data, b"good\n");
    }
}

#[test]
fn a_spawn_with_approval_is_a_future_that_can_move_between_threads() {
    fn check<T: Send>(_: T) {}
    let (guest, _) = guest_of(&ScriptedApprover::new(Answer::AllowOnce), "");
    check(guest.spawn_with_approval(&echo("a")));
}

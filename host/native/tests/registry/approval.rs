//! The approver and the veto: what they are asked, when, and what their answer
//! is worth.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use capspawn_native::{
    Answer, Approver, Child, Command, DeniedItem, EventKind, ExitStatus, Grant, Grants, Guest,
    Question, Quota, Registry, RegistryBuilder, SpawnError,
};
use tokio::sync::Semaphore;

use crate::support::{PATIENCE, ended};

/// An approver that keeps what it was asked and answers when it is let.
struct Clerk {
    answer: Answer,
    asked: Mutex<Vec<Question>>,
    /// One permit for each answer that it may give.
    answers: Semaphore,
    /// One permit for each question that is not open.
    open: Semaphore,
}

impl Clerk {
    /// Answers at once.
    fn new(answer: Answer) -> Arc<Self> {
        Self::slow(answer, Semaphore::MAX_PERMITS)
    }

    /// Answers as often as `answers`, and more when permits are added.
    fn slow(answer: Answer, answers: usize) -> Arc<Self> {
        Arc::new(Self {
            answer,
            asked: Mutex::default(),
            answers: Semaphore::new(answers),
            open: Semaphore::new(1000),
        })
    }

    fn asked(&self) -> Vec<Question> {
        self.asked.lock().expect("no panic while asking").clone()
    }

    fn open(&self) -> usize {
        1000 - self.open.available_permits()
    }
}

impl Approver for Clerk {
    fn ask<'a>(
        &'a self,
        question: &'a Question,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        Box::pin(async move {
            let _open = self.open.try_acquire().expect("few questions are open");
            self.asked
                .lock()
                .expect("no panic while asking")
                .push(question.clone());
            self.answers
                .acquire()
                .await
                .expect("it is never closed")
                .forget();
            self.answer.clone()
        })
    }
}

/// A grant under which `echo` is asked for and `free` is not.
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
    let grants = Grants::from_toml_str(&toml, Path::new("/")).expect("the test's grant loads");
    grants.component("test")
}

type Events = Arc<Mutex<Vec<EventKind>>>;

fn build(builder: RegistryBuilder) -> (Registry, Events) {
    let events = Events::default();
    let seen = Arc::clone(&events);
    let registry = builder
        .on_event(move |event| {
            seen.lock()
                .expect("no panic in the test's hook")
                .push(event.kind.clone());
        })
        .build()
        .expect("a thread can be had");
    (registry, events)
}

fn guest_of(clerk: &Arc<Clerk>, extra: &str) -> (Guest, Events) {
    let (registry, events) = build(Registry::builder().approver(clerk.clone()));
    (registry.guest(grant(extra), "tenant"), events)
}

fn echo(word: &str) -> Command {
    Command::new("echo").arg(word)
}

fn free(word: &str) -> Command {
    Command::new("free").arg(word)
}

/// Fails unless the request is refused for its program; returns the reason that
/// the operator was told last.
fn denied(result: Result<Child, SpawnError>, events: &Events) -> String {
    let Err(SpawnError::Denied(denial)) = result else {
        panic!("not denied: {result:?}");
    };
    assert_eq!(denial.item, DeniedItem::Program);
    match events.lock().expect("no panic in the test's hook").last() {
        Some(EventKind::Denied { item, reason, .. }) => {
            assert_eq!(
                (item.as_str(), reason),
                ("program", &denial.reason),
                "the event says it"
            );
            reason.clone()
        }
        other => panic!("not the event of a denial: {other:?}"),
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never came: {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_allowed_once_is_asked_again() {
    let clerk = Clerk::new(Answer::AllowOnce);
    let (guest, _) = guest_of(&clerk, "");
    let request = Command {
        env: vec![("TOKEN".into(), "secret".into())],
        ..echo("a")
    };
    for _ in 0..2 {
        let child = guest
            .spawn_with_approval(&request)
            .await
            .expect("it is approved");
        let (status, stdout, _) = child.output().await;
        assert_eq!(
            (status, stdout.data),
            (ExitStatus::Exited(0), b"a\n".to_vec())
        );
    }
    let asked = clerk.asked();
    assert_eq!(asked.len(), 2);
    let question = &asked[0];
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

#[tokio::test]
async fn what_is_allowed_for_the_guest_is_asked_once() {
    let clerk = Clerk::new(Answer::AllowForThisGuest);
    let (guest, events) = guest_of(&clerk, "");
    for word in ["a", "a", "b", "a", "b"] {
        let child = guest.spawn_with_approval(&echo(word)).await;
        ended(&child.expect("it is approved"));
    }
    let words: Vec<_> = clerk.asked().iter().map(|it| it.argv[1].clone()).collect();
    assert_eq!(words, ["a", "b"], "other arguments are another question");
    denied(guest.spawn(&echo("a")), &events);

    let other = guest.grant().clone();
    let (registry, _) = build(Registry::builder().approver(clerk.clone()));
    let other = registry.guest(other, "tenant");
    ended(
        &other
            .spawn_with_approval(&echo("a"))
            .await
            .expect("it is approved"),
    );
    assert_eq!(clerk.asked().len(), 3, "another guest is asked for anew");
}

#[tokio::test]
async fn a_refusal_gives_its_reason_to_the_operator() {
    let clerk = Clerk::new(Answer::Deny {
        reason: "not on a Friday".into(),
    });
    let (guest, events) = guest_of(&clerk, "max-total = 1");
    let reason = denied(guest.spawn_with_approval(&echo("a")).await, &events);
    assert!(reason.contains("not on a Friday"), "{reason}");
    ended(
        &guest
            .spawn_with_approval(&free("a"))
            .await
            .expect("the total was given back"),
    );
    assert_eq!(
        clerk.asked().len(),
        1,
        "nobody is asked of what is allowed outright"
    );
}

#[tokio::test]
async fn what_the_grant_refuses_is_not_asked() {
    let clerk = Clerk::new(Answer::AllowForThisGuest);
    let (guest, _) = guest_of(&clerk, "");
    let result = guest.spawn_with_approval(&echo("-a")).await;
    assert!(
        matches!(&result, Err(SpawnError::Denied(denial)) if denial.item == DeniedItem::Argument)
    );
    assert!(clerk.asked().is_empty());
}

#[tokio::test]
async fn no_answer_within_the_bound_is_a_denial() {
    let clerk = Clerk::slow(Answer::AllowOnce, 0);
    let bound = Duration::from_millis(20);
    let builder = Registry::builder()
        .approver(clerk.clone())
        .approval_timeout(bound);
    let (registry, events) = build(builder);
    let guest = registry.guest(grant(""), "");
    let reason = denied(guest.spawn_with_approval(&echo("a")).await, &events);
    assert!(reason.contains("no answer came within 20ms"), "{reason}");
    assert_eq!(
        (clerk.asked().len(), clerk.open()),
        (1, 0),
        "the question is withdrawn"
    );
}

#[tokio::test]
async fn without_an_approver_asking_is_a_denial() {
    let (registry, events) = build(Registry::builder());
    let guest = registry.guest(grant(""), "");
    let reason = denied(guest.spawn_with_approval(&echo("a")).await, &events);
    assert!(reason.contains("no approver"), "{reason}");
    ended(
        &guest
            .spawn_with_approval(&free("a"))
            .await
            .expect("a sibling runs"),
    );
}

#[test]
fn who_cannot_wait_is_denied() {
    let clerk = Clerk::new(Answer::AllowOnce);
    let (guest, events) = guest_of(&clerk, "");
    denied(guest.spawn(&echo("a")), &events);
    assert!(clerk.asked().is_empty());
    ended(&guest.spawn(&free("a")).expect("a sibling runs"));
}

#[tokio::test]
async fn a_panic_of_the_approver_is_a_denial() {
    struct Broken;
    impl Approver for Broken {
        fn ask<'a>(&'a self, _: &'a Question) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
            Box::pin(async { panic!("meant by the test") })
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
async fn an_abandoned_question_leaves_nothing() {
    let clerk = Clerk::slow(Answer::AllowOnce, 0);
    let (guest, _) = guest_of(&clerk, "max-live = 1\nmax-total = 1");
    let request = echo("a");
    let asking = guest.spawn_with_approval(&request);
    tokio::select! {
        _ = asking => panic!("nobody has answered"),
        () = until("the question", || clerk.open() == 1) => {}
    }
    assert_eq!(clerk.open(), 0, "the question is withdrawn");
    assert!(guest.live().is_empty());
    clerk.answers.add_permits(1);
    let child = guest
        .spawn_with_approval(&request)
        .await
        .expect("turn, slot and total are free");
    ended(&child);
}

#[tokio::test]
async fn no_slot_is_held_while_asking() {
    let clerk = Clerk::slow(Answer::AllowOnce, 0);
    let (guest, _) = guest_of(&clerk, "max-live = 1\nrate = \"2/min\"");
    let request = echo("a");
    let meanwhile = async {
        until("the question", || clerk.open() == 1).await;
        let child = guest.spawn(&free("b")).expect("the only slot is free");
        ended(&child);
        clerk.answers.add_permits(1);
    };
    let (child, ()) = tokio::join!(guest.spawn_with_approval(&request), meanwhile);
    ended(&child.expect("the rate is charged once for it"));
    let over = guest.spawn_with_approval(&request).await;
    assert!(matches!(over, Err(SpawnError::Quota(Quota::SpawnRate))));
    assert_eq!(clerk.asked().len(), 1);
}

#[tokio::test]
async fn a_slot_that_was_taken_meanwhile_is_missed() {
    let clerk = Clerk::slow(Answer::AllowOnce, 0);
    let (registry, _) = build(Registry::builder().approver(clerk.clone()));
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
    let grants = Grants::from_toml_str(toml, Path::new("/")).expect("the test's grant loads");
    let guest = registry.guest(grants.component("test"), "");
    let request = echo("a");
    let meanwhile = async {
        until("the question", || clerk.open() == 1).await;
        let sleeper = guest.spawn(&Command::new("sleep").arg("600"));
        clerk.answers.add_permits(1);
        sleeper.expect("the only slot is free")
    };
    let (result, sleeper) = tokio::join!(guest.spawn_with_approval(&request), meanwhile);
    assert!(matches!(
        result,
        Err(SpawnError::Quota(Quota::LiveChildren))
    ));
    assert_eq!(sleeper.poll(), None, "whoever runs is not touched");
}

#[tokio::test]
async fn a_guest_has_one_question_open_at_a_time() {
    let clerk = Clerk::slow(Answer::AllowForThisGuest, 0);
    let (guest, _) = guest_of(&clerk, "");
    let [a, b] = ["a", "b"].map(echo);
    let watch = async {
        for number in 1..=2 {
            until("the question", || clerk.asked().len() == number).await;
            for _ in 0..100 {
                tokio::task::yield_now().await;
                assert_eq!((clerk.asked().len(), clerk.open()), (number, 1));
            }
            clerk.answers.add_permits(1);
        }
    };
    let (first, second, same, ()) = tokio::join!(
        guest.spawn_with_approval(&a),
        guest.spawn_with_approval(&b),
        guest.spawn_with_approval(&a),
        watch
    );
    for child in [first, second, same] {
        ended(&child.expect("it is approved"));
    }
    assert_eq!(
        clerk.asked().len(),
        2,
        "what was allowed meanwhile is not asked again"
    );
}

#[tokio::test]
async fn what_changed_under_the_question_does_not_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder
        .path()
        .canonicalize()
        .expect("a temporary folder resolves");
    for name in ["one", "two"] {
        std::fs::create_dir(root.join(name)).expect("it is new");
    }
    let link = root.join("link");
    std::os::unix::fs::symlink("one", &link).expect("it is new");
    let clerk = Clerk::slow(Answer::AllowForThisGuest, 0);
    let (registry, events) = build(Registry::builder().approver(clerk.clone()));
    let extra = format!("cwd = {{ roots = [{root:?}] }}");
    let guest = registry.guest(grant(&extra), "");
    let request = Command {
        cwd: link.to_str().map(Into::into),
        ..echo("a")
    };
    let swap = async {
        until("the question", || clerk.open() == 1).await;
        std::fs::remove_file(&link).expect("it is there");
        std::os::unix::fs::symlink("two", &link).expect("it is gone");
        clerk.answers.add_permits(1);
    };
    let (result, ()) = tokio::join!(guest.spawn_with_approval(&request), swap);
    let reason = denied(result, &events);
    assert!(
        reason.contains("no longer what was approved"),
        "in {reason}"
    );
    clerk.answers.add_permits(1);
    ended(
        &guest
            .spawn_with_approval(&request)
            .await
            .expect("it is approved as it is now"),
    );
    let asked: Vec<_> = clerk.asked().into_iter().map(|it| it.cwd).collect();
    assert_eq!(asked, [root.join("one"), root.join("two")]);
}

#[tokio::test]
async fn a_veto_narrows_what_was_allowed() {
    let clerk = Clerk::new(Answer::AllowOnce);
    let builder = Registry::builder().approver(clerk.clone());
    let (registry, events) = build(builder.veto(|question| match question.argv[1].as_str() {
        "bad" => Err("it is bad".into()),
        "worse" => panic!("meant by the test"),
        _ => Ok(()),
    }));
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
            .expect("a sibling runs");
        assert_eq!(child.output().await.1.data, b"good\n");
    }
}

#[test]
fn asking_crosses_threads() {
    fn check<T: Send>(_: T) {}
    let (guest, _) = guest_of(&Clerk::new(Answer::AllowOnce), "");
    check(guest.spawn_with_approval(&echo("a")));
}

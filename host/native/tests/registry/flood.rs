//! What a guest can make the operator's log hold, and what an embedder sees of whose child it was.

use std::io;
use std::sync::{Arc, Mutex};

use capspawn_native::limits::{MAX_EVENTS_AT_ONCE, MAX_WAITING_QUESTIONS};
use capspawn_native::{
    Answer, Command, Event, EventKind, Grant, Guest, Quota, Registry, SpawnError, Stdin,
};
use tracing_subscriber::fmt::format::FmtSpan;

use crate::scripted_approver::ScriptedApprover;
use crate::support::*;

/// What a registry has reported.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Event>>>);

impl Seen {
    fn registry(&self) -> Registry {
        let seen = self.clone();
        build(builder().on_event(move |event| seen.0.lock().expect("no panic").push(event.clone())))
    }

    fn events(&self) -> Vec<Event> {
        self.0.lock().expect("no panic").clone()
    }

    /// The bytes of all events as lines of a file.
    fn bytes(&self) -> usize {
        self.events()
            .iter()
            .map(|event| event.to_json().len() + 1)
            .sum()
    }
}

fn ungranted(seen: &Seen) -> Guest {
    seen.registry().guest(Grant::deny_all("nobody"), "")
}

fn suppressed(seen: &Seen) -> u64 {
    let count = |event: &Event| match event.kind {
        EventKind::Suppressed { count, .. } => count,
        _ => 0,
    };
    seen.events().iter().map(count).sum()
}

#[test]
fn one_request_of_a_guest_without_a_grant_adds_some_kilobytes_to_the_log() {
    let seen = Seen::default();
    let guest = ungranted(&seen);
    // As long as the host takes them, and longer than any program would.
    let requests = [
        Command::new("p").args(vec!["\u{202e}".repeat(40_000); 8]),
        Command::new("\u{7f}".repeat(120_000)),
        Command::new("p").args(vec![""; 100_000]),
        Command::new("p").args(vec!["x".repeat(1 << 20); 64]),
        Command {
            env: vec![("\x1b".repeat(100_000), "v".into())],
            ..Command::new("p")
        },
        Command {
            cwd: Some("/\u{9b}".repeat(40_000)),
            ..Command::new("p")
        },
    ];
    for request in requests {
        guest.spawn(&request).expect_err("nothing is granted");
        let line = seen.events().pop().expect("an event").to_json();
        println!("{} bytes", line.len());
        assert!(line.len() < 16 * 1024, "{} bytes", line.len());
        assert!(
            line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{line}"
        );
    }
}

#[test]
fn a_guest_whose_every_request_is_denied_does_not_fill_the_log() {
    let seen = Seen::default();
    let guest = ungranted(&seen);
    let request = Command::new("p").args(vec!["x".repeat(1000); 100]);
    let requests = 2000;
    for _ in 0..requests {
        guest.spawn(&request).expect_err("nothing is granted");
    }
    let reported = |seen: &Seen| {
        let is_denial = |event: &&Event| matches!(event.kind, EventKind::Denied { .. });
        seen.events().iter().filter(is_denial).count() as u64
    };
    assert!(reported(&seen) >= u64::from(MAX_EVENTS_AT_ONCE));
    println!("{requests} requests: {} bytes", seen.bytes());
    assert!(seen.bytes() < 2 << 20, "{} bytes", seen.bytes());
    // The operator learns how many there were, at the latest when the guest ends.
    drop(guest);
    assert_eq!(reported(&seen) + suppressed(&seen), requests);
    let last = seen.events().pop().expect("there are events");
    assert!(
        matches!(last.kind, EventKind::Suppressed { .. }),
        "{last:?}"
    );
}

#[test]
fn a_new_guest_of_the_same_owner_has_no_new_budget_and_another_owner_has_its_own() {
    let seen = Seen::default();
    let registry = seen.registry();
    for _ in 0..20 {
        let guest = registry.guest(Grant::deny_all("flooder"), "a");
        for _ in 0..MAX_EVENTS_AT_ONCE {
            guest
                .spawn(&Command::new("p"))
                .expect_err("nothing is granted");
        }
    }
    assert!(suppressed(&seen) > 0);
    let other = registry.guest(Grant::deny_all("flooder"), "b");
    other
        .spawn(&Command::new("p"))
        .expect_err("nothing is granted");
    let last = seen.events().pop().expect("an event");
    assert!(matches!(last.kind, EventKind::Denied { .. }), "{last:?}");
    assert_eq!((&*last.tenant, last.guest), ("b", other.id()));
}

#[test]
fn denied_and_invalid_requests_count_against_the_rate_before_anything_else() {
    let limited = || registry().guest(grant("test", "rate = \"3/h\""), "");
    let refused = [
        Command::new("absent"),
        Command::new(""),
        Command::new("sh").arg("a\0b"),
        Command::new("sh").arg("x".repeat(1 << 20)),
        Command {
            stdin: Stdin::Bytes(vec![0; (16 << 20) + 1].into()),
            ..Command::new("cat")
        },
    ];
    for request in refused {
        let guest = limited();
        for _ in 0..3 {
            let error = guest.spawn(&request).expect_err("it is denied or invalid");
            assert!(!matches!(error, SpawnError::Quota(_)), "{error}");
        }
        for request in [&request, &sh("true")] {
            let error = guest.spawn(request).expect_err("the rate is used up");
            assert!(
                matches!(error, SpawnError::Quota(Quota::SpawnRate)),
                "{error}"
            );
        }
        // With an approver it is the same.
        let error = bare_runtime().block_on(guest.spawn_with_approval(&request));
        assert!(matches!(error, Err(SpawnError::Quota(Quota::SpawnRate))));
    }
    let guest = limited();
    for _ in 0..3 {
        ended(&guest.spawn(&sh("true")).expect("the rate allows three"));
    }
    let error = guest.spawn(&sh("true")).expect_err("a fourth");
    assert!(
        matches!(error, SpawnError::Quota(Quota::SpawnRate)),
        "{error}"
    );
}

#[test]
fn a_child_that_is_handed_over_again_and_again_does_not_fill_the_log_and_refusals_hide_none_of_it()
{
    let seen = Seen::default();
    let registry = seen.registry();
    let guest = registry.guest(grant("test", "detach = { allow = true }"), "");
    for _ in 0..1000 {
        guest
            .spawn(&Command::new("absent"))
            .expect_err("it is not granted");
    }
    let mut child = guest
        .spawn(&sh("exec sleep 600"))
        .expect("the grant allows it");
    let rounds = 1000;
    for _ in 0..rounds {
        let key = child.detach().expect("the grant allows it");
        child = guest.attach(&key).expect("the same owner");
    }
    let handed_over = |seen: &Seen| {
        let is_one = |event: &&Event| {
            matches!(
                event.kind,
                EventKind::Detached { .. } | EventKind::Attached { .. }
            )
        };
        seen.events().iter().filter(is_one).count() as u64
    };
    let reported = handed_over(&seen);
    assert!(reported >= u64::from(MAX_EVENTS_AT_ONCE), "{reported}");
    assert!(reported < rounds, "{reported}");
    drop((child, guest));
    let counted = |event: &Event| match event.kind {
        EventKind::Suppressed {
            of: "routine",
            count,
        } => count,
        _ => 0,
    };
    let counted: u64 = seen.events().iter().map(counted).sum();
    assert_eq!(handed_over(&seen) + counted, 2 * rounds);
}

#[test]
fn events_name_the_tenant_and_the_guest_that_has_the_child() {
    let seen = Seen::default();
    let registry = seen.registry();
    let terms = "detach = { allow = true }";
    let first = registry.guest(grant("test", terms), "customer");
    let second = registry.guest(grant("test", terms), "customer");
    let child = first
        .spawn(&sh("exec sleep 600"))
        .expect("the grant allows it");
    let key = child.detach().expect("the grant allows it");
    let attached = second.attach(&key).expect("the same owner");
    attached.kill(std::time::Duration::ZERO);
    ended(&attached);
    eventually("the exit is reported", || {
        seen.events()
            .iter()
            .any(|event| matches!(event.kind, EventKind::Exit { .. }))
    });
    let guests: Vec<_> = seen.events().iter().map(|event| event.guest).collect();
    assert_ne!(first.id(), second.id());
    assert_eq!(guests, [first.id(), first.id(), second.id(), second.id()]);
    assert!(
        seen.events()
            .iter()
            .all(|event| &*event.tenant == "customer")
    );
}

/// A grant under which `echo` needs approval.
fn asking(more: &str) -> Arc<Grant> {
    let toml = format!(
        "version = 1\n[defaults]\nsandbox = \"none\"\n[component.test]\n{more}\n[[component.test.command]]\n\
        name = \"echo\"\nprogram = \"/bin/echo\"\nargs = [\"*\"]\ndecision = \"ask\"\n"
    );
    load(&toml).component("test")
}

#[tokio::test]
async fn a_question_too_many_is_denied_and_the_host_is_not_blamed() {
    let approver = ScriptedApprover::slow(Answer::AllowOnce, 0);
    let seen = Seen::default();
    let registry = build(builder().approver(approver.clone()).on_event({
        let seen = seen.clone();
        move |event| seen.0.lock().expect("no panic").push(event.clone())
    }));
    // More children at once than requests may wait for an answer.
    let guest = Arc::new(registry.guest(asking("max-live = 200"), ""));
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..=MAX_WAITING_QUESTIONS {
        let guest = Arc::clone(&guest);
        let request = Command::new("echo").arg("a");
        waiting.spawn(async move { guest.spawn_with_approval(&request).await });
    }
    let first = waiting.join_next().await.expect("one is over the limit");
    let first = first.expect("no test panics here");
    let Err(SpawnError::Denied(denial)) = first else {
        panic!("not denied: {first:?}");
    };
    assert!(
        denial.reason.contains("64 requests of this guest wait"),
        "{}",
        denial.reason
    );
    assert!(waiting.try_join_next().is_none(), "the others wait");
    approver.answers.add_permits(MAX_WAITING_QUESTIONS);
    while let Some(child) = waiting.join_next().await {
        let child = child.expect("no test panics here");
        ended(&child.expect("it is approved"));
    }
}

#[tokio::test]
async fn approvals_disapprovals_and_vetoes_are_events() {
    for (answer, expected) in [
        (Answer::AllowOnce, ["once", "once"]),
        (Answer::AllowForThisGuest, ["guest", "remembered"]),
        (
            Answer::Deny {
                reason: "no".into(),
            },
            ["approver", "approver"],
        ),
    ] {
        let seen = Seen::default();
        let recorder = seen.clone();
        let registry = builder().approver(ScriptedApprover::new(answer));
        let registry = build(
            registry
                .on_event(move |event| recorder.0.lock().expect("no panic").push(event.clone())),
        );
        let guest = registry.guest(asking(""), "t");
        for _ in 0..2 {
            let child = guest
                .spawn_with_approval(&Command::new("echo").arg("a"))
                .await;
            if let Ok(child) = child {
                child.output().await;
            }
        }
        let word = |event: &Event| match event.kind {
            EventKind::Approved { scope } => Some(scope),
            EventKind::Denied { by, .. } => Some(by),
            _ => None,
        };
        let words: Vec<_> = seen.events().iter().filter_map(word).collect();
        assert_eq!(words, expected);
    }
    let seen = Seen::default();
    let recorder = seen.clone();
    let registry = builder().veto(|_| Err("not today".into()));
    let registry = build(
        registry.on_event(move |event| recorder.0.lock().expect("no panic").push(event.clone())),
    );
    let guest = registry.guest(grant("test", ""), "");
    guest.spawn(&sh("true")).expect_err("it is vetoed");
    let event = seen.events().pop().expect("a veto is an event");
    let json: serde_json::Value = serde_json::from_str(&event.to_json()).expect("JSON");
    assert_eq!(
        (&json["event"], &json["by"]),
        (&"denied".into(), &"veto".into())
    );
    assert!(
        json["reason"]
            .as_str()
            .is_some_and(|it| it.contains("not today")),
        "{json}"
    );
}

/// The records of the log, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Runs `operation` with this log at `level`.
    fn of(level: tracing::Level, operation: impl FnOnce()) -> Self {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(subscriber, operation);
        log
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("it is text")
    }
}

#[test]
fn a_child_has_a_span_with_stable_names_from_its_start_to_its_end() {
    let guest = registry().guest(grant("test", ""), "customer");
    let log = Log::of(tracing::Level::INFO, || {
        let request = tracing::info_span!("request", number = 5);
        let child = request.in_scope(|| guest.spawn(&sh("exit 3")).expect("the grant allows it"));
        bare_runtime().block_on(child.output());
    });
    eventually("the span is closed", || log.text().contains("close"));
    let text = log.text();
    let close = text
        .lines()
        .find(|line| line.contains("close") && line.contains("child{"));
    let close = close.unwrap_or_else(|| panic!("no span of a child: {text}"));
    assert!(
        close.contains("request{number=5}:child{"),
        "in the span of its request: {close}"
    );
    for field in [
        "capspawn::child",
        "component=\"test\"",
        "tenant=\"customer\"",
        &format!("guest={}", guest.id()),
        "child=",
        "command=\"sh\"",
        "pid=",
        "confinement=\"none\"",
        "status=exited with 3",
        "seconds=",
    ] {
        assert!(close.contains(field), "no {field} in {close}");
    }
}

#[test]
fn denials_are_logged_as_warnings_and_within_the_bounds_of_events() {
    let guest = registry().guest(grant("test", ""), "customer");
    let log = Log::of(tracing::Level::WARN, || {
        ended(&guest.spawn(&sh("true")).expect("the grant allows it"));
        for _ in 0..1000 {
            let request = Command::new("\x1b[2J").args(vec!["\u{202e}\n".repeat(1000); 10]);
            guest.spawn(&request).expect_err("nothing has this name");
        }
    });
    let text = log.text();
    assert!(text.len() < 1 << 20, "{} bytes", text.len());
    let first = text.lines().next().expect("a denial is logged");
    for part in [
        " WARN ",
        "capspawn::event",
        "event=\"denied\"",
        "tenant=\"customer\"",
        "by=\"grant\"",
        "item=\"program\"",
        "reason=",
    ] {
        assert!(first.contains(part), "no {part} in {first}");
    }
    assert!(
        text.bytes()
            .all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte))
    );
    assert!(!text.contains("event=\"spawn\""), "it is no warning");
}

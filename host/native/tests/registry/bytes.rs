//! Arguments and values that are not UTF-8, and an `argv[0]` of the guest's.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::{Arc, Mutex};

use capspawn_native::{
    Answer, Command, DeniedItem, Event, ExitStatus, Guest, Registry, SpawnError, Stdin,
};

use crate::scripted_approver::ScriptedApprover;
use crate::support::*;

fn raw(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

/// A guest of one command that prints its arguments, ended by NUL.
fn guest(rules: &str) -> Guest {
    guest_of(&registry(), rules)
}

fn guest_of(registry: &Registry, rules: &str) -> Guest {
    let toml = format!(
        "version = 1\n[defaults]\nsandbox = \"none\"\n[[component.test.command]]\nname = \"args\"\n\
         program = \"/bin/cat\"\n{rules}\n"
    );
    registry.guest(load(&toml).component("test"), "")
}

#[track_caller]
fn item(result: Result<capspawn_native::Child, SpawnError>) -> (DeniedItem, Option<String>) {
    match result {
        Err(SpawnError::Denied(denial)) => (denial.item, denial.would_allow),
        other => panic!("expected a denial, got {other:?}"),
    }
}

const PRINTS: &str = "fixed = [\"/proc/self/cmdline\"]\nargs = [\"--\", \"**\"]\n\
    env = { allow = [\"V\"] }";

#[test]
fn bytes_reach_the_child_unchanged_where_the_grant_allows_them() {
    let allowing = guest(&format!("{PRINTS}\nallow-bytes = true"));
    let odd = raw(b"a\xff\xfe");
    let command = Command {
        env: vec![("V".into(), odd.clone())],
        ..Command::new("args").arg("--").arg(odd.clone())
    };
    let child = allowing.spawn(&command).expect("the grant allows it");
    let (_, out, _) = output(&child);
    assert!(
        out.data
            .starts_with(b"/bin/cat\0/proc/self/cmdline\0--\0a\xff\xfe\0")
    );
    assert_eq!(child.info().args, ["--", "a\u{fffd}\u{fffd}"]);

    let refusing = guest(PRINTS);
    let (denied, line) = item(refusing.spawn(&Command::new("args").arg("--").arg(odd.clone())));
    assert_eq!(
        (denied, line.as_deref()),
        (DeniedItem::Argument, Some("allow-bytes = true"))
    );
    let variable = Command {
        env: vec![("V".into(), odd)],
        ..Command::new("args").arg("--")
    };
    assert_eq!(item(refusing.spawn(&variable)).0, DeniedItem::Environment);
    // Bytes that are text are text.
    let text = Command::new("args").arg("--").arg(raw("grün".as_bytes()));
    ended(&refusing.spawn(&text).expect("the grant allows it"));
}

#[test]
fn bytes_are_decided_like_text() {
    let rules =
        |more: &str| format!("fixed = [\"/proc/self/cmdline\"]\nallow-bytes = true\n{more}");
    let decide = |more: &str, arg: &[u8]| {
        let guest = guest(&rules(more));
        guest.spawn(&Command::new("args").arg(raw(arg))).map(drop)
    };
    let refused = |more: &str, arg: &[u8]| match decide(more, arg) {
        Err(SpawnError::Denied(denial)) => denial.item == DeniedItem::Argument,
        _ => false,
    };
    decide("args = [\"*\"]", b"\xff").expect("a wildcard takes bytes");
    assert!(
        refused("args = [\"*\"]", b"-\xff"),
        "an option is one in bytes too"
    );
    assert!(refused("args = [\"*\"]", b"@\xff"));
    assert!(refused("args = [\"a\"]", b"a\xff"));
    assert!(refused("args = [{ one-of = [\"a\"] }]", b"a\xff"));
    assert!(refused("args = [{ int = [0, 9] }]", b"1\xff"));
    assert!(
        refused("args = [{ re = \".*\" }]", b"a\xff"),
        "an expression is about text"
    );
    assert!(refused(
        "args = [{ path = { under = [\"/usr\"] } }]",
        b"/usr/../etc/\xff"
    ));
    decide("args = [{ path = { under = [\"/usr\"] } }]", b"/usr/a\xff").expect("it is below");
    let nul = decide("args = [\"*\"]", b"a\0");
    assert!(
        matches!(nul, Err(SpawnError::InvalidArgument(_))),
        "{nul:?}"
    );
}

#[test]
fn a_rule_that_refuses_is_not_evaded_by_a_byte() {
    let toml = "version = 1\n[defaults]\nsandbox = \"none\"\nallow-bytes = true\n\
        [[component.test.command]]\nname = \"args\"\nprogram = \"/bin/true\"\nargs = [\"*\"]\n\
        [[component.test.command]]\nname = \"args\"\nprogram = \"/bin/true\"\n\
        args = [{ re = \"secret.*\" }]\ndecision = \"deny\"\n";
    let guest = registry().guest(load(toml).component("test"), "");
    ended(
        &guest
            .spawn(&Command::new("args").arg("open"))
            .expect("no rule refuses it"),
    );
    for arg in [&b"secret"[..], b"secret\xff", b"\xff"] {
        let denied = guest.spawn(&Command::new("args").arg(raw(arg)));
        assert_eq!(item(denied).0, DeniedItem::Argument, "{arg:?}");
    }
}

#[test]
fn events_show_which_bytes_were_sent() {
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let seen = Arc::clone(&events);
    let builder = builder().on_event(move |event| {
        seen.lock()
            .expect("no test panics here")
            .push(event.clone());
    });
    let registry = build(builder);
    let rules = format!("{PRINTS}\nallow-bytes = true\nallow-arg0 = [\"x*\"]\ninterpreter = true");
    let guest = guest_of(&registry, &rules);
    let command = Command {
        arg0: Some("xyz".into()),
        ..Command::new("args").arg("--").arg(raw(b"a\xff"))
    };
    ended(&guest.spawn(&command).expect("the grant allows it"));
    let long = raw(&[0xff; 100_000]);
    let long = Command::new("args").arg("--").args(vec![long; 2]);
    ended(&guest.spawn(&long).expect("the grant allows it"));
    let events = events.lock().expect("no test panics here");
    let cut = events
        .iter()
        .find_map(|it| Some((it, it.args_cut.as_ref()?)));
    let (event, cut) = cut.expect("an event is bounded");
    assert_eq!((cut.count, cut.bytes), (3, 200_002));
    assert!(event.raw_args.is_empty() && event.args.concat().len() <= 1024);
    let json = serde_json::to_value(&events[0]).expect("an event is plain data");
    assert_eq!(json["args"], serde_json::json!(["--", "a\u{fffd}"]));
    assert_eq!(json["raw_args"], serde_json::json!({ "1": "61ff" }));
    assert_eq!((&json["arg0"], &json["number"]), (&"xyz".into(), &1.into()));
}

#[test]
fn an_arg0_is_what_the_grant_lists_and_nothing_else() {
    let ask = |guest: &Guest, arg0: &str| {
        guest.spawn(&Command {
            arg0: Some(arg0.to_owned()),
            ..Command::new("args").arg("--")
        })
    };
    let listed = guest(&format!(
        "{PRINTS}\narg0 = \"own\"\nallow-arg0 = [\"ls\", \"busy-*\"]\ninterpreter = true"
    ));
    for arg0 in ["ls", "busy-", "busy-box"] {
        let child = ask(&listed, arg0).expect("the grant allows it");
        let expected = format!("{arg0}\0/proc/self/cmdline\0");
        assert!(output(&child).1.data.starts_with(expected.as_bytes()));
    }
    for arg0 in ["sh", "", "own", "LS", "ls ", "-ls", "busy"] {
        let (denied, line) = item(ask(&listed, arg0));
        assert_eq!(denied, DeniedItem::Argument, "{arg0:?}");
        assert_eq!(line, Some(format!("allow-arg0 = [\"{arg0}\"]")));
    }
    assert_eq!(item(ask(&guest(PRINTS), "ls")).0, DeniedItem::Argument);
    let nul = ask(&listed, "busy-\0");
    assert!(
        matches!(nul, Err(SpawnError::InvalidArgument(_))),
        "{nul:?}"
    );
    let plain = listed.spawn(&Command::new("args").arg("--"));
    let plain = plain.expect("the grant allows it");
    assert!(output(&plain).1.data.starts_with(b"own\0"));
}

#[test]
fn a_name_of_an_interpreter_is_one() {
    let load = |more: &str| {
        let toml = format!(
            "version = 1\n[[component.test.command]]\nname = \"x\"\nprogram = \"/bin/true\"\n\
             args = [\"**\"]\n{more}\n"
        );
        capspawn_native::Grants::from_toml_str(&toml, "/".as_ref())
    };
    for key in [
        "arg0 = \"sh\"",
        "allow-arg0 = [\"sh\"]",
        "allow-arg0 = [\"-bash\"]",
        "allow-arg0 = [\"*\"]",
    ] {
        let error = load(key).expect_err("it could be a shell").to_string();
        assert!(error.contains("interpreter = true"), "{error}");
        load(&format!("{key}\ninterpreter = true")).expect("the grant says so");
    }
    load("allow-arg0 = [\"ls\"]").expect("ls runs nothing");
    let error = load("allow-arg0 = [\"a*b\"]")
        .expect_err("a star inside")
        .to_string();
    assert!(error.contains("only allowed at the end"), "{error}");
}

#[tokio::test]
async fn an_approval_covers_the_bytes_the_arg0_and_where_the_streams_lead() {
    let approver = ScriptedApprover::new(Answer::AllowForThisGuest);
    let registry = build(Registry::builder().approver(approver.clone()));
    let rules = "args = [\"*\"]\nallow-bytes = true\nallow-arg0 = [\"b\"]\nredirect = true\n\
        fs = { read = [\"/etc\"] }\ndecision = \"ask\"";
    let guest = guest_of(&registry, rules);
    let first = Command::new("args").arg(raw(b"/\xff"));
    let others = [
        first.clone(),
        Command::new("args").arg(raw(b"/\xfe")),
        Command::new("args").arg("/\u{fffd}"),
        Command {
            arg0: Some("b".into()),
            ..first.clone()
        },
        Command {
            stdin: Stdin::File("/etc/passwd".into()),
            ..first.clone()
        },
        Command {
            stdin: Stdin::File("/etc/group".into()),
            ..first.clone()
        },
    ];
    for (index, request) in others.iter().enumerate() {
        for _ in 0..2 {
            let child = guest.spawn_with_approval(request).await;
            assert_eq!(
                ended(&child.expect("it is approved")),
                ExitStatus::Exited(1)
            );
            assert_eq!(approver.questions().len(), index + 1, "{request:?}");
        }
    }
    let questions = approver.questions();
    assert_eq!(questions[0].argv[1], raw(b"/\xff"));
    assert_eq!(questions[3].argv[0], "b");
    assert_eq!(
        questions[4].redirections[0].to_string(),
        "stdin from \"/etc/passwd\""
    );
}

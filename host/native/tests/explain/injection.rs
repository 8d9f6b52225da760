//! Options in the place of operands, and what a guest learns of a denial.

use std::sync::{Arc, Mutex};

use capspawn_native::{Command, DeniedItem, Event, EventKind, Registry, SpawnError, Stdin};
use serde_json::json;

use crate::guests::{Counting, grant, report};
use crate::probe::folder;

/// What is known to turn an operand into a program to run, a file to write or a
/// file of further options; and a sibling without its first character, which is
/// an operand like any other.
const INJECTIONS: [(&[&str], &[&str]); 8] = [
    (&["--upload-pack=x"], &["upload-pack=x"]),
    (&["-exec"], &["exec"]),
    (
        &["--checkpoint-action=exec=x"],
        &["checkpoint-action=exec=x"],
    ),
    (&["-c", "core.sshCommand=x"], &["c", "core.sshCommand=x"]),
    (&["-o", "ProxyCommand=x"], &["o", "ProxyCommand=x"]),
    (&["-oProxyCommand=x"], &["oProxyCommand=x"]),
    (&["--config=x"], &["config=x"]),
    (&["@x"], &["x@"]),
];

#[test]
fn options_do_not_pass_a_star_and_operands_do() {
    let (launcher, registry) = Counting::registry().expect("a thread can be had");
    let defaults = json!({ "sandbox": "none" });
    let probe = folder().join("bin/probe");
    for rest in [false, true] {
        for (options, operands) in INJECTIONS {
            let pattern = if rest {
                vec!["**"]
            } else {
                vec!["*"; options.len()]
            };
            let command = json!([{ "name": "probe", "program": probe, "args": pattern }]);
            let guest = registry.guest(grant(defaults.clone(), command), "");
            let ask =
                |args: &[&str]| guest.spawn(&Command::new("probe").args(args.iter().copied()));

            let before = launcher.launches();
            match ask(options) {
                Err(SpawnError::Denied(denial)) => assert_eq!(denial.item, DeniedItem::Argument),
                other => panic!("{options:?} past {pattern:?}: {other:?}"),
            }
            assert_eq!(launcher.launches(), before, "nothing starts");
            let child = ask(operands).expect("an operand is what * is for");
            assert_eq!(report(&child).argv[1..], *operands);
        }
    }
}

#[test]
fn allow_dash_is_what_lets_an_option_through() {
    let (_, registry) = Counting::registry().expect("a thread can be had");
    let probe = folder().join("bin/probe");
    let args = json!([{ "rest": true, "allow-dash": true }]);
    let command = json!([{ "name": "probe", "program": probe, "args": args }]);
    let guest = registry.guest(grant(json!({ "sandbox": "none" }), command), "");
    for (options, _) in INJECTIONS {
        let request = Command::new("probe").args(options.iter().copied());
        let child = guest.spawn(&request).expect("it is written out");
        assert_eq!(report(&child).argv[1..], *options);
    }
}

/// The guest is told the item; everything else is the operator's.
#[test]
fn a_denial_has_one_word_for_the_guest_and_the_rest_for_the_operator() {
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let sink = events.clone();
    let registry = Registry::builder()
        .on_event(move |event| {
            sink.lock()
                .expect("no test panics there")
                .push(event.clone())
        })
        .build()
        .expect("a thread can be had");
    let work = folder().join("work");
    let secret = json!([{
        "name": "probe-secret", "program": folder().join("bin/probe"), "args": ["secret-argument"],
        "stdin": false,
        "env": { "allow": ["SECRET_NAME"] }, "cwd": { "roots": [work] },
    }]);
    let guest = registry.guest(grant(json!({ "sandbox": "none" }), secret), "");
    let right = Command::new("probe-secret").arg("secret-argument");
    let wrong_env = vec![("OTHER".to_owned(), "value".to_owned())];
    let cases = [
        (Command::new("probe-secre"), "program"),
        (Command::new("probe-secret").arg("guess"), "argument"),
        (
            Command {
                env: wrong_env,
                ..right.clone()
            },
            "environment",
        ),
        (
            Command {
                cwd: Some("/etc".into()),
                ..right.clone()
            },
            "working directory",
        ),
        (
            Command {
                stdin: Stdin::Bytes("x".into()),
                ..right
            },
            "stdio",
        ),
    ];
    for (request, word) in cases {
        let Err(SpawnError::Denied(denial)) = guest.spawn(&request) else {
            panic!("{request:?} is not denied");
        };
        // The whole of what crosses to the guest is this type, which has no text.
        let item: DeniedItem = denial.item;
        assert_eq!(item.to_string(), word);
        assert_eq!(size_of::<DeniedItem>(), 1);
        assert!(!denial.reason.is_empty(), "the operator is told why");
        assert_eq!(denial.nearest.as_deref(), Some("probe-secret"));
        assert!(
            denial.would_allow.is_some(),
            "the operator is told what would do"
        );
        let logged = events.lock().expect("no test panics there").pop();
        let kind = logged.expect("a denial is an event").kind;
        let EventKind::Denied {
            reason,
            nearest,
            would_allow,
            ..
        } = kind
        else {
            panic!("{kind:?} is no denial");
        };
        assert_eq!(
            (reason, nearest, would_allow),
            (denial.reason, denial.nearest, denial.would_allow)
        );
    }
}

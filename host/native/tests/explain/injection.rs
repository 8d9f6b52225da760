//! Options in the place of operands, and what a guest learns from a denial.

use std::sync::{Arc, Mutex};

use capspawn_native::{Command, DeniedItem, Event, EventKind, Registry, SpawnError, Stdin};
use serde_json::json;

use crate::guests::{Counting, grant, report};
use crate::probe::folder;

/// Options that are known to run a program, to write a file or to read more
/// options from a file, where a program expects an operand; each with the same
/// text without its first character, which is an ordinary operand.
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
fn a_star_matches_operands_and_no_options() {
    let (launcher, registry) = Counting::registry().expect("the registry starts");
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
            let spawn =
                |args: &[&str]| guest.spawn(&Command::new("probe").args(args.iter().copied()));

            let before = launcher.launches();
            match spawn(options) {
                Err(SpawnError::Denied(denial)) => assert_eq!(denial.item, DeniedItem::Argument),
                other => panic!("{options:?} matches {pattern:?}: {other:?}"),
            }
            assert_eq!(launcher.launches(), before, "no child is started");
            let child = spawn(operands).expect("a star matches operands");
            assert_eq!(report(&child).argv[1..], *operands);
        }
    }
}

#[test]
fn allow_dash_makes_a_pattern_match_options() {
    let (_, registry) = Counting::registry().expect("the registry starts");
    let probe = folder().join("bin/probe");
    let args = json!([{ "rest": true, "allow-dash": true }]);
    let command = json!([{ "name": "probe", "program": probe, "args": args }]);
    let guest = registry.guest(grant(json!({ "sandbox": "none" }), command), "");
    for (options, _) in INJECTIONS {
        let request = Command::new("probe").args(options.iter().copied());
        let child = guest.spawn(&request).expect("the pattern matches options");
        assert_eq!(report(&child).argv[1..], *options);
    }
}

/// The guest learns which item was denied; only the operator sees the reason and the suggestion.
#[test]
fn a_denial_has_one_word_for_the_guest_and_the_reason_for_the_operator() {
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let sink = events.clone();
    let registry = Registry::builder()
        .on_event(move |event| {
            sink.lock()
                .expect("no test panics here")
                .push(event.clone())
        })
        .build()
        .expect("the registry starts");
    let work = folder().join("work");
    let secret = json!([{
        "name": "probe-secret", "program": folder().join("bin/probe"), "args": ["secret-argument"],
        "stdin": false,
        "env": { "allow": ["SECRET_NAME"] }, "cwd": { "roots": [work] },
    }]);
    let guest = registry.guest(grant(json!({ "sandbox": "none" }), secret), "");
    let right = Command::new("probe-secret").arg("secret-argument");
    let wrong_env = vec![("OTHER".to_owned(), "value".into())];
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
        // The guest gets only this type, which contains no text.
        let item: DeniedItem = denial.item;
        assert_eq!(item.to_string(), word);
        assert_eq!(size_of::<DeniedItem>(), 1);
        assert!(!denial.reason.is_empty(), "the operator sees the reason");
        assert_eq!(denial.nearest.as_deref(), Some("probe-secret"));
        assert!(
            denial.would_allow.is_some(),
            "the operator sees what would allow it"
        );
        let logged = events.lock().expect("no test panics here").pop();
        let kind = logged.expect("a denial is an event").kind;
        let EventKind::Denied {
            reason,
            nearest,
            would_allow,
            ..
        } = kind
        else {
            panic!("{kind:?} is not a denial");
        };
        assert_eq!(
            (reason, nearest, would_allow),
            (denial.reason, denial.nearest, denial.would_allow)
        );
    }
}

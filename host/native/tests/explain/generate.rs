//! A random grant, and a request that it allows unless one of the two was changed
//! afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;

use capspawn_native::grant::Grant;
use capspawn_native::{Command, Stdin};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::guests;
use crate::pieces::{Piece, pieces, text};
use crate::probe::folder;

/// Arguments that a hostile guest tries in place of others.
const HOSTILE: [&str; 12] = [
    "",
    "--upload-pack=x",
    "-exec",
    "@x",
    "-",
    "--",
    "*",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "\n",
    "-n01",
];

/// Variables that a grant may set or allow. A guest may never set an `S_` one.
const NAMES: [&str; 6] = ["S_ONE", "S_TWO", "A_ONE", "A_TWO", "HOME", "LD_PRELOAD_X"];

/// A change of the request, or of the grant, after they were made to match.
#[derive(Debug, Clone)]
enum Spoiler {
    None,
    Insert(prop::sample::Index, String),
    Replace(prop::sample::Index, String),
    Remove(prop::sample::Index),
    Variable(&'static str),
    Folder(&'static str),
    Program(String),
    Decision(&'static str),
    Stdin,
}

#[derive(Debug, Clone)]
pub(crate) struct Case {
    command: Value,
    pub(crate) request: Command,
    /// Whether the request matches the grant: neither was changed.
    pub(crate) must_pass: bool,
}

impl Case {
    pub(crate) fn grant(&self) -> Arc<Grant> {
        let defaults = json!({ "sandbox": "none", "env": { "set": {}, "inherit": [] } });
        guests::grant(defaults, json!([self.command]))
    }
}

fn spoiler() -> impl Strategy<Value = Spoiler> {
    let index = any::<prop::sample::Index>;
    let token = || {
        prop_oneof![
            prop::sample::select(&HOSTILE[..]).prop_map(str::to_owned),
            text()
        ]
    };
    prop_oneof![
        12 => Just(Spoiler::None),
        2 => (index(), token()).prop_map(|(at, token)| Spoiler::Insert(at, token)),
        2 => (index(), token()).prop_map(|(at, token)| Spoiler::Replace(at, token)),
        1 => index().prop_map(Spoiler::Remove),
        1 => prop::sample::select(&["S_ONE", "LD_PRELOAD", "PATH", "A", "a_one"][..])
            .prop_map(Spoiler::Variable),
        1 => prop::sample::select(&["..", "/", "out", "absent", "file", "", "../out"][..])
            .prop_map(Spoiler::Folder),
        1 => "[a-z]{1,5}".prop_map(Spoiler::Program),
        1 => prop::sample::select(&["ask", "deny"][..]).prop_map(Spoiler::Decision),
        1 => Just(Spoiler::Stdin),
    ]
}

/// The working directory: the grant's `cwd`, and a directory that a request may name under it.
fn folders() -> impl Strategy<Value = (Value, Option<String>)> {
    let work = folder().join("work").display().to_string();
    let at = |default: &str, requests: &[&str]| {
        let cwd = json!({ "default": format!("{work}{default}"), "roots": [work] });
        let mut all = vec![
            None,
            Some(format!("{work}/sub/deep")),
            Some(format!("{work}/link")),
        ];
        all.extend(requests.iter().map(|path| Some((*path).to_owned())));
        (Just(cwd), prop::sample::select(all))
    };
    prop_oneof![
        (Just(Value::Null), Just(None)),
        at("", &["sub", ".", "link/deep", "sub/.."]),
        at("/sub", &["deep", "..", "../link", "../write"]),
    ]
}

/// The environment: the grant's `env`, and variables that a request may set under it.
fn variables() -> impl Strategy<Value = (Value, Vec<(String, String)>)> {
    let set = btree_map(prop::sample::select(&NAMES[..]), text(), 0..4);
    let allow = prop::sample::subsequence(&["A_*", "A_ONE", "HOME", "LD_PRELOAD_X"][..], 0..=4);
    (
        set,
        allow,
        vec((any::<prop::sample::Index>(), text()), 0..4),
    )
        .prop_map(|(set, allow, requested)| {
            let set: BTreeMap<&str, String> = set.into_iter().collect();
            let mut names: Vec<&str> = allow
                .iter()
                .copied()
                .filter(|name| !name.ends_with('*'))
                .collect();
            if allow.contains(&"A_*") {
                names.extend(["A_ONE", "A_TWO", "A_", "A_ é"]);
            }
            let requested = requested.into_iter().filter(|_| !names.is_empty());
            let env = requested
                .map(|(pick, value)| ((*pick.get(&names)).to_owned(), value))
                .collect();
            (json!({ "set": set, "allow": allow }), env)
        })
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    let start = folders().prop_flat_map(|(cwd, folder)| {
        let has_cwd = !cwd.is_null();
        (Just((cwd, folder)), pieces(has_cwd))
    });
    // No name of an interpreter, for which other rules hold.
    let arg0 = text().prop_map(|text| format!("name {text}"));
    let words = (proptest::option::of(arg0), vec(text(), 0..3));
    (start, variables(), words, spoiler()).prop_map(
        |(((cwd, requested_folder), pieces), (env, variables), (arg0, fixed), spoiler)| {
            let work = folder().join("work");
            let patterns: Vec<&Value> = pieces.iter().map(|piece| &piece.pattern).collect();
            let mut command = json!({
                "name": "probe",
                "program": folder().join("bin/probe"),
                "fixed": fixed,
                "args": patterns,
                "env": env,
                "fs": { "read": [work], "write": [work.join("write")] },
            });
            if !cwd.is_null() {
                command["cwd"] = cwd;
            }
            if let Some(arg0) = arg0 {
                command["arg0"] = json!(arg0);
            }
            let mut request = Command::new("probe").args(tokens(&pieces));
            let value = |(name, value): (String, String)| (name, value.into());
            request.env = variables.into_iter().map(value).collect();
            request.cwd = requested_folder;
            let must_pass = matches!(spoiler, Spoiler::None);
            spoil(spoiler, &mut command, &mut request);
            Case {
                command,
                request,
                must_pass,
            }
        },
    )
}

fn tokens(pieces: &[Piece]) -> Vec<String> {
    pieces
        .iter()
        .flat_map(|piece| piece.tokens.clone())
        .collect()
}

fn spoil(spoiler: Spoiler, command: &mut Value, request: &mut Command) {
    let args = &mut request.args;
    match spoiler {
        Spoiler::None => {}
        Spoiler::Insert(at, token) => args.insert(at.index(args.len() + 1), token.into()),
        Spoiler::Replace(at, token) if !args.is_empty() => {
            let at = at.index(args.len());
            args[at] = token.into();
        }
        Spoiler::Remove(at) if !args.is_empty() => {
            args.remove(at.index(args.len()));
        }
        Spoiler::Replace(..) | Spoiler::Remove(_) => args.push("-x".into()),
        Spoiler::Variable(name) => request.env.push((name.to_owned(), "".into())),
        Spoiler::Folder(path) => request.cwd = Some(path.to_owned()),
        Spoiler::Program(name) => request.program = name,
        Spoiler::Decision(word) => command["decision"] = json!(word),
        Spoiler::Stdin => {
            command["stdin"] = json!(false);
            request.stdin = Stdin::Piped;
        }
    }
}

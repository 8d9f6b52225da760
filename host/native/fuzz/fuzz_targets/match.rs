//! Any patterns against any vector: the decision and the explanation agree, and both agree
//! with a slow and obvious matcher.
#![no_main]

mod base;

use std::collections::BTreeSet;
use std::path::Path;

use arbitrary::Arbitrary;
use capspawn_native::grant::Grants;
use capspawn_native::{Command, Decision};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::{Value, json};

use base::BASE;

/// More tokens than the patterns distinguish, few enough for the slow matcher.
const TOKENS: usize = 48;

#[derive(Debug, Arbitrary)]
struct Case {
    patterns: Vec<Pattern>,
    rest: Option<bool>,
    tokens: Vec<Token>,
}

#[derive(Debug, Arbitrary)]
struct Pattern {
    kind: Kind,
    times: Times,
}

#[derive(Debug, Arbitrary)]
enum Kind {
    Literal(Token),
    Any {
        dash: bool,
    },
    OneOf(Token, Vec<Token>),
    Int {
        bounds: (i8, i8),
        prefix: Option<Token>,
    },
}

#[derive(Debug, Arbitrary)]
enum Times {
    Once,
    Optional,
    Bounded(u8, u8),
    Open(u8),
}

/// A few short tokens, which often match, and any others.
#[derive(Debug, Clone, Arbitrary)]
enum Token {
    A,
    B,
    Dash,
    At,
    Number(i8),
    Text(String),
}

impl Token {
    fn text(&self) -> String {
        match self {
            Self::A => "a".into(),
            Self::B => "b".into(),
            Self::Dash => "-a".into(),
            Self::At => "@a".into(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

impl Kind {
    fn table(&self) -> Value {
        match self {
            Self::Literal(token) => json!({ "literal": token.text() }),
            Self::Any { dash } => json!({ "any": true, "allow-dash": dash }),
            Self::OneOf(first, others) => {
                let texts: Vec<_> = [first].into_iter().chain(others).map(Token::text).collect();
                json!({ "one-of": texts })
            }
            Self::Int {
                bounds: (a, b),
                prefix,
            } => {
                let prefix = prefix.as_ref().map(Token::text).unwrap_or_default();
                json!({ "int": [a.min(b), a.max(b)], "prefix": prefix })
            }
        }
    }

    fn takes(&self, token: &str) -> bool {
        match self {
            Self::Literal(literal) => literal.text() == token,
            Self::Any { dash } => *dash || !(token.starts_with('-') || token.starts_with('@')),
            Self::OneOf(first, others) => [first]
                .into_iter()
                .chain(others)
                .any(|other| other.text() == token),
            Self::Int {
                bounds: (a, b),
                prefix,
            } => {
                let prefix = prefix.as_ref().map(Token::text).unwrap_or_default();
                (*a.min(b)..=*a.max(b)).any(|number| format!("{prefix}{number}") == token)
            }
        }
    }
}

impl Pattern {
    fn range(&self) -> (usize, usize) {
        match self.times {
            Times::Once => (1, 1),
            Times::Optional => (0, 1),
            // A repetition of zero tokens is refused when the grant is loaded.
            Times::Bounded(a, b) => (usize::from(a.min(b)), usize::from(a.max(b)).max(1)),
            Times::Open(least) => (usize::from(least), usize::MAX),
        }
    }

    fn table(&self) -> Value {
        let mut table = self.kind.table();
        let (least, most) = self.range();
        match self.times {
            Times::Once => {}
            Times::Optional => table["optional"] = json!(true),
            Times::Bounded(..) => table["repeat"] = json!(format!("{least}..{most}")),
            Times::Open(_) => table["repeat"] = json!(format!("{least}..")),
        }
        table
    }

    /// Adds every position that this pattern can reach from `from`.
    fn reach(&self, from: usize, tokens: &[String], to: &mut BTreeSet<usize>) {
        let (least, most) = self.range();
        let taken = tokens[from..]
            .iter()
            .take_while(|token| self.kind.takes(token))
            .count();
        to.extend((least..=most.min(taken)).map(|count| from + count));
    }
}

fuzz_target!(init: base::make(), |case: Case| -> Corpus {
    let tokens: Vec<String> = case.tokens.iter().take(TOKENS).map(Token::text).collect();
    let mut patterns = case.patterns;
    patterns.truncate(32);
    // Like `"**"`: any number of any token, at the end.
    let mut args: Vec<Value> = patterns.iter().map(Pattern::table).collect();
    if let Some(dash) = case.rest {
        args.push(json!({ "rest": true, "allow-dash": dash }));
        patterns.push(Pattern { kind: Kind::Any { dash }, times: Times::Open(0) });
    }
    let command = json!({
        "name": "tool", "program": format!("{BASE}/tool"), "args": args, "sandbox": "none",
    });
    let grant = json!({ "version": 1, "component": { "c": { "command": [command] } } });
    let grants = match Grants::from_value(&grant, Path::new(BASE)) {
        Ok(grants) => grants,
        Err(error) => {
            // An unbounded `any` before the end is a misplaced "**", and a NUL is refused.
            let expected = |message: &str| message.contains("takes all") || message.contains("NUL");
            let mut found = error.diagnostics().iter();
            assert!(found.any(|one| expected(&one.message)), "{error}");
            return Corpus::Reject;
        }
    };
    let grant = grants.component("c");
    let request = Command::new("tool").args(tokens.clone());
    let decided = grant.decide(&request);
    let explained = grant.explain(&request);
    let shown = explained.to_string();
    if request.validate().is_err() {
        assert!(decided.is_err() && explained.outcome.is_err());
        return Corpus::Keep;
    }
    let mut reached = BTreeSet::from([0]);
    for pattern in &patterns {
        let mut next = BTreeSet::new();
        reached.iter().for_each(|from| pattern.reach(*from, &tokens, &mut next));
        reached = next;
    }
    let expected = reached.contains(&tokens.len());
    assert_eq!(decided.is_ok(), expected, "{patterns:?} {tokens:?}");
    match (decided, explained.outcome) {
        (Ok(Decision::Allow(decided)), Ok(Decision::Allow(explained))) => {
            assert_eq!(decided.argv, explained.argv);
            assert_eq!(decided.argv[1..], tokens);
            assert!(shown.starts_with("decision   allow"));
        }
        (Err(decided), Err(explained)) => {
            assert_eq!(decided.to_string(), explained.to_string());
            assert!(shown.starts_with("decision   deny"));
        }
        (decided, explained) => panic!("{decided:?} and then {explained:?}"),
    }
    Corpus::Keep
});

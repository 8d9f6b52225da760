//! What a launch was asked for, as a tape shows it, and the first difference between two of them.

use std::collections::BTreeMap;
use std::path::Path;

use capspawn_native::launch::{FileAccess, Owner, Plan, StreamFile};
use capspawn_native::{Stdin, Stdio};
use serde::{Deserialize, Serialize};

use crate::difference::Difference;
use crate::dirs::Dirs;
use crate::text::{Word, bytes_of, sha256};

/// What hides the values of variables and standard input in a tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Values {
    /// Their SHA-256 hash. A short secret can be guessed from it.
    #[default]
    Hashed,
    /// Nothing: a tape has them as they are.
    Plain,
}

/// How a tape shows requests: the same for recording and replaying.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) dirs: Dirs,
    pub(crate) values: Values,
}

/// Whose guest makes a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Whose {
    component: String,
    tenant: String,
}

impl From<Owner<'_>> for Whose {
    fn from(owner: Owner<'_>) -> Self {
        Self {
            component: owner.component.to_owned(),
            tenant: owner.tenant.to_owned(),
        }
    }
}

/// A decided request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) command: String,
    component: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    tenant: String,
    program: Word,
    argv: Vec<Word>,
    cwd: Word,
    env: BTreeMap<String, Word>,
    stdin: Word,
    stdout: Word,
    stderr: Word,
}

impl Request {
    pub(crate) fn new(plan: &Plan, whose: &Whose, view: &View) -> Self {
        let word = |text: &[u8]| Word::new(&view.dirs.hide(text));
        let path = |path: &Path| word(&bytes_of(path));
        let value = |value| match view.values {
            Values::Plain => word(&bytes_of(value)),
            Values::Hashed => {
                let hash = sha256(&view.dirs.hide(&bytes_of(value)));
                Word::Text(format!("sha256:{hash}"))
            }
        };
        let file = |kind: &str, file: &Option<StreamFile>| {
            let path = file.as_ref().map(StreamFile::path).unwrap_or_default();
            let mode = match file.as_ref().map(|file| file.access) {
                Some(FileAccess::Write(mode)) => mode.to_string(),
                _ => kind.to_owned(),
            };
            let mut text = (mode + " ").into_bytes();
            text.extend(bytes_of(path));
            word(&text)
        };
        let output = |stdio: &Stdio, to: &Option<StreamFile>| match stdio {
            Stdio::Null => Word::Text("null".to_owned()),
            Stdio::Piped => Word::Text("piped".to_owned()),
            Stdio::Captured => Word::Text("captured".to_owned()),
            Stdio::Merged => Word::Text("merged".to_owned()),
            Stdio::Child(_) => Word::Text("child".to_owned()),
            Stdio::File { .. } => file("write", to),
        };
        Self {
            command: plan.name.clone(),
            component: whose.component.clone(),
            tenant: whose.tenant.clone(),
            program: path(&plan.program.path),
            argv: plan.argv.iter().map(|arg| word(&bytes_of(arg))).collect(),
            cwd: path(&plan.cwd.path),
            env: plan
                .env
                .iter()
                .map(|(name, it)| (name.clone(), value(it)))
                .collect(),
            stdin: match &plan.streams.stdin {
                Stdin::Null => Word::Text("null".to_owned()),
                Stdin::Piped => Word::Text("piped".to_owned()),
                Stdin::Bytes(_) => Word::Text("bytes".to_owned()),
                Stdin::Child(_) => Word::Text("child".to_owned()),
                Stdin::File(_) => file("read", &plan.files.stdin),
            },
            stdout: output(&plan.streams.stdout, &plan.files.stdout),
            stderr: output(&plan.streams.stderr, &plan.files.stderr),
        }
    }

    /// Returns the fields in which `found` differs from this request of a tape, the most telling first.
    pub(crate) fn differences(&self, found: &Self) -> Vec<Difference> {
        let text = |name: &str, expected: &str, found: &str| {
            (expected != found).then(|| {
                let [expected, found] = [expected, found].map(|it| Word::Text(it.to_owned()));
                Difference::new(name, Some(expected.to_string()), Some(found.to_string()))
            })
        };
        let word = |name: &str, expected: Option<&Word>, found: Option<&Word>| {
            let shown = |it: Option<&Word>| it.map(Word::to_string);
            (expected != found).then(|| Difference::new(name, shown(expected), shown(found)))
        };
        let args = 0..self.argv.len().max(found.argv.len());
        let argv =
            args.filter_map(|n| word(&format!("argv[{n}]"), self.argv.get(n), found.argv.get(n)));
        let mut names: Vec<_> = self.env.keys().chain(found.env.keys()).collect();
        names.sort();
        names.dedup();
        let env = names.into_iter().filter_map(|name| {
            let [expected, found] = [&self.env, &found.env].map(|env| env.get(name));
            word(&format!("env.{name}"), expected, found)
        });
        let one = |name, expected, found| word(name, Some(expected), Some(found));
        [
            text("component", &self.component, &found.component),
            text("tenant", &self.tenant, &found.tenant),
            text("command", &self.command, &found.command),
        ]
        .into_iter()
        .flatten()
        .chain(argv)
        .chain(one("program", &self.program, &found.program))
        .chain(one("cwd", &self.cwd, &found.cwd))
        .chain(env)
        .chain(one("stdin", &self.stdin, &found.stdin))
        .chain(one("stdout", &self.stdout, &found.stdout))
        .chain(one("stderr", &self.stderr, &found.stderr))
        .collect()
    }

    /// Returns the request in one line, for messages.
    pub(crate) fn line(&self) -> String {
        let argv: Vec<_> = self.argv.iter().map(Word::to_string).collect();
        format!("{} [{}]", Word::Text(self.command.clone()), argv.join(", "))
    }
}

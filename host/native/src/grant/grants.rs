//! A grant file: the grants of all its components.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer};

use super::component::Grant;
use super::file::diagnostics::{Diagnostics, GrantError, line_and_column};
use super::file::document::{Document, parse_sha256};
use super::file::tree::Node;
use super::rule::compile::compile;
use crate::launch::Identity;

/// What stands for the file where there is none.
const NO_FILE: &str = "<grant>";

/// What stands before the hash of a component's bytes.
const HASH: &str = "sha256:";

/// The grants of a file, by component.
#[derive(Debug, Clone)]
pub struct Grants {
    grants: Vec<Arc<Grant>>,
    /// Further keys, each of which must allow a request too.
    also: Vec<Grants>,
}

impl Grants {
    /// Reads a file of TOML, or of JSON if its name ends in `.json`. Relative
    /// paths in it are relative to its folder. Children run as the default
    /// [`Identity`].
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it; nothing of it is then in force.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, GrantError> {
        Self::load_as(path, Identity::default())
    }

    /// Reads a file as [`Grants::load`] does, for children that run as `identity`,
    /// which is also to be said to the launcher
    /// ([`NativeLauncherBuilder::run_as`](crate::sandbox::NativeLauncherBuilder::run_as)).
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it: where a command is confined, a write root
    /// that `identity` cannot write as well.
    pub fn load_as(path: impl AsRef<Path>, identity: Identity) -> Result<Self, GrantError> {
        let path = path.as_ref();
        let refuse = |place, message: String| GrantError::one(path, place, message);
        let bytes = fs::read(path).map_err(|error| refuse(None, error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            refuse(
                Some(line_and_column(error.as_bytes(), at)),
                "this is not UTF-8".into(),
            )
        })?;
        let base = std::path::absolute(path).map_err(|error| refuse(None, error.to_string()))?;
        let base = base
            .parent()
            .map_or_else(|| PathBuf::from("/"), Path::to_owned);
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            Self::from_json(&text, path, &base, identity)
        } else {
            Self::from_toml(&text, path, &base, identity)
        }
    }

    /// Reads TOML. Relative paths in it are relative to `base`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn from_toml_str(text: &str, base: &Path) -> Result<Self, GrantError> {
        Self::from_toml(text, Path::new(NO_FILE), base, Identity::default())
    }

    /// Reads JSON. Relative paths in it are relative to `base`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn from_json_str(text: &str, base: &Path) -> Result<Self, GrantError> {
        Self::from_json(text, Path::new(NO_FILE), base, Identity::default())
    }

    /// Reads a value that another format has parsed: a `toml::Table`, a
    /// `serde_json::Value`. Relative paths in it are relative to `base`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, without places.
    pub fn from_value<'de>(value: impl Deserializer<'de>, base: &Path) -> Result<Self, GrantError> {
        let file = Path::new(NO_FILE);
        let node = Node::deserialize(value)
            .map_err(|error| GrantError::one(file, None, error.to_string()))?;
        Self::from_node(
            &node,
            Diagnostics::new(file, None),
            base,
            Identity::default(),
        )
    }

    /// Returns the grants that allow what these and `other` both allow, as
    /// [`Grant::intersect`] does for one component.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.also.push(other.clone());
        both
    }

    /// Returns the grant of the component with this name, which allows nothing
    /// if the file says nothing of it.
    pub fn component(&self, name: &str) -> Arc<Grant> {
        // A hash is no name: a component cannot claim one.
        let is_named = |grant: &&Arc<Grant>| grant.component() == name && !name.starts_with(HASH);
        let own = self
            .grants
            .iter()
            .find(is_named)
            .cloned()
            .unwrap_or_else(|| Grant::none(name));
        self.also
            .iter()
            .fold(own, |own, other| own.intersect(&other.component(name)))
    }

    /// Returns the grant of the component whose bytes have this hash; failing
    /// that, the one of its name.
    pub fn component_with_sha256(&self, name: &str, sha256: &[u8; 32]) -> Arc<Grant> {
        let own = match self
            .grants
            .iter()
            .find(|grant| hash_of(grant) == Some(*sha256))
        {
            Some(grant) => Arc::new(grant.renamed(name)),
            None => match self.grants.iter().find(|grant| grant.component() == name) {
                Some(grant) if !name.starts_with(HASH) => grant.clone(),
                _ => Grant::none(name),
            },
        };
        let narrow = |own: Arc<Grant>, other: &Self| {
            own.intersect(&other.component_with_sha256(name, sha256))
        };
        self.also.iter().fold(own, narrow)
    }

    /// Returns the grant of each component that the file names, in the order of
    /// the names; one that is named by its hash has that as its name.
    pub fn components(&self) -> impl Iterator<Item = Arc<Grant>> {
        self.grants.iter().map(|grant| match hash_of(grant) {
            Some(hash) => self.component_with_sha256(grant.component(), &hash),
            None => self.component(grant.component()),
        })
    }

    fn from_toml(
        text: &str,
        file: &Path,
        base: &Path,
        identity: Identity,
    ) -> Result<Self, GrantError> {
        let mut out = Diagnostics::new(file, Some(text));
        let node = Node::from_toml(text, |at, message| out.push(at, message));
        if out.len() > 0 {
            // A broken text has holes that would be reported as well.
            out.finish(())?;
            out = Diagnostics::new(file, Some(text));
        }
        Self::from_node(&node, out, base, identity)
    }

    fn from_json(
        text: &str,
        file: &Path,
        base: &Path,
        identity: Identity,
    ) -> Result<Self, GrantError> {
        let node = Node::from_json(text).map_err(|error| {
            GrantError::one(
                file,
                Some((error.line(), error.column().max(1))),
                error.to_string(),
            )
        })?;
        Self::from_node(&node, Diagnostics::new(file, Some(text)), base, identity)
    }

    fn from_node(
        node: &Node,
        mut out: Diagnostics<'_>,
        base: &Path,
        identity: Identity,
    ) -> Result<Self, GrantError> {
        let document = Document::read(node, &mut out);
        let grants = compile(&document, base, identity, &mut out);
        out.finish(Self {
            grants,
            also: Vec::new(),
        })
    }
}

/// Returns the hash that a section is named by, if it is.
fn hash_of(grant: &Grant) -> Option<[u8; 32]> {
    parse_sha256(grant.component().strip_prefix(HASH)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::testing::{allowed, denied, echo, load, open_to_all, request};

    #[test]
    fn every_mistake_is_shown_with_its_place() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("g.toml");
        let text = "version = 1\n[component.c]\nmax-liv = 1\nrate = \"x\"\nlimits = { wall = 5 }\n";
        fs::write(&path, text).expect("the folder is ours");
        let error = Grants::load(&path).expect_err("three things are wrong");
        let places: Vec<_> = error.diagnostics().iter().map(|one| one.place).collect();
        assert_eq!(places, [Some((3, 1)), Some((4, 8)), Some((5, 19))]);
        assert!(
            error.diagnostics()[0]
                .message
                .ends_with("did you mean `max-live`?")
        );
        let shown = error.to_string();
        assert!(
            shown.starts_with(&format!("{}:3:1: unknown key", path.display())),
            "{shown}"
        );
        fs::write(&path, "version = 1\n").expect("the folder is ours");
        Grants::load(&path).expect("nothing is wrong");
    }

    #[test]
    fn what_is_no_text_file_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Grants::load(folder.path()).expect_err("it is a folder");
        let path = folder.path().join("g.toml");
        Grants::load(&path).expect_err("it is missing");
        fs::write(&path, b"version = 1\n# \xff\n").expect("the folder is ours");
        let error = Grants::load(&path).expect_err("it is not UTF-8");
        assert_eq!(error.diagnostics()[0].place, Some((2, 3)));
        fs::write(&path, "version =\n[x\n").expect("the folder is ours");
        let error = Grants::load(&path).expect_err("it is no TOML");
        assert!(error.diagnostics()[0].place.is_some());
    }

    #[test]
    fn a_version_is_needed() {
        let base = Path::new("/");
        for text in ["", "version = 2", "version = \"1\""] {
            Grants::from_toml_str(text, base).expect_err("it is not version 1");
        }
        Grants::from_toml_str("version = 1", base).expect("it is version 1");
    }

    #[test]
    fn relative_paths_are_relative_to_the_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("work")).expect("an empty folder");
        let path = folder.path().join("g.toml");
        let text = format!("version = 1\n{}", echo("cwd = { roots = [\"work\"] }"));
        fs::write(&path, text).expect("the folder is ours");
        let plan = allowed(
            &Grants::load(&path).expect("it is sound").component("c"),
            &request(&[]),
        );
        let real = folder.path().canonicalize().expect("it exists");
        assert_eq!(plan.cwd.path, real.join("work"));
    }

    #[test]
    fn json_and_values_say_the_same_as_toml() {
        let text = format!("version = 1\n{}", echo("args = [\"a\", { int = [1, 2] }]"));
        let table: toml::Table = text.parse().expect("it is TOML");
        let value = serde_json::to_value(&table).expect("it fits JSON");
        let base = Path::new("/");
        let loaded = [
            Grants::from_toml_str(&text, base),
            Grants::from_json_str(&value.to_string(), base),
            Grants::from_value(value, base),
            Grants::from_value(table, base),
        ];
        for grants in loaded {
            let grant = grants.expect("it is sound").component("c");
            allowed(&grant, &request(&["a", "1"]));
            denied(&grant, &request(&["a", "3"]));
        }
    }

    #[test]
    fn mistakes_in_json_have_places_too() {
        let base = Path::new("/");
        let error = Grants::from_json_str("{\"version\": 1,\n \"defalts\": {}}", base)
            .expect_err("a key is unknown");
        assert_eq!(error.diagnostics()[0].place, Some((2, 2)));
        let error = Grants::from_json_str("{\"version\": 1,\n \"version\": 1}", base)
            .expect_err("a key is there twice");
        assert!(
            error.to_string().contains("2:2: `version` is there twice"),
            "{error}"
        );
        Grants::from_json_str("{", base).expect_err("it is no JSON");
        Grants::from_json_str("[]", base).expect_err("it is no table");
        Grants::from_json_str("{\"version\": 1}", base).expect("it is sound");
    }

    #[test]
    fn a_component_may_be_named_by_its_hash() {
        let hash = [0xab; 32];
        let section = format!("sha256:{}", "AB".repeat(32));
        let body =
            echo("args = [\"h\"]").replace("component.c", &format!("component.\"{section}\""));
        let grants = load(&format!("{}{body}", echo("args = [\"n\"]"))).expect("it is sound");
        let by_hash = grants.component_with_sha256("c", &hash);
        assert_eq!(by_hash.component(), "c");
        allowed(&by_hash, &request(&["h"]));
        denied(&by_hash, &request(&["n"]));
        allowed(
            &grants.component_with_sha256("c", &[0; 32]),
            &request(&["n"]),
        );
        // Who calls itself by a hash has not got it.
        denied(&grants.component(&section), &request(&["h"]));
        assert_eq!(grants.components().count(), 2);
        load("[component.\"sha256:12\"]").expect_err("that is no hash");
    }

    #[test]
    fn two_files_are_two_keys() {
        let one = load(&echo("args = [{ one-of = [\"a\", \"b\"] }]")).expect("it is sound");
        let two = load(&echo("args = [{ one-of = [\"b\", \"c\"] }]")).expect("it is sound");
        let both = one.intersect(&two);
        for grant in [
            both.component("c"),
            both.components().next().expect("there is one"),
        ] {
            allowed(&grant, &request(&["b"]));
            denied(&grant, &request(&["a"]));
            denied(&grant, &request(&["c"]));
        }
        denied(&both.component("d"), &request(&["b"]));
    }

    /// The grant of the design, with programs and folders that are here.
    #[test]
    fn a_whole_grant_loads_and_decides() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let work = folder.path().join("work");
        for name in ["", "out", "scripts", ".git", ".git/hooks"] {
            fs::create_dir(work.join(name)).expect("the folder is ours");
        }
        open_to_all(&work.join("out"));
        fs::write(work.join(".env"), "").expect("the folder is ours");
        let text = r#"
version = 1

[defaults]
sandbox  = "required"
network  = "none"
env      = { set = { LANG = "C.UTF-8" }, inherit = ["TZ"] }
fs       = { read = ["/usr", "/lib", "/lib64", "/bin", "/etc/ssl", "/etc/ld.so.cache"] }
limits   = { wall = "30s", cpu = "10s", memory = "256MiB", processes = 256, open-files = 64, file-size = "64MiB", tmpfs = "64MiB" }
capture  = { stdout = "1MiB", stderr = "64KiB" }

[component."report-builder"]
max-live  = 4
max-total = 200
rate      = "20/min"
detach    = { allow = false, max-life = "10min" }
cwd       = { default = "work", roots = ["work"] }
fs        = { read = ["work"], write = ["work/out"], deny = ["work/.git/hooks", "work/.env"] }

[[component."report-builder".command]]
name      = "git-log"
program   = "/bin/echo"
fixed     = ["-c", "core.hooksPath=/dev/null", "--no-pager"]
args      = ["log", { one-of = ["--oneline", "--stat"] }, { int = [1, 1000], prefix = "-n" }, "--",
             { path = { under = ["work"], access = "read" }, repeat = "0..8" }]
env       = { allow = ["GIT_AUTHOR_DATE"], set = { GIT_CONFIG_NOSYSTEM = "1" } }
decision  = "allow"
match     = [["log", "--oneline", "-n5", "--", "a"]]
not-match = [["push"], ["log", "--oneline", "-n5", "--upload-pack=x"]]

[[component."report-builder".command]]
name        = "shell"
program     = "/bin/sh"
args        = ["-e", { path = { under = ["work/scripts"], access = "read" } }, "**"]
interpreter = true
"#;
        let grants = Grants::from_toml_str(text, folder.path()).expect("it is sound");
        let grant = grants.component("report-builder");
        let ask = |name: &str, args: &[&str]| crate::Command::new(name).args(args.iter().copied());
        let plan = allowed(
            &grant,
            &ask("git-log", &["log", "--stat", "-n9", "--", "a", "b"]),
        );
        assert_eq!(plan.argv.len(), 10);
        allowed(&grant, &ask("shell", &["-e", "scripts/x", "y"]));
        denied(&grant, &ask("shell", &["-e", "x", "y"]));
        denied(
            &grant,
            &ask("git-log", &["log", "--stat", "-n9", "--", ".env"]),
        );
        let many = [
            "log", "--stat", "-n9", "--", "a", "a", "a", "a", "a", "a", "a", "a", "a",
        ];
        denied(&grant, &ask("git-log", &many));
        allowed(&grant, &ask("git-log", &many[..12]));
    }
}

//! A grant file, loaded: the grants of all its components.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer};

use super::component::Grant;
use super::file::diagnostics::{Diagnostics, GrantError, line_and_column};
use super::file::document::{Document, parse_sha256};
use super::file::nearest::nearest;
use super::file::tree::Node;
use super::rule::compile::compile;
use super::rule::executable::MissingProgram;
use crate::launch::Identity;

/// The file name in diagnostics of a grant that does not come from a file.
const NO_FILE: &str = "<grant>";

/// The prefix of a section name that is the hash of a component's bytes.
const HASH: &str = "sha256:";

/// The grants of a file, by component.
///
/// Loading reports every mistake at once, with its line and column. It resolves the
/// roots, opens the programs, and takes the host's variables that `env.inherit` names, so
/// that later decisions depend on the request and the file system alone.
///
/// ```
/// use std::path::Path;
///
/// use capspawn_native::Command;
/// use capspawn_native::grant::Grants;
///
/// let text = r#"
///     version = 1
///     [[component.report.command]]
///     name = "hello"
///     program = "/bin/echo"
///     args = ["hello", "*"]
/// "#;
/// let grants = Grants::from_toml_str(text, Path::new("/"))?;
/// let grant = grants.component("report");
/// assert!(grant.decide(&Command::new("hello").args(["hello", "world"])).is_ok());
///
/// // A component that the file does not name may run nothing.
/// assert!(grants.component("other").decide(&Command::new("hello")).is_err());
///
/// let error = Grants::from_toml_str("version = 1\n[component.report]\nmax-liv = 4", Path::new("/"))
///     .expect_err("the key is misspelled");
/// assert_eq!(error.diagnostics()[0].place, Some((3, 1)));
/// # Ok::<(), capspawn_native::grant::GrantError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Grants {
    grants: Vec<Arc<Grant>>,
    /// The grants of further files, each of which must allow a request too.
    intersected: Vec<Grants>,
}

impl Grants {
    /// Loads a TOML file, or a JSON file if its name ends in `.json`. Paths in it are
    /// relative to its folder. Children run as the default [`Identity`].
    ///
    /// # Errors
    ///
    /// Every mistake in the file. Nothing of the file is then in force.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, GrantError> {
        Self::load_as(path, Identity::default())
    }

    /// Loads a file as [`Grants::load`] does, for children that run as `identity`. The
    /// launcher needs the same identity, see
    /// [`NativeLauncherBuilder::run_as`](crate::sandbox::NativeLauncherBuilder::run_as).
    ///
    /// # Errors
    ///
    /// Every mistake in the file, including a write root of a confined command that
    /// `identity` cannot write, and a program that `identity` could replace.
    pub fn load_as(path: impl AsRef<Path>, identity: Identity) -> Result<Self, GrantError> {
        let path = path.as_ref();
        let refuse = |place, message: String| GrantError::one(path, place, message);
        let bytes = fs::read(path).map_err(|error| refuse(None, error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            refuse(
                Some(line_and_column(error.as_bytes(), at)),
                "the file is not UTF-8".into(),
            )
        })?;
        Self::load_text_as(&text, path, identity)
    }

    /// Loads the text of the file `path` as [`Grants::load_as`] does, although the file has another text: for the
    /// comparison with an earlier version of it.
    ///
    /// # Errors
    ///
    /// Every mistake in the text.
    pub fn load_text_as(
        text: &str,
        path: impl AsRef<Path>,
        identity: Identity,
    ) -> Result<Self, GrantError> {
        let path = path.as_ref();
        let base = std::path::absolute(path)
            .map_err(|error| GrantError::one(path, None, error.to_string()))?;
        let base = base.parent().unwrap_or(Path::new("/"));
        match path.extension() {
            Some(extension) if extension == "json" => Self::from_json(text, path, base, identity),
            _ => Self::from_toml(text, path, base, identity, MissingProgram::Refuse),
        }
    }

    /// Loads TOML. Paths in it are relative to `base`. Children run as the default
    /// [`Identity`].
    ///
    /// # Errors
    ///
    /// Every mistake in the text.
    pub fn from_toml_str(text: &str, base: &Path) -> Result<Self, GrantError> {
        let missing = MissingProgram::Refuse;
        Self::from_toml(text, Path::new(NO_FILE), base, Identity::default(), missing)
    }

    /// Loads TOML as [`Grants::from_toml_str`] does, on a machine that may lack the programs: an empty file, which no system
    /// executes, stands in for each that is missing. Its hash (`sha256`) is not compared. Directories must exist. Children
    /// run as the host's own user.
    ///
    /// For launchers that execute nothing, in tests of a plugin.
    ///
    /// # Errors
    ///
    /// Every mistake in the text but a missing program.
    ///
    /// ```
    /// use capspawn_native::{Command, Grants};
    ///
    /// let text = r#"
    ///     version = 1
    ///     [[component.report.command]]
    ///     name = "compile"
    ///     program = "/opt/compiler-of-nobody/bin/compile"
    ///     args = ["--check"]
    /// "#;
    /// Grants::from_toml_str(text, "/".as_ref()).expect_err("the program is missing");
    /// let grants = Grants::from_toml_str_without_programs(text, "/".as_ref())?;
    /// let grant = grants.component("report");
    /// assert!(grant.decide(&Command::new("compile").arg("--check")).is_ok());
    /// assert!(grant.decide(&Command::new("compile").arg("--install")).is_err());
    /// # Ok::<(), capspawn_native::GrantError>(())
    /// ```
    pub fn from_toml_str_without_programs(text: &str, base: &Path) -> Result<Self, GrantError> {
        let missing = MissingProgram::StandIn;
        Self::from_toml(text, Path::new(NO_FILE), base, Identity::host(), missing)
    }

    /// Loads JSON. Paths in it are relative to `base`. Children run as the default
    /// [`Identity`].
    ///
    /// # Errors
    ///
    /// Every mistake in the text.
    pub fn from_json_str(text: &str, base: &Path) -> Result<Self, GrantError> {
        Self::from_json(text, Path::new(NO_FILE), base, Identity::default())
    }

    /// Loads a value that is already parsed, for example a `toml::Table` or a
    /// `serde_json::Value`. Paths in it are relative to `base`. Children run as the
    /// default [`Identity`].
    ///
    /// # Errors
    ///
    /// Every mistake in the value, without lines and columns.
    pub fn from_value<'de>(value: impl Deserializer<'de>, base: &Path) -> Result<Self, GrantError> {
        let file = Path::new(NO_FILE);
        let node = Node::deserialize(value)
            .map_err(|error| GrantError::one(file, None, error.to_string()))?;
        Self::from_node(
            &node,
            Diagnostics::new(file, None),
            base,
            Identity::default(),
            MissingProgram::Refuse,
        )
    }

    /// Returns the grants that allow what both these and `other` allow, component by
    /// component as [`Grant::intersect`] does.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.intersected.push(other.clone());
        both
    }

    /// Returns the grant of the component with this name. It allows nothing if the file
    /// has no section for the component.
    pub fn component(&self, name: &str) -> Arc<Grant> {
        // A component cannot claim the section of a hash by its name.
        let is_named = |grant: &&Arc<Grant>| grant.component() == name && !name.starts_with(HASH);
        let own = self
            .grants
            .iter()
            .find(is_named)
            .cloned()
            .unwrap_or_else(|| Grant::deny_all(name));
        self.intersected
            .iter()
            .fold(own, |own, other| own.intersect(&other.component(name)))
    }

    /// Returns the grant of the component whose bytes have this hash; if the file has no
    /// section for the hash, the grant of the component's name.
    pub fn component_with_sha256(&self, name: &str, sha256: &[u8; 32]) -> Arc<Grant> {
        let own = match self
            .grants
            .iter()
            .find(|grant| hash_of(grant) == Some(*sha256))
        {
            Some(grant) => Arc::new(grant.renamed(name)),
            None => match self.grants.iter().find(|grant| grant.component() == name) {
                Some(grant) if !name.starts_with(HASH) => grant.clone(),
                _ => Grant::deny_all(name),
            },
        };
        let narrow = |own: Arc<Grant>, other: &Self| {
            own.intersect(&other.component_with_sha256(name, sha256))
        };
        self.intersected.iter().fold(own, narrow)
    }

    /// Returns the grant of each component that the file names, in the order of the names.
    /// A component that is named by its hash has `sha256:` and the hash as its name.
    pub fn components(&self) -> impl Iterator<Item = Arc<Grant>> {
        self.grants.iter().map(|grant| match hash_of(grant) {
            Some(hash) => self.component_with_sha256(grant.component(), &hash),
            None => self.component(grant.component()),
        })
    }

    /// Returns the grants as the file has them, without those of intersected files.
    pub(super) fn own(&self) -> impl Iterator<Item = &Grant> {
        self.grants.iter().map(Arc::as_ref)
    }

    /// Returns the name of a component of the file that is close to `name`, for a hint to who mistyped it. None if
    /// the file has a section of this name.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        let names = || self.grants.iter().map(|grant| grant.component());
        if names().any(|it| it == name) {
            return None;
        }
        nearest(name, names())
    }

    fn from_toml(
        text: &str,
        file: &Path,
        base: &Path,
        identity: Identity,
        missing: MissingProgram,
    ) -> Result<Self, GrantError> {
        let mut out = Diagnostics::new(file, Some(text));
        let node = Node::from_toml(text, |at, message| out.push(at, message));
        if out.len() > 0 {
            // The parts that a syntax error hides would be reported as missing.
            out.finish(())?;
            out = Diagnostics::new(file, Some(text));
        }
        Self::from_node(&node, out, base, identity, missing)
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
        let out = Diagnostics::new(file, Some(text));
        Self::from_node(&node, out, base, identity, MissingProgram::Refuse)
    }

    fn from_node(
        node: &Node,
        mut out: Diagnostics<'_>,
        base: &Path,
        identity: Identity,
        missing: MissingProgram,
    ) -> Result<Self, GrantError> {
        let document = Document::read(node, &mut out);
        let sections = compile(&document, base, identity, missing, &mut out);
        let grants = sections.into_iter().map(Grant::new).map(Arc::new).collect();
        out.finish(Self {
            grants,
            intersected: Vec::new(),
        })
    }
}

/// Returns whether a section of this name is for the component whose bytes have a hash.
pub(super) fn is_hash(name: &str) -> bool {
    name.starts_with(HASH)
}

/// Returns the hash that a section is named by; none if it is named otherwise.
fn hash_of(grant: &Grant) -> Option<[u8; 32]> {
    parse_sha256(grant.component().strip_prefix(HASH)?)
}

#[cfg(test)]
mod tests;

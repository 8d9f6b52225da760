//! A grant file: the grants of all its components.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer};

use super::authority::Grant;
use super::compile::compile;
use super::document::{Document, parse_sha256};
use super::error::{Diagnostics, GrantError, line_and_column};
use super::node::Node;

/// What stands for the file where there is none.
const NO_FILE: &str = "<grant>";

/// The grants of a file, by component.
#[derive(Debug)]
pub struct Grants {
    grants: Vec<Arc<Grant>>,
}

impl Grants {
    /// Reads a file of TOML, or of JSON if its name ends in `.json`. Relative
    /// paths in it are relative to its folder.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it; nothing of it is then in force.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, GrantError> {
        let path = path.as_ref();
        let refuse = |place, message: String| GrantError::one(path, place, message);
        let bytes = fs::read(path).map_err(|error| refuse(None, error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            refuse(Some(line_and_column(error.as_bytes(), at)), "this is not UTF-8".into())
        })?;
        let base = std::path::absolute(path).map_err(|error| refuse(None, error.to_string()))?;
        let base = base.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
        if path.extension().is_some_and(|extension| extension == "json") {
            Self::from_json(&text, path, &base)
        } else {
            Self::from_toml(&text, path, &base)
        }
    }

    /// Reads TOML. Relative paths in it are relative to `base`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn from_toml_str(text: &str, base: &Path) -> Result<Self, GrantError> {
        Self::from_toml(text, Path::new(NO_FILE), base)
    }

    /// Reads JSON. Relative paths in it are relative to `base`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn from_json_str(text: &str, base: &Path) -> Result<Self, GrantError> {
        Self::from_json(text, Path::new(NO_FILE), base)
    }

    /// Reads a value that another format has parsed: a `toml::Table`, a
    /// `serde_json::Value`. Relative paths in it are relative to `base`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, without places.
    pub fn from_value<'de>(
        value: impl Deserializer<'de>,
        base: &Path,
    ) -> Result<Self, GrantError> {
        let file = Path::new(NO_FILE);
        let node = Node::deserialize(value)
            .map_err(|error| GrantError::one(file, None, error.to_string()))?;
        Self::from_node(&node, Diagnostics::new(file, None), base)
    }

    /// Returns the grant of the component with this name, which allows nothing
    /// if the file says nothing of it.
    pub fn component(&self, name: &str) -> Arc<Grant> {
        match self.grants.iter().find(|grant| grant.component() == name) {
            // A hash is no name: a component cannot claim one.
            Some(grant) if !name.starts_with("sha256:") => grant.clone(),
            _ => Grant::none(name),
        }
    }

    /// Returns the grant of the component whose bytes have this hash; failing
    /// that, the one of its name.
    pub fn component_with_sha256(&self, name: &str, sha256: &[u8; 32]) -> Arc<Grant> {
        let has_hash = |grant: &&Arc<Grant>| {
            let hex = grant.component().strip_prefix("sha256:");
            hex.and_then(parse_sha256).is_some_and(|hash| hash == *sha256)
        };
        self.grants.iter().find(has_hash).cloned().unwrap_or_else(|| self.component(name))
    }

    /// Returns the grant of each component that the file names.
    pub fn components(&self) -> impl Iterator<Item = &Arc<Grant>> {
        self.grants.iter()
    }

    fn from_toml(text: &str, file: &Path, base: &Path) -> Result<Self, GrantError> {
        let mut out = Diagnostics::new(file, Some(text));
        let node = Node::from_toml(text, |at, message| out.push(at, message));
        if out.len() > 0 {
            // A broken text has holes that would be reported as well.
            out.finish(())?;
            out = Diagnostics::new(file, Some(text));
        }
        Self::from_node(&node, out, base)
    }

    fn from_json(text: &str, file: &Path, base: &Path) -> Result<Self, GrantError> {
        let node = Node::from_json(text).map_err(|error| {
            GrantError::one(file, Some((error.line(), error.column())), error.to_string())
        })?;
        Self::from_node(&node, Diagnostics::new(file, Some(text)), base)
    }

    fn from_node(node: &Node, mut out: Diagnostics<'_>, base: &Path) -> Result<Self, GrantError> {
        let document = Document::read(node, &mut out);
        let grants = compile(&document, base, &mut out);
        out.finish(Self { grants })
    }
}

//! The settings in force for a command: those of the defaults, the component and the
//! command. Lists add up, single values replace.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::system_files;
use crate::confinement::{Confinement, FsRoot, FsRules, Network, Sandbox};
use crate::grant::check::denied::is_denied;
use crate::grant::file::diagnostics::{Diagnostics, Offset};
use crate::grant::file::layer::Layer;
use crate::grant::file::table::Text;
use crate::grant::paths::{denied, is_under, root};
use crate::limits::{CaptureCaps, Limits};

/// The settings in force for a command, with the roots resolved.
#[derive(Debug, Clone)]
pub(in crate::grant) struct Settings {
    pub(in crate::grant) sandbox: Sandbox,
    pub(in crate::grant) network: Network,
    pub(in crate::grant) disclose_pid: bool,
    pub(in crate::grant) stdin: bool,
    pub(in crate::grant) redirect: bool,
    pub(in crate::grant) allow_bytes: bool,
    pub(in crate::grant) set: BTreeMap<String, String>,
    pub(in crate::grant) inherit: BTreeSet<String>,
    pub(in crate::grant) allow: BTreeSet<String>,
    pub(in crate::grant) read: Vec<FsRoot>,
    pub(in crate::grant) write: Vec<FsRoot>,
    pub(in crate::grant) deny: Vec<FsRoot>,
    pub(in crate::grant) limits: Limits,
    pub(in crate::grant) capture: CaptureCaps,
    pub(in crate::grant) cwd: Option<Cwd>,
}

/// Where children start.
#[derive(Debug, Clone)]
pub(in crate::grant) struct Cwd {
    pub(in crate::grant) default: FsRoot,
    pub(in crate::grant) roots: Vec<FsRoot>,
}

impl Cwd {
    /// Returns every directory that the grant names, each once.
    pub(in crate::grant) fn directories(&self) -> impl Iterator<Item = &FsRoot> {
        let is_other = |root: &&FsRoot| **root != self.default;
        [&self.default]
            .into_iter()
            .chain(self.roots.iter().filter(is_other))
    }
}

/// What happens to a root that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Skipped,
    Refused,
}

impl Settings {
    /// Returns the built-in settings, replaced by those of `[defaults]`.
    pub(in crate::grant) fn defaults(
        layer: &Layer,
        base: &Path,
        out: &mut Diagnostics<'_>,
    ) -> Self {
        let mut settings = Self {
            sandbox: Sandbox::default(),
            network: Network::default(),
            disclose_pid: false,
            stdin: true,
            redirect: false,
            allow_bytes: false,
            set: BTreeMap::new(),
            inherit: BTreeSet::new(),
            allow: BTreeSet::new(),
            read: Vec::new(),
            write: Vec::new(),
            deny: Vec::new(),
            limits: Limits::default(),
            capture: CaptureCaps::default(),
            cwd: None,
        };
        if layer.env.set.is_none() {
            settings.set.insert("LANG".into(), "C.UTF-8".into());
        }
        if layer.env.inherit.is_none() {
            settings.inherit.insert("TZ".into());
        }
        if layer.fs.read.is_none() {
            settings.read = system_files::every_child().collect();
        }
        settings.add(layer, base, Missing::Skipped, out);
        settings
    }

    /// Returns these settings with those of `layer` added.
    pub(in crate::grant) fn with(
        &self,
        layer: &Layer,
        base: &Path,
        out: &mut Diagnostics<'_>,
    ) -> Self {
        let mut sum = self.clone();
        sum.add(layer, base, Missing::Refused, out);
        sum
    }

    fn add(&mut self, layer: &Layer, base: &Path, missing: Missing, out: &mut Diagnostics<'_>) {
        replace(&mut self.sandbox, layer.sandbox);
        replace(&mut self.network, layer.network);
        replace(&mut self.disclose_pid, layer.disclose_pid);
        replace(&mut self.stdin, layer.stdin);
        replace(&mut self.redirect, layer.redirect);
        replace(&mut self.allow_bytes, layer.allow_bytes);
        self.add_env(layer, out);
        let fs = [
            (&mut self.read, &layer.fs.read),
            (&mut self.write, &layer.fs.write),
        ];
        for (roots, layer) in fs {
            roots.extend(read_roots(layer.iter().flatten(), base, missing, out));
        }
        for text in layer.fs.deny.iter().flatten() {
            // Never skipped: a path that is missing now is hidden once it appears.
            let found = match missing {
                Missing::Skipped => denied(base, &text.value),
                Missing::Refused => root(base, &text.value),
            };
            match found {
                Ok(denied) => self.deny.push(denied),
                Err(error) => {
                    out.push(text.at, format!("{} cannot be denied: {error}", text.value))
                }
            }
        }
        let limits = &layer.limits;
        replace(&mut self.limits.wall, limits.wall);
        replace(&mut self.limits.cpu, limits.cpu);
        replace(&mut self.limits.memory_bytes, limits.memory);
        replace(&mut self.limits.processes, limits.processes);
        replace(&mut self.limits.open_files, limits.open_files);
        replace(&mut self.limits.file_size_bytes, limits.file_size);
        replace(&mut self.limits.tmpfs_bytes, limits.tmpfs);
        replace(&mut self.limits.output_bytes, limits.output);
        replace(&mut self.capture.stdout_bytes, layer.capture.stdout);
        replace(&mut self.capture.stderr_bytes, layer.capture.stderr);
        self.add_cwd(layer, base, missing, out);
    }

    fn add_env(&mut self, layer: &Layer, out: &mut Diagnostics<'_>) {
        let env = &layer.env;
        for (name, value) in env.set.iter().flatten() {
            check_name(name, value.at, out);
            self.set.insert(name.clone(), value.value.clone());
        }
        for name in env.inherit.iter().flatten() {
            check_name(&name.value, name.at, out);
            if name.value.contains('*') {
                out.push(
                    name.at,
                    "`inherit` takes complete names: a pattern could pass on more of the host's variables than intended",
                );
            }
            self.inherit.insert(name.value.clone());
        }
        for name in env.allow.iter().flatten() {
            check_name(&name.value, name.at, out);
            if name
                .value
                .strip_suffix('*')
                .unwrap_or(&name.value)
                .contains('*')
            {
                out.push(name.at, "`*` is only allowed at the end of a name");
            }
            self.allow.insert(name.value.clone());
        }
    }

    fn add_cwd(&mut self, layer: &Layer, base: &Path, missing: Missing, out: &mut Diagnostics<'_>) {
        let Some(cwd) = &layer.cwd else { return };
        let mut roots = self
            .cwd
            .as_ref()
            .map(|cwd| cwd.roots.clone())
            .unwrap_or_default();
        roots.extend(read_roots(cwd.roots.iter(), base, missing, out));
        let own = cwd.default.iter();
        let default = match read_roots(own, base, missing, out).pop() {
            Some(default) => Some(default),
            None => self
                .cwd
                .as_ref()
                .map(|cwd| cwd.default.clone())
                .or(roots.first().cloned()),
        };
        let Some(default) = default else {
            if missing == Missing::Refused && cwd.default.is_none() && cwd.roots.is_empty() {
                out.push(cwd.at, "`cwd` needs a `default` or `roots`");
            }
            return;
        };
        if roots.is_empty() {
            roots.push(default.clone());
        }
        if !is_under(&default.real, &roots) {
            out.push(cwd.at, "`cwd.default` lies outside `cwd.roots`");
        }
        self.cwd = Some(Cwd { default, roots });
    }

    /// Returns the resolved directory in which a child starts unless the guest chooses one.
    pub(in crate::grant) fn default_cwd(&self) -> &Path {
        self.cwd
            .as_ref()
            .map_or(Path::new("/"), |cwd| &cwd.default.real)
    }

    /// Returns what the child is to be confined to.
    pub(in crate::grant) fn confinement(&self) -> Confinement {
        // A denied root that the grant lists is an error. What is left is of the built-in list.
        let is_denied = |root: &&FsRoot| self.deny.iter().any(|it| is_denied(root, it));
        let read = self.read.iter().filter(|root| !is_denied(root));
        let mut read: Vec<_> = read.cloned().collect();
        if self.network == Network::Host {
            for root in system_files::network().filter(|root| !is_denied(&root)) {
                if !is_under(&root.real, read.iter().chain(&self.write)) {
                    read.push(root);
                }
            }
        }
        Confinement {
            sandbox: self.sandbox,
            network: self.network,
            fs: FsRules {
                read,
                write: self.write.clone(),
                deny: self.deny.clone(),
            },
        }
    }
}

fn replace<T: Clone>(value: &mut T, layer: Option<T>) {
    if let Some(layer) = layer {
        *value = layer;
    }
}

fn check_name(name: &str, at: Offset, out: &mut Diagnostics<'_>) {
    if name.is_empty() || name.contains(['=', '\0']) {
        out.push(at, format!("{name:?} is not a valid name of a variable"));
    }
}

fn read_roots<'a>(
    texts: impl Iterator<Item = &'a Text>,
    base: &Path,
    missing: Missing,
    out: &mut Diagnostics<'_>,
) -> Vec<FsRoot> {
    let mut roots = Vec::new();
    for text in texts {
        match root(base, &text.value) {
            Ok(root) => roots.push(root),
            Err(_) if missing == Missing::Skipped => {}
            Err(error) => out.push(text.at, format!("{}: {error}", text.value)),
        }
    }
    roots
}

#[cfg(test)]
mod tests;

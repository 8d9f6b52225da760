//! The sum of defaults, component and command: lists add up, single values
//! replace.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::confinement::{Confinement, FsRules, Network, Sandbox};
use crate::grant::file::diagnostics::{At, Diagnostics};
use crate::grant::file::layer::Layer;
use crate::grant::file::table::Text;
use crate::grant::paths::{Root, is_under, root};
use crate::limits::{CaptureCaps, Limits};

/// What a child may read where `[defaults]` says nothing.
pub(in crate::grant) const DEFAULT_READ: [&str; 12] = [
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/sbin",
    "/etc/ssl",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/localtime",
];

/// What is in force for a command, roots resolved.
#[derive(Debug, Clone)]
pub(in crate::grant) struct Settings {
    pub(in crate::grant) sandbox: Sandbox,
    pub(in crate::grant) network: Network,
    pub(in crate::grant) disclose_pid: bool,
    pub(in crate::grant) set: BTreeMap<String, String>,
    pub(in crate::grant) inherit: BTreeSet<String>,
    pub(in crate::grant) allow: BTreeSet<String>,
    pub(in crate::grant) read: Vec<Root>,
    pub(in crate::grant) write: Vec<Root>,
    pub(in crate::grant) deny: Vec<Root>,
    pub(in crate::grant) limits: Limits,
    pub(in crate::grant) capture: CaptureCaps,
    pub(in crate::grant) cwd: Option<Cwd>,
}

/// Where children start.
#[derive(Debug, Clone)]
pub(in crate::grant) struct Cwd {
    pub(in crate::grant) default: Root,
    pub(in crate::grant) roots: Vec<Root>,
}

/// What becomes of a root that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Skipped,
    Refused,
}

impl Settings {
    /// Returns the built-in values, replaced by what `[defaults]` says.
    pub(in crate::grant) fn defaults(
        layer: &Layer,
        base: &Path,
        out: &mut Diagnostics<'_>,
    ) -> Self {
        let mut settings = Self {
            sandbox: Sandbox::default(),
            network: Network::default(),
            disclose_pid: false,
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
            let found = DEFAULT_READ.iter().filter_map(|path| root(base, path).ok());
            settings.read = found.collect();
        }
        settings.add(layer, base, Missing::Skipped, out);
        settings
    }

    /// Returns the sum of these and `layer`.
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
        self.add_env(layer, out);
        let fs = [
            (&mut self.read, &layer.fs.read),
            (&mut self.write, &layer.fs.write),
            (&mut self.deny, &layer.fs.deny),
        ];
        for (roots, layer) in fs {
            roots.extend(read_roots(layer.iter().flatten(), base, missing, out));
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
                    "`inherit` takes whole names: a pattern would leak the host's",
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
                out.push(name.at, "`*` stands only at the end of a name");
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

    /// Returns where a child starts that asks for nothing, resolved.
    pub(in crate::grant) fn start(&self) -> &Path {
        self.cwd
            .as_ref()
            .map_or(Path::new("/"), |cwd| &cwd.default.real)
    }

    /// Returns what a sandbox is asked for.
    pub(in crate::grant) fn confinement(&self) -> Confinement {
        Confinement {
            sandbox: self.sandbox,
            network: self.network,
            fs: FsRules {
                read: self.read.clone(),
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

fn check_name(name: &str, at: At, out: &mut Diagnostics<'_>) {
    if name.is_empty() || name.contains(['=', '\0']) {
        out.push(at, format!("{name:?} cannot name a variable"));
    }
}

fn read_roots<'a>(
    texts: impl Iterator<Item = &'a Text>,
    base: &Path,
    missing: Missing,
    out: &mut Diagnostics<'_>,
) -> Vec<Root> {
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
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::grant::testing::{allowed, component, echo, refused, request};

    #[test]
    fn absent_defaults_are_the_built_in_ones() {
        let plan = allowed(&component(&echo("")), &request(&[]));
        assert_eq!(plan.limits, Limits::default());
        assert_eq!(plan.capture, CaptureCaps::default());
        assert_eq!(plan.confinement.sandbox, Sandbox::Required);
        assert_eq!(plan.confinement.network, Network::None);
        assert!(plan.confinement.fs.write.is_empty() && plan.confinement.fs.deny.is_empty());
        let read = &plan.confinement.fs.read;
        for root in DEFAULT_READ {
            assert_eq!(
                read.iter().any(|read| read.written == Path::new(root)),
                Path::new(root).exists(),
                "{root}"
            );
        }
        let names: Vec<_> = plan.env.iter().map(|(name, _)| name.as_str()).collect();
        assert!(
            names.iter().all(|name| ["LANG", "TZ"].contains(name)),
            "{names:?}"
        );
        assert!(plan.env.contains(&("LANG".into(), "C.UTF-8".into())));
    }

    #[test]
    fn lists_add_up_and_values_replace() {
        let grant = component(&format!(
            "[defaults]
             fs = {{ read = [\"/usr\"] }}
             env = {{ set = {{ A = \"1\", B = \"1\" }}, allow = [\"X\"] }}
             limits = {{ wall = \"9s\", memory = \"unlimited\" }}
             [component.c]
             fs = {{ read = [\"/etc\"] }}
             env = {{ set = {{ B = \"2\" }} }}
             limits = {{ cpu = \"3s\" }}
             {}",
            echo(
                "fs = { write = [\"/tmp\"] }\nenv = { allow = [\"Y\"] }
                 limits = { cpu = \"2s\" }\ncapture = { stdout = \"3B\" }"
            ),
        ));
        let mut command = request(&[]);
        command.env = [("X", "x"), ("Y", "y")]
            .map(|(n, v)| (n.into(), v.into()))
            .into();
        let plan = allowed(&grant, &command);
        assert_eq!(plan.confinement.fs.read, ["/usr", "/etc"].map(Root::from));
        assert_eq!(plan.confinement.fs.write, ["/tmp"].map(Root::from));
        assert_eq!(plan.limits.wall, Duration::from_secs(9));
        assert_eq!(plan.limits.cpu, Some(Duration::from_secs(2)));
        assert_eq!(plan.limits.memory_bytes, None);
        assert_eq!(plan.limits.processes, Limits::default().processes);
        assert_eq!(plan.capture.stdout_bytes, 3);
        let set = |name: &str| {
            plan.env
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.as_str())
        };
        assert_eq!(
            (set("A"), set("B"), set("LANG")),
            (Some("1"), Some("2"), None)
        );
    }

    #[test]
    fn a_pid_is_disclosed_where_it_is_said() {
        let discloses = |section: &str, command: &str| {
            let text = format!("[component.c]\n{section}\n{}", echo(command));
            allowed(&component(&text), &request(&[])).disclose_pid
        };
        let (yes, no) = ("disclose-pid = true", "disclose-pid = false");
        assert!(!discloses("", ""));
        assert!(discloses("", yes) && discloses(yes, ""));
        assert!(!discloses(yes, no) && discloses(no, yes));
        let wrong = refused(&echo("disclose-pid = 1"));
        assert!(wrong.contains("`disclose-pid` is true or false"), "{wrong}");
    }

    #[test]
    fn a_start_lies_below_its_roots() {
        let start = |cwd: &str| echo(&format!("cwd = {cwd}"));
        let plan = allowed(&component(&start("{ roots = [\"/usr\"] }")), &request(&[]));
        assert_eq!(plan.cwd.path, Path::new("/usr"));
        let wrong = refused(&start("{ default = \"/etc\", roots = [\"/usr\"] }"));
        assert!(wrong.contains("outside `cwd.roots`"), "{wrong}");
        assert!(refused(&start("{}")).contains("needs a `default` or `roots`"));
        assert!(refused(&start("\"/usr\"")).contains("a table"));
    }

    #[test]
    fn names_of_variables_are_names() {
        for env in [
            "{ inherit = [\"*\"] }",
            "{ allow = [\"A*B\"] }",
            "{ set = { \"A=B\" = \"\" } }",
        ] {
            refused(&echo(&format!("env = {env}")));
        }
    }
}

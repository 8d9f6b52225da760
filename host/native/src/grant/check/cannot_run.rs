//! Settings with which a command does not run, or does not find what it needs.

use std::path::{Path, PathBuf};

use super::permissions::{READ, SEARCH, permits};
use super::reachable::{closed_ancestor, user_of_children};
use crate::confinement::{Confinement, FsRoot, Network, Sandbox};
use crate::grant::paths::{is_denied, is_under, resolve};
use crate::launch::Identity;

/// What names are resolved by.
const RESOLVER: &str = "/etc/resolv.conf";

/// The parts of a command that decide whether it runs.
#[derive(Debug)]
pub(in crate::grant) struct Started<'a> {
    /// The command's name.
    pub(in crate::grant) name: &'a str,
    /// The files that are executed: the program, or a script and its interpreter. None for any program.
    pub(in crate::grant) files: Vec<&'a PathBuf>,
    /// Where it starts, and where a component may choose to start it.
    pub(in crate::grant) directories: Vec<&'a FsRoot>,
    /// What it is confined to.
    pub(in crate::grant) confinement: &'a Confinement,
    /// The `PATH` that the grant gives it, if it does.
    pub(in crate::grant) path: Option<&'a str>,
    /// The user that it runs as.
    pub(in crate::grant) identity: Identity,
}

/// Returns a line for each fault, with what to do about it.
pub(in crate::grant) fn faults(started: &Started<'_>) -> Vec<String> {
    let Confinement {
        sandbox,
        network,
        fs,
    } = started.confinement;
    if *sandbox == Sandbox::None {
        return Vec::new();
    }
    let name = started.name;
    let mut lines = Vec::new();
    let is_seen = |path: &Path| {
        is_under(path, fs.read.iter().chain(&fs.write))
            && !is_denied(path, &fs.deny, |written| resolve(Path::new("/"), written))
    };
    for directory in started.directories.iter().filter(|it| !is_seen(&it.real)) {
        let shown = directory.written.display();
        lines.push(format!(
            "{name}: cwd {shown} lies in no fs.read or fs.write: in tier A the command does not start there, and in tier B \
             it cannot read it. Add {shown} to fs.read"
        ));
    }
    for file in &started.files {
        lines.extend(unreachable(file, started.identity).map(|reason| format!("{name}: {reason}")));
    }
    let resolver = Path::new(RESOLVER);
    if *network == Network::Host && !resolver.canonicalize().is_ok_and(|real| is_seen(&real)) {
        let reason = match resolver.exists() {
            true => "fs.deny hides it: take it out of fs.deny",
            false => "this host has none",
        };
        lines.push(format!(
            "{name}: network = \"host\" without {RESOLVER}: names of hosts are not resolved, because {reason}"
        ));
    }
    if let Some(path) = started.path
        && !path.split(':').any(|folder| {
            Path::new(folder)
                .canonicalize()
                .is_ok_and(|real| is_seen(&real))
        })
    {
        lines.push(format!(
            "{name}: the child sees no folder of its PATH ({path:?}): a program that it starts by name is not found. Write \
             folders that fs.read has, such as \"/usr/bin:/bin\", or leave PATH out for the default"
        ));
    }
    lines
}

/// Returns what keeps the children's user from executing a file, and what to do about it.
fn unreachable(file: &Path, identity: Identity) -> Option<String> {
    let real = file.canonicalize().ok()?;
    let user = user_of_children(identity);
    let shown = file.display();
    if let Some(folder) = closed_ancestor(&real, identity) {
        let folder = folder.display();
        return Some(format!(
            "{user} cannot search {folder}, so in tier A {shown} does not start: install it where all users can reach it"
        ));
    }
    let metadata = real.metadata().ok()?;
    (!permits(identity, &real, &metadata, READ | SEARCH)).then(|| {
        format!("{user} cannot read and execute {shown}, so it does not start: chmod it, or install it for all users")
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use crate::grant::testing::{component, echo};

    fn warnings(text: &str) -> Vec<String> {
        component(text).warnings().to_vec()
    }

    #[test]
    fn a_working_directory_outside_the_roots_is_a_warning() {
        let found = warnings(&echo("cwd = { default = \"/var\" }"));
        assert!(
            found
                .iter()
                .any(|it| it.contains("cwd /var lies in no fs.read")),
            "{found:?}"
        );
        let found = warnings(&echo(
            "cwd = { default = \"/usr\", roots = [\"/usr\", \"/var\"] }",
        ));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("cwd /var"), "{found:?}");
        for inside in [
            "cwd = { default = \"/usr\" }",
            "cwd = { default = \"/var\" }\nfs.read = [\"/var\"]",
            "",
        ] {
            assert_eq!(warnings(&echo(inside)), [""; 0], "{inside}");
        }
    }

    #[test]
    fn a_program_that_the_user_of_children_cannot_reach_is_a_warning() {
        if !test_kit::is_root() {
            return;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = folder.path().join("program");
        fs::write(&program, "\u{7f}ELF").expect("an empty folder");
        let mode = |path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours")
        };
        let text = echo("").replace("/bin/echo", program.to_str().expect("UTF-8"));
        for (folder_mode, file_mode, reason) in [
            (0o700, 0o755, Some("cannot search")),
            (0o755, 0o700, Some("cannot read and execute")),
            (0o755, 0o755, None),
        ] {
            mode(folder.path(), folder_mode);
            mode(&program, file_mode);
            let found = warnings(&text);
            match reason {
                Some(reason) => assert!(found.iter().any(|it| it.contains(reason)), "{found:?}"),
                None => assert_eq!(found, [""; 0]),
            }
        }
    }

    #[test]
    fn a_search_path_of_which_the_child_sees_nothing_is_a_warning() {
        for (path, warns) in [
            ("", true),
            ("/var/bin:/opt/absent", true),
            ("/opt/absent:/usr/bin", false),
        ] {
            let found = warnings(&echo(&format!("env = {{ set = {{ PATH = {path:?} }} }}")));
            assert_eq!(
                found.iter().any(|it| it.contains("PATH")),
                warns,
                "{path}: {found:?}"
            );
        }
    }

    #[test]
    fn the_network_of_the_host_without_its_resolver_is_a_warning() {
        let hidden = "network = \"host\"\nfs.deny = [\"/etc/resolv.conf\"]";
        let found = warnings(&echo(hidden));
        assert!(
            found
                .iter()
                .any(|it| it.contains("names of hosts are not resolved")),
            "{found:?}"
        );
        let exists = std::path::Path::new("/etc/resolv.conf").exists();
        assert_eq!(warnings(&echo("network = \"host\"")).is_empty(), exists);
    }
}

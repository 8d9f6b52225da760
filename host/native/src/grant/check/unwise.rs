//! Settings that are valid, and that few operators would choose knowingly.

use std::path::{Path, PathBuf};

use crate::confinement::{FsRoot, FsRules};
use crate::grant::paths::{is_denied, resolve};
use crate::limits::Limits;

/// Files in which people and programs keep secrets, as they lie in a home directory or a project.
const SECRETS: [&str; 17] = [
    ".ssh",
    ".aws",
    ".azure",
    ".config/gcloud",
    ".config/gh",
    ".gnupg",
    ".kube",
    ".docker/config.json",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".git-credentials",
    ".cargo/credentials.toml",
    ".password-store",
    ".env",
    "etc/shadow",
];

/// The most files that one line names.
const MAX_NAMED: usize = 3;

/// Parts of names of variables that are likely to hold a secret.
const SECRET_NAMES: [&str; 6] = [
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "CREDENTIAL",
    "API_KEY",
];

/// Returns a line for each root in which secrets lie that are not denied.
pub(in crate::grant) fn secrets(fs: &FsRules) -> Vec<String> {
    let line = |root: &FsRoot| {
        let found: Vec<PathBuf> = homes(&root.real)
            .flat_map(|home| SECRETS.map(|name| home.join(name)))
            .filter(|path| {
                path.symlink_metadata().is_ok()
                    && !is_denied(path, &fs.deny, |written| resolve(Path::new("/"), written))
            })
            .collect();
        if found.is_empty() {
            return None;
        }
        let named: Vec<_> = found
            .iter()
            .take(MAX_NAMED)
            .map(|path| path.display().to_string())
            .collect();
        let more = if found.len() > MAX_NAMED {
            " and more"
        } else {
            ""
        };
        Some(format!(
            "the files of {} include {}{more}, which may hold secrets: list the folders that are needed, or hide these by \
             fs.deny",
            root.written.display(),
            named.join(", "),
        ))
    };
    fs.read.iter().chain(&fs.write).filter_map(line).collect()
}

/// Returns the directories below a root that may be a home or a project: the root, and the homes in it.
fn homes(root: &Path) -> impl Iterator<Item = PathBuf> {
    let holders = match root {
        root if root == Path::new("/") => vec![PathBuf::from("/home")],
        root if root == Path::new("/home") => vec![root.to_owned()],
        _ => Vec::new(),
    };
    let entries = holders
        .into_iter()
        .flat_map(|it| it.read_dir().into_iter().flatten().flatten());
    let home_of_root = (root == Path::new("/")).then(|| PathBuf::from("/root"));
    [root.to_owned()]
        .into_iter()
        .chain(home_of_root)
        .chain(entries.map(|entry| entry.path()))
}

/// Returns a line for each variable of the host that is likely to hold a secret.
pub(in crate::grant) fn inherited<'a>(
    name: &str,
    inherited: impl IntoIterator<Item = &'a String>,
) -> Vec<String> {
    let is_secret = |variable: &&String| {
        let upper = variable.to_uppercase();
        SECRET_NAMES.iter().any(|part| upper.contains(part))
    };
    let line = |variable: &String| {
        format!(
            "{name}: env.inherit passes on {variable} of the host, whose name is that of a secret: what the child can reach, \
             it can send it to"
        )
    };
    inherited.into_iter().filter(is_secret).map(line).collect()
}

/// Returns a line for each limit of which the machine is short first.
pub(in crate::grant) fn unlimited(name: &str, limits: &Limits) -> Vec<String> {
    let unlimited = [
        (
            "memory",
            limits.memory_bytes.is_none(),
            "the memory of the machine",
        ),
        (
            "processes",
            limits.processes.is_none(),
            "the process numbers of the machine",
        ),
        (
            "file-size",
            limits.file_size_bytes.is_none(),
            "the disk, with one file",
        ),
    ];
    let set = unlimited
        .into_iter()
        .filter(|(_, is_unlimited, _)| *is_unlimited);
    set.map(|(key, _, what)| {
        format!("{name}: limits.{key} = \"unlimited\": one child can use up {what}")
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::grant::testing::{component, echo};

    fn warnings(lines: &str) -> Vec<String> {
        component(&echo(lines)).warnings().to_vec()
    }

    #[test]
    fn a_root_with_secrets_is_a_warning_until_they_are_denied() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        crate::grant::testing::open_to_all(folder.path());
        let root = folder.path().to_str().expect("UTF-8").to_owned();
        let read = format!("fs.read = [{root:?}]");
        assert_eq!(warnings(&read), [""; 0]);
        fs::create_dir(folder.path().join(".ssh")).expect("an empty folder");
        fs::write(folder.path().join(".env"), "").expect("an empty folder");
        let found = warnings(&read);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("/.ssh") && found[0].contains("/.env"),
            "{found:?}"
        );
        let denied = format!("{read}\nfs.deny = [\"{root}/.ssh\", \"{root}/.env\"]");
        assert_eq!(warnings(&denied), [""; 0]);
    }

    #[test]
    fn a_variable_of_the_host_that_may_be_a_secret_is_a_warning() {
        let found = warnings("env = { inherit = [\"GITHUB_TOKEN\", \"EDITOR\"] }");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("GITHUB_TOKEN"), "{found:?}");
    }

    #[test]
    fn a_limit_of_the_machine_that_is_lifted_is_a_warning() {
        let found = warnings(
            "limits = { memory = \"unlimited\", cpu = \"unlimited\", output = \"unlimited\" }",
        );
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("limits.memory"), "{found:?}");
    }
}

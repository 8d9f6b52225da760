//! The files of the system that a child may read although its grant lists none.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
#[cfg(test)]
use std::path::Path;
use std::path::PathBuf;

use crate::confinement::FsRoot;

/// What a child may read if `[defaults]` has no `fs.read`. In tier B a file that exists and is not listed fails with
/// `EACCES`, where many programs accept only that a file does not exist, so this is what the programs of a distribution
/// read to start: 135 of a Debian system were traced. Only what is harmless to every guest: public files without secrets, keys
/// (`/etc/ssl/private`) or the machine's identity (`/etc/machine-id`). A `*` stands for the rest of a name.
pub(super) const EVERY_CHILD: &[&str] = &[
    // Programs and libraries.
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/sbin",
    "/etc/ld.so.cache",
    "/etc/ld-musl-x86_64.path",
    "/etc/alternatives",
    // Names of users, hosts and services, and the time zone.
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/hosts",
    "/etc/services",
    "/etc/protocols",
    "/etc/localtime",
    // The distribution, which pip and compilers look up.
    "/etc/os-release",
    "/etc/lsb-release",
    "/etc/debian_version",
    "/etc/redhat-release",
    "/etc/system-release",
    "/etc/alpine-release",
    "/etc/arch-release",
    // Public certificates, and the settings of TLS libraries.
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/openssl.cnf",
    "/etc/ca-certificates/extracted",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/java",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/openssl.cnf",
    "/etc/crypto-policies",
    // Settings without which a program does not start, or loses a function.
    "/etc/ImageMagick-*",
    "/etc/dpkg",
    "/etc/fonts",
    "/etc/gitattributes",
    "/etc/gitconfig",
    "/etc/java",
    "/etc/java-*",
    "/etc/magic",
    "/etc/mime.types",
    "/etc/apache2/mime.types",
    "/etc/httpd/conf/mime.types",
    "/etc/xml",
    // The machine's processors, memory and load; a session's own `/proc` shows them too.
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/uptime",
    "/proc/version",
];

/// What a child with the host's network may read in addition, whatever the grant lists: without these files it has the
/// network and finds no host by name.
const NETWORK: &[&str] = &[
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
];

/// Returns what a child may read if `[defaults]` has no `fs.read`, as far as it exists.
pub fn every_child() -> impl Iterator<Item = FsRoot> {
    existing(EVERY_CHILD)
}

/// Returns the read roots of the host's network, as far as they exist. `/etc/resolv.conf` is often a link: the root is
/// what it leads to, at both paths.
pub(super) fn network() -> impl Iterator<Item = FsRoot> {
    existing(NETWORK)
}

fn existing(paths: &'static [&str]) -> impl Iterator<Item = FsRoot> {
    let named = paths.iter().flat_map(|path| match path.strip_suffix('*') {
        Some(start) => beginning_with(start),
        None => vec![PathBuf::from(path)],
    });
    named.filter_map(|path| FsRoot::resolve(path).ok())
}

/// Returns the paths that begin with `start`, sorted; none where the directory cannot be listed.
fn beginning_with(start: &str) -> Vec<PathBuf> {
    let Some((directory, _)) = start.rsplit_once('/') else {
        return Vec::new();
    };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut found: Vec<_> = paths
        .filter(|path| path.as_os_str().as_bytes().starts_with(start.as_bytes()))
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_what_begins_like_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = folder.path();
        for name in ["java-17", "java-21", "javascript"] {
            fs::write(folder.join(name), "").expect("the folder is ours");
        }
        let found = beginning_with(&format!("{}/java-", folder.display()));
        assert_eq!(found, [folder.join("java-17"), folder.join("java-21")]);
        assert!(beginning_with(&format!("{}/absent/x", folder.display())).is_empty());
    }

    #[test]
    fn no_default_root_shows_a_key_a_secret_or_the_identity_of_the_machine() {
        let shown: Vec<_> = every_child().chain(network()).collect();
        for hidden in [
            "/etc/shadow",
            "/etc/gshadow",
            "/etc/ssl/private",
            "/etc/ssl/private/ssl-cert-snakeoil.key",
            "/etc/pki/tls/private",
            "/etc/ssh",
            "/etc/sudoers",
            "/etc/machine-id",
            "/etc/hostname",
            "/etc/apt/auth.conf",
            "/etc/pip.conf",
            "/etc/environment",
            "/etc/profile.d",
            "/proc/cmdline",
            "/proc/1/environ",
            "/root",
            "/home",
            "/var/lib/dbus/machine-id",
            "/run",
        ] {
            let path = Path::new(hidden);
            let is_shown =
                |root: &FsRoot| path.starts_with(&root.real) || path.starts_with(&root.written);
            assert!(!shown.iter().any(is_shown), "{hidden}");
        }
    }
}

//! Files that hold secrets: a learning run does not show them, and no proposal grants them.

use std::path::{Component, Path};

/// Names of files and directories that hold keys, passwords or tokens, wherever they are. A `*` at the end stands for any rest.
const NAMES: [&str; 44] = [
    ".ssh",
    ".aws",
    ".azure",
    ".gnupg",
    ".kube",
    ".docker",
    ".password-store",
    ".vault-token",
    ".netrc",
    "_netrc",
    ".git-credentials",
    ".npmrc",
    ".yarnrc.yml",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".mylogin.cnf",
    ".boto",
    ".s3cfg",
    ".env",
    ".env.*",
    ".envrc",
    ".terraform.d",
    ".terraformrc",
    ".htpasswd",
    ".secrets",
    ".mozilla",
    ".thunderbird",
    "credentials",
    "credentials.toml",
    "credentials.json",
    "secrets.toml",
    "secrets.json",
    "secrets.yaml",
    "secrets.yml",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    "shadow",
    "gshadow",
    "sudoers",
    "token",
    "tokens.json",
];
/// Ends of such names.
const ENDS: [&str; 8] = [
    "_history",
    ".pem",
    ".key",
    ".p12",
    ".pfx",
    ".keystore",
    ".kdbx",
    ".keytab",
];
/// Places below a home directory, or elsewhere, whose names say nothing alone.
const PLACES: [&str; 8] = [
    ".config/gcloud",
    ".config/gh",
    ".config/hub",
    ".config/op",
    ".config/google-chrome",
    ".config/chromium",
    ".local/share/keyrings",
    "ssl/private",
];
/// Directories whose certificates are public.
const PUBLIC: [&str; 5] = [
    "/etc/ssl/certs",
    "/etc/ca-certificates",
    "/usr",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust",
];
/// Names at the end of a template or a public half.
const HARMLESS: [&str; 4] = [".pub", ".example", ".sample", ".template"];

/// Returns whether `path` is, or lies in, something that holds secrets.
pub(crate) fn is_secret(path: &Path) -> bool {
    if PUBLIC.iter().any(|public| path.starts_with(public)) {
        return false;
    }
    let is_named = |part: Component<'_>| part.as_os_str().to_str().is_some_and(is_secret_name);
    path.components().any(is_named) || path.ancestors().any(is_place)
}

fn is_place(path: &Path) -> bool {
    PLACES.iter().any(|place| path.ends_with(place))
}

fn is_secret_name(name: &str) -> bool {
    if HARMLESS.iter().any(|end| name.ends_with(end)) {
        return false;
    }
    let matches = |pattern: &&str| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == *pattern,
    };
    NAMES.iter().any(matches) || ENDS.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_tokens_are_secrets_and_what_is_public_is_not() {
        for secret in [
            "/home/a/.ssh/known_hosts",
            "/home/a/.aws",
            "/srv/app/.env",
            "/srv/app/.env.production",
            "/home/a/.npmrc",
            "/home/a/.cargo/credentials.toml",
            "/home/a/.config/gh/hosts.yml",
            "/etc/ssl/private/x.crt",
            "/etc/shadow",
            "/srv/tls/server.key",
            "/home/a/.bash_history",
        ] {
            assert!(is_secret(Path::new(secret)), "{secret}");
        }
        for open in [
            "/home/a/.gitconfig",
            "/srv/app/.env.example",
            "/srv/app/.environment",
            "/etc/ssl/certs/x.pem",
            "/usr/share/doc/credentials",
            "/home/a/.cargo/config.toml",
            "/srv/tls/id_ed25519.pub",
            "/etc/passwd",
        ] {
            assert!(!is_secret(Path::new(open)), "{open}");
        }
    }
}

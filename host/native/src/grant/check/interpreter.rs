//! Programs whose arguments are programs.

use std::path::Path;

/// Shells, interpreters and programs that run what their arguments name; a `*`
/// at the end stands for a version.
const INTERPRETERS: [&str; 33] = [
    "sh",
    "bash",
    "dash",
    "zsh",
    "ksh",
    "fish",
    "busybox",
    "python*",
    "perl*",
    "ruby*",
    "node",
    "deno",
    "bun",
    "php*",
    "lua*",
    "tclsh*",
    "awk",
    "gawk",
    "mawk",
    "env",
    "xargs",
    "nohup",
    "timeout",
    "nice",
    "setsid",
    "find",
    "ssh",
    "make",
    "ld.so*",
    "ld-linux*",
    "rbash",
    "nodejs",
    "nawk",
];

/// Returns the name under which a program is known to run what its arguments
/// say, as it is written or as it resolves.
pub(in crate::grant) fn interpreter(path: &Path) -> Option<String> {
    let real = path.canonicalize().ok();
    let names = [Some(path), real.as_deref()];
    names.into_iter().flatten().find_map(|path| {
        let name = path.file_name()?.to_str()?;
        let known = INTERPRETERS
            .iter()
            .any(|known| match known.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => name == *known,
            });
        known.then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_is_known_by_either_name() {
        let is = |path: &str| interpreter(Path::new(path)).is_some();
        assert!(is("/bin/sh") && is("/usr/bin/python3.99") && is("/x/ld-linux-x86-64.so.2"));
        assert!(!is("/bin/echo") && !is("/usr/bin/git") && !is("/usr/bin/sha256sum"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let link = folder.path().join("harmless");
        std::os::unix::fs::symlink("/bin/sh", &link).expect("the folder is ours");
        assert!(interpreter(&link).is_some());
    }
}

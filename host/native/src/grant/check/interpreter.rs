//! Programs that can run other programs by their arguments.

use std::path::Path;

/// Shells, interpreters, and programs that start a program from their arguments. A `*` at
/// the end covers versions.
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

/// Returns the name of a known interpreter that a path has, as it is written or resolved.
pub(in crate::grant) fn interpreter_name(path: &Path) -> Option<String> {
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
    fn an_interpreter_is_recognised_by_its_path_and_by_its_resolved_path() {
        let is = |path: &str| interpreter_name(Path::new(path)).is_some();
        assert!(is("/bin/sh") && is("/usr/bin/python3.99") && is("/x/ld-linux-x86-64.so.2"));
        assert!(!is("/bin/echo") && !is("/usr/bin/git") && !is("/usr/bin/sha256sum"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let link = folder.path().join("harmless");
        std::os::unix::fs::symlink("/bin/sh", &link).expect("the folder is ours");
        assert!(interpreter_name(&link).is_some());
    }
}

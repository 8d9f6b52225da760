//! Files without which a program stops, and that a grant does not list.
//!
//! In tier B such a file exists and cannot be opened (`EACCES`), and the program accepts only that it does not exist. In a
//! session it does not exist.

use std::path::Path;

/// Programs, and a file at which they stop. A `*` at the end of a name covers versions. A script counts as its interpreter too.
const STOPS: &[(&[&str], &str)] = &[
    (&["git"], "/etc/gitconfig"),
    (&["node", "nodejs"], "/etc/ssl/openssl.cnf"),
    (&["python*"], "/etc/debian_version"),
    (&["python*"], "/etc/mime.types"),
    (&["dpkg*", "apt*"], "/etc/dpkg"),
    (&["file"], "/etc/magic"),
    (&["mvn"], "/etc/maven"),
    (&["apt*", "dpkg-query"], "/var/lib/dpkg"),
    (&["ps", "top", "pgrep", "pkill", "bun", "valgrind"], "/proc"),
];

/// Returns the files at which the program at `path` stops, each with the program's name, of those that `is_unlisted`
/// returns true for.
pub(in crate::grant) fn stops(
    path: &Path,
    is_unlisted: impl Fn(&Path) -> bool,
) -> impl Iterator<Item = (&str, &'static Path)> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.into_iter().flat_map(move |name| {
        let rows = STOPS.iter().filter(|(names, _)| is_one_of(name, names));
        let files = rows.map(|(_, file)| Path::new(*file));
        let unlisted: Vec<_> = files.filter(|file| is_unlisted(file)).collect();
        unlisted.into_iter().map(move |file| (name, file))
    })
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| match known.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == *known,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_stops_at_its_own_files_that_are_not_listed() {
        let all = |path: &'static str| stops(Path::new(path), |_| true).map(|(_, file)| file);
        assert!(all("/usr/bin/git").eq([Path::new("/etc/gitconfig")]));
        assert!(all("/opt/bin/python3.11").any(|file| file == Path::new("/etc/mime.types")));
        assert_eq!(all("/usr/bin/gitk").count() + all("/bin/true").count(), 0);
        let git = Path::new("/usr/bin/git");
        assert_eq!(
            stops(git, |file| file != Path::new("/etc/gitconfig")).count(),
            0
        );
    }
}

//! Uses of files, against a grant with a read root, a write root and a denied path.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use super::*;
use crate::confinement::{Confinement, FsRoot, FsRules};
use crate::launch::{Plan, Program, WorkingDirectory};

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir_in("/var/tmp").expect("it is writable");
        let root = folder.path();
        for dir in ["read", "write", "write/denied", "other"] {
            fs::create_dir(root.join(dir)).expect("an empty folder");
            fs::write(root.join(dir).join("file"), "").expect("an empty folder");
        }
        symlink("../other/file", root.join("read/link")).expect("an empty folder");
        symlink("../read/file", root.join("other/link")).expect("an empty folder");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder
            .path()
            .canonicalize()
            .expect("it exists")
            .join(name)
    }

    fn judge(&self, in_session: bool, path: &Path, access: Access) -> Outcome {
        let root = |name: &str| FsRoot::from(self.path(name));
        let program = Program::open("/bin/true").expect("it exists");
        let cwd = WorkingDirectory::open("/").expect("it exists");
        let mut plan = Plan::new("true", program, cwd);
        plan.confinement = Arc::new(Confinement {
            fs: FsRules {
                read: vec![root("read")],
                write: vec![root("write")],
                deny: vec![root("write/denied")],
            },
            ..Confinement::default()
        });
        let view = View::of(&plan, in_session, None);
        judge(&view, path, access, true, |_| false).outcome
    }
}

#[test]
fn the_outcome_is_that_of_the_tier() {
    use Access::{Create, Execute, Look, Read, Remove, Write};
    use Outcome::{Absent, Hidden, Permitted, Refused};
    let place = Place::new();
    let cases = [
        // The path, the access, in a session, outside.
        ("read/file", Read, Permitted, Permitted),
        ("read/file", Execute, Permitted, Permitted),
        ("read/file", Write, Refused, Refused),
        ("read/new", Create, Refused, Refused),
        ("read/missing", Read, Absent, Absent),
        ("read/missing", Remove, Absent, Absent),
        ("write/file", Write, Permitted, Permitted),
        ("write/new", Create, Permitted, Permitted),
        ("write/file", Remove, Permitted, Permitted),
        ("write/denied/file", Read, Hidden, Hidden),
        ("other/file", Read, Refused, Refused),
        ("other/file", Look, Refused, Permitted),
        ("other/missing", Look, Absent, Absent),
        ("other/missing/deep", Create, Absent, Absent),
        // The link is shown, and what it leads to is not.
        ("read/link", Read, Refused, Refused),
        // What it leads to is shown, and in a session the link is not.
        ("other/link", Read, Refused, Permitted),
        ("read/../other/file", Read, Refused, Refused),
    ];
    for (name, access, in_session, outside) in cases {
        let path = place.path(name);
        assert_eq!(
            place.judge(true, &path, access),
            in_session,
            "{name} {access:?} in a session"
        );
        assert_eq!(
            place.judge(false, &path, access),
            outside,
            "{name} {access:?} outside"
        );
    }
}

#[test]
fn what_a_session_has_of_its_own_is_private() {
    let place = Place::new();
    for path in [
        "/dev/null",
        "/proc/self/maps",
        "/tmp/new",
        "/dev/shm/x",
        "/etc/hostname",
    ] {
        let outcome = place.judge(true, Path::new(path), Access::Create);
        assert_eq!(outcome, Outcome::Private, "{path}");
    }
    assert_eq!(
        place.judge(false, Path::new("/dev/null"), Access::Write),
        Outcome::Private
    );
    assert_eq!(
        place.judge(false, Path::new("/tmp/new"), Access::Create),
        Outcome::Refused
    );
    assert_eq!(
        place.judge(true, Path::new("/"), Access::Read),
        Outcome::Private
    );
    let above = place.folder.path().parent().expect("it has one");
    assert_eq!(place.judge(true, above, Access::Look), Outcome::Private);
}

//! Files that the host replaces while a session is there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::pool::Pool;
use super::support::{folder, rules, script, session, wait};
use crate::confinement::{Confinement, FsRoot, FsRules};
use crate::launch::{Exit, Plan, Process, Program};
use crate::sandbox::sys::linux::session::Profile;

/// How the host changes what `d/secret` names.
const CHANGES: [&str; 8] = [
    "echo SECRET > n && mv n d/secret",
    "rm d/secret && echo SECRET > d/secret",
    "mv d old && mkdir d && echo SECRET > d/secret",
    "sed -i s/first/SECRET/ d/secret",
    "git checkout -qf other",
    "rm -r d && mkdir d && echo SECRET > d/secret",
    "mv d/secret x && ln -s ../x d/secret",
    // The name names the same file in the end, and nothing covers it any more.
    "ln d/secret x && echo SECRET > n && mv n d/secret && mv x d/secret",
];

/// What the host may do next to `d/secret`.
const OTHERS: [&str; 5] = [
    "echo more >> d/secret",
    "chmod 600 d/secret && chmod 644 d/secret",
    "echo x > d/n && mv d/n d/other",
    "mkdir d/sub && mv d/sub e && rmdir e",
    "touch d d/secret secret",
];

/// Makes a folder with `d/secret`, which is a repository, and runs `text` in it.
fn tree() -> tempfile::TempDir {
    let folder = folder();
    let text = "mkdir d && echo SECRET > d/secret && git init -q && git add d && git commit -qm other && \
                git branch other && echo first > d/secret && git commit -qam first && \
                mkdir git && mv .git git/ && echo 'gitdir: git/.git' > .git";
    host(folder.path(), text);
    open(folder.path());
    folder
}

#[expect(clippy::disallowed_types, reason = "the host's own programs")]
fn host(dir: &Path, text: &str) {
    let identity = ["AUTHOR", "COMMITTER"].map(|who| {
        [
            (format!("GIT_{who}_NAME"), "x"),
            (format!("GIT_{who}_EMAIL"), "x"),
        ]
    });
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &format!("umask 0; {text}")])
        .current_dir(dir);
    command.envs(identity.into_iter().flatten());
    assert!(
        command.status().expect("there is a shell").success(),
        "{text}"
    );
}

fn open(path: &Path) {
    for entry in ["", "d", "d/secret"] {
        let mode = fs::Permissions::from_mode(0o777);
        fs::set_permissions(path.join(entry), mode).expect("its mode");
    }
}

/// Returns `plan` with what `denied` names in `dir` denied; `dir` is a root, writable or not.
fn denying(mut plan: Plan, dir: &Path, denied: &str, writable: bool) -> Plan {
    let mut fs = FsRules {
        deny: vec![dir.join(denied).into()],
        ..rules()
    };
    let roots = if writable {
        &mut fs.write
    } else {
        &mut fs.read
    };
    roots.push(dir.into());
    plan.confinement = Arc::new(Confinement {
        fs,
        ..Confinement::default()
    });
    plan
}

fn cat(dir: &Path) -> Plan {
    script(&format!("cd {}; cat d/secret; echo end", dir.display()))
}

#[test]
fn a_denied_file_that_the_host_replaces_stays_hidden_from_the_next_child() {
    for writable in [true, false] {
        for change in CHANGES {
            let (pool, tree) = (Pool::new(), tree());
            let plan = denying(cat(tree.path()), tree.path(), "d/secret", writable);
            let before = pool.output(&plan);
            assert!(
                before.contains("denied") && before.ends_with("end\n"),
                "{before}"
            );
            let first = pool.find(&plan).expect("its session");
            host(tree.path(), change);
            let is_link = tree.path().join("d/secret").is_symlink();
            if is_link && writable {
                // A child could replace the link.
                pool.launch(&plan).expect_err("no session can hide it");
                continue;
            }
            let after = pool.output(&plan);
            assert!(
                !after.contains("SECRET") && !after.contains("first"),
                "{change}: {after}"
            );
            assert!(after.ends_with("end\n"), "{change}: {after}");
            assert!(!pool.holds(&first), "{change}");
        }
    }
}

#[test]
fn a_change_next_to_a_denied_file_ends_no_session() {
    for writable in [true, false] {
        for other in OTHERS {
            let (pool, tree) = (Pool::new(), tree());
            let plan = denying(cat(tree.path()), tree.path(), "d/secret", writable);
            pool.output(&plan);
            let first = pool.find(&plan).expect("its session");
            host(tree.path(), other);
            pool.output(&plan);
            assert!(pool.holds(&first), "{other}");
        }
    }
}

/// Without the watch, whose events the pool reads too. It cannot tell the last change.
#[test]
fn a_session_compares_what_its_masks_cover() {
    let last = CHANGES.len() - 1;
    for (change, is_noticed) in CHANGES[..last]
        .iter()
        .map(|it| (it, true))
        .chain(OTHERS.iter().map(|it| (it, false)))
    {
        let tree = tree();
        let plan = denying(cat(tree.path()), tree.path(), "d/secret", true);
        let session = session(&Profile::of(&plan));
        assert!(session.is_usable());
        host(tree.path(), change);
        assert_eq!(session.is_usable(), !is_noticed, "{change}");
        assert_eq!(session.ended_by().is_some(), is_noticed, "{change}");
    }
}

#[test]
fn a_running_child_ends_when_what_is_denied_to_it_changes() {
    for pool in [Pool::new(), Pool::without_events()] {
        for change in CHANGES {
            let tree = tree();
            let sleeper = script("exec sleep 60");
            let plan = denying(sleeper, tree.path(), "d/secret", false);
            let child = pool.launch(&plan).expect("it starts");
            if pool.has_events() || change != CHANGES[CHANGES.len() - 1] {
                host(tree.path(), change);
                assert_eq!(
                    wait(&child),
                    Err(std::io::ErrorKind::BrokenPipe),
                    "{change}"
                );
            }
        }
    }
}

#[test]
fn a_running_child_ends_when_a_denied_path_appears() {
    let late = [
        "mkdir -p late/deep && echo SECRET > late/deep/file",
        "ln -s d late",
        "echo x > late",
    ];
    for pool in [Pool::new(), Pool::without_events()] {
        for change in late {
            let tree = tree();
            let plan = denying(
                script("exec sleep 60"),
                tree.path(),
                "late/deep/file",
                false,
            );
            let child = pool.launch(&plan).expect("it starts");
            host(tree.path(), change);
            assert_eq!(
                wait(&child),
                Err(std::io::ErrorKind::BrokenPipe),
                "{change}"
            );
            let read = format!("cd {}; cat late/deep/file; echo end", tree.path().display());
            let output = pool.output(&denying(
                script(&read),
                tree.path(),
                "late/deep/file",
                false,
            ));
            assert!(
                !output.contains("SECRET") && output.ends_with("end\n"),
                "{output}"
            );
        }
    }
}

#[test]
fn a_running_child_outlives_other_changes_and_what_another_session_is_denied() {
    for pool in [Pool::new(), Pool::without_events()] {
        let (tree, other) = (tree(), tree());
        let sleeper = || script("exec sleep 60");
        let child = pool.launch(&denying(sleeper(), tree.path(), "d/secret", false));
        let child = child.expect("it starts");
        let concerned = pool.launch(&denying(sleeper(), other.path(), "d/secret", false));
        let concerned = concerned.expect("it starts");
        for change in OTHERS {
            host(tree.path(), change);
        }
        host(other.path(), CHANGES[0]);
        assert_eq!(wait(&concerned), Err(std::io::ErrorKind::BrokenPipe));
        assert_eq!(child.try_exit().expect("it runs"), None);
        pool.output(&denying(script("true"), tree.path(), "d/secret", false));
        assert_eq!(child.try_exit().expect("it runs"), None);
    }
}

#[test]
fn what_a_denied_link_leads_to_is_hidden_wherever_it_is_pointed() {
    let folder = folder();
    let dir = folder.path();
    host(
        dir,
        "mkdir a && echo SECRET > one; echo SECRET > two; echo open > three; ln -s ../one a/link; ln -s a/link first",
    );
    let text = format!(
        "cd {}; cat first a/link one two three 2>/dev/null",
        dir.display()
    );
    let plan = denying(script(&text), dir, "first", false);
    let pool = Pool::new();
    assert_eq!(pool.output(&plan), "SECRET\nopen\n", "two alone is visible");
    let sleeper = denying(script("exec sleep 60"), dir, "first", false);
    let child = pool.launch(&sleeper).expect("it starts");
    host(dir, "ln -s ../two a/n && mv a/n a/link && rm one");
    assert_eq!(wait(&child), Err(std::io::ErrorKind::BrokenPipe));
    assert_eq!(pool.output(&plan), "open\n");
    host(dir, "ln -sfn absent first");
    assert_eq!(
        pool.output(&plan),
        "SECRET\nSECRET\nopen\n",
        "it leads nowhere"
    );
    host(dir, "mv three absent");
    assert_eq!(pool.output(&plan), "SECRET\nSECRET\n");
}

/// Returns a plan that prints `file`, which is a root of its own if `alone`, otherwise its folder is.
fn showing(dir: &Path, file: &str, alone: bool) -> Plan {
    let path = dir.join(file);
    let mut plan = script(&format!("cat {}", path.display()));
    let mut fs = rules();
    let root = if alone { path } else { dir.join("d") };
    fs.read.push(FsRoot::resolve(root).expect("it exists"));
    plan.confinement = Arc::new(Confinement {
        fs,
        ..Confinement::default()
    });
    plan
}

#[test]
fn a_root_that_the_host_replaces_is_shown_as_it_is_to_the_next_child() {
    for alone in [true, false] {
        for change in &CHANGES[..6] {
            let (pool, tree) = (Pool::new(), tree());
            let plan = showing(tree.path(), "d/secret", alone);
            assert_eq!(pool.output(&plan), "first\n");
            let mut sleeper = script("exec sleep 60");
            sleeper.confinement = Arc::clone(&plan.confinement);
            let child = pool.launch(&sleeper).expect("it starts");
            host(tree.path(), change);
            assert_eq!(pool.output(&plan), "SECRET\n", "{change}");
            // A child that runs keeps the root that it started with.
            assert_eq!(child.try_exit().expect("it runs"), None, "{change}");
            child
                .signal_tree(crate::status::Signal::Kill)
                .expect("it runs");
            assert_eq!(wait(&child), Ok(Exit::Signal(9)));
        }
    }
}

#[test]
fn a_root_that_becomes_a_link_is_refused() {
    let (pool, tree) = (Pool::new(), tree());
    let plan = showing(tree.path(), "d/secret", false);
    assert_eq!(pool.output(&plan), "first\n");
    fs::rename(tree.path().join("d"), tree.path().join("e")).expect("ours");
    symlink("e", tree.path().join("d")).expect("ours");
    let error = pool.launch(&plan).expect_err("the root is a link");
    assert!(
        error
            .to_string()
            .contains("Too many levels of symbolic links"),
        "{error}"
    );
    fs::remove_file(tree.path().join("d")).expect("ours");
    fs::rename(tree.path().join("e"), tree.path().join("d")).expect("ours");
    assert_eq!(pool.output(&plan), "first\n");
}

#[test]
fn a_root_at_or_below_a_denied_path_is_not_mounted() {
    let tree = tree();
    let pool = Pool::new();
    for denied in ["d", "d/secret", "."] {
        let mut plan = showing(tree.path(), "d/secret", true);
        let confinement = Arc::make_mut(&mut plan.confinement);
        let denied = tree.path().join(denied).canonicalize().expect("it exists");
        confinement.fs.deny.push(denied.into());
        assert!(pool.output(&plan).contains("No such file"));
    }
    let mut plan = showing(tree.path(), "d/secret", true);
    let confinement = Arc::make_mut(&mut plan.confinement);
    confinement.fs.deny.push(tree.path().join("d/secre").into());
    assert_eq!(pool.output(&plan), "first\n");
}

/// The interpreter reads the script by its path.
#[test]
fn a_script_that_is_replaced_after_the_decision_does_not_run() {
    let (pool, tree) = (Pool::new(), tree());
    let mut plan = showing(tree.path(), "d/secret", true);
    let script = Program::open(tree.path().join("d/secret")).expect("it exists");
    plan.script = Some(Arc::new(script));
    assert_eq!(pool.output(&plan), "first\n");
    host(tree.path(), CHANGES[0]);
    let error = pool.launch(&plan).expect_err("it is another file");
    assert!(error.to_string().contains("request it again"), "{error}");
    let script = Program::open(tree.path().join("d/secret")).expect("it exists");
    plan.script = Some(Arc::new(script));
    assert_eq!(pool.output(&plan), "SECRET\n");
}

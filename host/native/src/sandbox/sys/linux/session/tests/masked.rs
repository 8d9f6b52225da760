//! Denied paths within granted roots.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::support::{folder, output, profile_of, rules, session, spawner};
use crate::confinement::{Confinement, FsRoot, FsRules};
use crate::launch::Stage;
use crate::sandbox::sys::linux::session::{Profile, Session};

/// Creates a writable working tree, and returns a profile in which its `.git/hooks` and `secret` are denied.
fn tree(root: &Path) -> Profile {
    fs::create_dir_all(root.join("work/.git/hooks")).expect("room");
    fs::write(root.join("work/.git/config"), "config").expect("room");
    fs::write(root.join("work/.git/hooks/pre-commit"), "hook").expect("room");
    fs::write(root.join("work/secret"), "secret").expect("room");
    for name in [
        "work",
        "work/.git",
        "work/.git/hooks",
        "work/.git/config",
        "work/secret",
    ] {
        let mode = fs::Permissions::from_mode(0o777);
        fs::set_permissions(root.join(name), mode).expect("its mode");
    }
    denying(root, &["work/.git/hooks", "work/secret"])
}

/// Returns a denied path, whether or not it exists.
fn at(path: &Path) -> FsRoot {
    FsRoot::resolve(path).unwrap_or_else(|_| path.into())
}

fn denying(root: &Path, deny: &[&str]) -> Profile {
    profile_of(Confinement {
        fs: FsRules {
            write: vec![root.join("work").into()],
            deny: deny.iter().map(|path| at(&root.join(path))).collect(),
            ..rules()
        },
        ..Confinement::default()
    })
}

#[test]
fn a_denied_path_in_a_writable_root_cannot_be_reached_or_replaced() {
    let folder = folder();
    let profile = tree(folder.path());
    let session = session(&profile);
    let enter = format!("cd {}/work; exec 2>&1; ", folder.path().display());
    let refused = [
        "cat secret",
        "ls .git/hooks",
        "cat .git/hooks/pre-commit",
        "touch .git/hooks/evil",
        "chmod 777 .git/hooks",
        "chmod 777 secret",
        "rm -f secret",
        "rmdir .git/hooks",
        "mv secret x",
        "mv .git/hooks .git/x",
        "mv .git x",
        "mv .git ../x",
        "mv -f .git/config secret",
        "ln secret x",
        "mount -t tmpfs none .git/hooks",
        "umount .git/hooks",
    ];
    for text in refused {
        let output = output(&session, &format!("{enter}{text} && echo done"));
        assert!(!output.contains("done"), "{text}: {output}");
    }
    // The attack on a mask whose parent directories can be renamed.
    let text = "mv .git x; mkdir -p .git/hooks; touch .git/hooks/evil; ls -d x .git/hooks/evil; mv .git x 2>&1 | grep -c busy";
    let renamed = output(&session, &format!("{enter}{text}"));
    assert!(renamed.ends_with("1\n"), "{renamed}");
    assert!(!folder.path().join("work/x").exists());
    assert!(!folder.path().join("work/.git/hooks/evil").exists());
    assert_eq!(
        fs::read(folder.path().join("work/secret")).expect("it is there"),
        b"secret"
    );
    // Everything next to the masked paths is writable.
    let text = "echo new > .git/config && touch .git/index beside && mv beside other && mkdir sub && mv sub renamed && cat .git/config";
    assert_eq!(output(&session, &format!("{enter}{text}")), "new\n");
    assert_eq!(
        fs::read(folder.path().join("work/.git/config")).expect("it is there"),
        b"new\n"
    );
}

#[test]
fn a_denied_path_in_a_writable_root_must_exist_and_must_not_be_a_link() {
    let folder = folder();
    tree(folder.path());
    symlink("secret", folder.path().join("work/link")).expect("room");
    for name in ["work/absent", "work/absent/deeper", "work/.git/absent"] {
        let error = Session::start(&spawner(), &denying(folder.path(), &[name]));
        let error = error.expect_err("it is missing");
        assert_eq!(error.stage, Stage::Root);
        let text = error.to_string();
        assert!(
            text.contains("absent") && text.contains("create it or narrow the write root"),
            "{text}"
        );
    }
    let error = Session::start(&spawner(), &denying(folder.path(), &["work/link"]));
    let error = error.expect_err("it is a link").to_string();
    assert!(
        error.contains("work/link") && error.contains("symbolic link"),
        "{error}"
    );
}

#[test]
fn a_denied_path_in_a_readable_root_may_be_missing() {
    let folder = folder();
    tree(folder.path());
    let deny = ["work/.git/hooks", "work/absent", "elsewhere"];
    let mut rules = FsRules {
        deny: deny
            .iter()
            .map(|path| at(&folder.path().join(path)))
            .collect(),
        ..rules()
    };
    rules.read.push(folder.path().into());
    let session = session(&profile_of(Confinement {
        fs: rules,
        ..Confinement::default()
    }));
    let dir = folder.path().display();
    let text =
        format!("cat {dir}/work/secret; ls {dir}/work/.git/hooks >/dev/null 2>&1 && echo open");
    assert_eq!(output(&session, &text), "secret");
}

#[test]
fn a_denied_path_is_masked_even_where_children_cannot_reach_it() {
    if !rustix::process::geteuid().is_root() {
        // Without root, children can reach every directory that the host can reach.
        return;
    }
    let folder = folder();
    fs::create_dir_all(folder.path().join("closed/deep")).expect("room");
    let closed = fs::Permissions::from_mode(0o700);
    fs::set_permissions(folder.path().join("closed"), closed).expect("its mode");
    let mut rules = FsRules {
        deny: vec![folder.path().join("closed/deep").into()],
        ..rules()
    };
    rules.read.push(folder.path().into());
    let session = session(&profile_of(Confinement {
        fs: rules,
        ..Confinement::default()
    }));
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(folder.path().join("closed"), open).expect("its mode");
    let text = format!(
        "ls {}/closed >/dev/null 2>&1 && echo open; echo end",
        folder.path().display()
    );
    assert_eq!(output(&session, &text), "end\n");
}

//! The set-group-ID bit: on directories it is common and harmless, on programs it gives the
//! file's group away.

use std::fs::{Permissions, create_dir, set_permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use capspawn_native::launch::{Exit, Launcher as _, Scope};
use capspawn_native::sandbox::{NativeLauncher, Tier};
use test_kit::{is_root, scratch};

use crate::installed::installed;
use crate::launcher::tier;
use crate::spec::Spec;

/// A user whose group could give rights.
const UID: u32 = 4242;
const GID: u32 = 4243;

fn shell(dir: &Path, script: &str) -> Spec {
    Spec::new("/bin/sh").args(["-ec", script]).home(dir)
}

#[test]
fn programs_copy_pack_and_make_directories_with_the_set_group_id_bit() {
    let dir = scratch();
    let mut script = String::from(
        "umask 022; mkdir source; chmod g+s source; echo x > source/file; mkdir source/inherits; cp -a source copy; \
         install -d -m 2755 installed; tar cpf a.tar source; mkdir un; tar xpf a.tar -C un; \
         chmod 2644 source/file; stat -c %a copy copy/inherits installed un/source source/file; ",
    );
    let mut expected = String::from("2755\n2755\n2755\n2755\n2644\n");
    if installed("python3", "python3").is_some() {
        script +=
            "python3 -c \"import shutil; shutil.copytree('copy', 'tree')\"; stat -c %a tree; ";
        expected += "2755\n";
    }
    if installed("git", "git").is_some() {
        script += "git init -q --shared repository; stat -c %a repository/.git/objects; ";
        expected += "2775\n";
    }
    if Path::new("/usr/bin/rsync").exists() {
        script += "rsync -a copy/ synced/; stat -c %a synced; ";
        expected += "2755\n";
    }
    assert_eq!(shell(dir.path(), &script).succeed(), expected);
}

#[test]
fn the_set_user_id_bit_is_refused_on_directories_too() {
    let dir = scratch();
    let run = shell(dir.path(), "mkdir d; chmod 4755 d").run();
    assert_eq!(run.exit, Exit::Code(1), "{}", run.output);
    assert!(
        run.output.contains("Operation not permitted"),
        "{}",
        run.output
    );
}

#[test]
fn a_group_that_could_give_rights_is_not_given_to_those_who_reach_a_program() {
    if !is_root() {
        return;
    }
    let launcher = NativeLauncher::builder()
        .tier(tier())
        .run_as(UID, GID)
        .build();
    let folder = scratch();
    let (closed, root) = (
        folder.path().join("closed"),
        folder.path().join("closed/root"),
    );
    create_dir(&closed).expect("the test may write the folder");
    create_dir(&root).expect("the test may write the folder");
    chown(&closed, Some(0), Some(GID)).expect("root may change the owner");
    chown(&root, Some(UID), Some(GID)).expect("root may change the owner");
    let run = |scope, mode, command: &str| {
        set_permissions(&closed, Permissions::from_mode(mode)).expect("it is the test's");
        let script = format!("rm -rf d f; mkdir d; : > f; {command}");
        let started = shell(&root, &script).start_as(&launcher, Scope(scope));
        let run = started.expect("it starts").finish();
        launcher.close(Scope(scope));
        run
    };
    for command in ["chmod 2755 d", "chmod 2755 f"] {
        let refused = run(1, 0o755, command);
        assert_eq!(refused.exit, Exit::Code(1), "{command}: {}", refused.output);
        // Others cannot reach the file in a session, and children cannot change that.
        let expected = match tier() {
            Tier::A => Exit::Code(0),
            Tier::B | Tier::C => Exit::Code(1),
        };
        let closed = run(2, 0o750, command);
        assert_eq!(closed.exit, expected, "{command}: {}", closed.output);
    }
    for command in ["chmod 2745 f", "chmod 2644 f", "chmod 1777 d"] {
        let harmless = run(3, 0o755, command);
        assert_eq!(
            harmless.exit,
            Exit::Code(0),
            "{command}: {}",
            harmless.output
        );
    }
}

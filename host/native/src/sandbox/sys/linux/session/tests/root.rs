//! The private root of a session.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::sync::Arc;

use super::support::{
    folder, launch, output, piped, plan, profile, profile_of, python, rules, run, script, session,
    spawner, spawner_as,
};
use crate::confinement::{Confinement, FsRoot, FsRules, Network};
use crate::launch::{Exit, Stage};
use crate::sandbox::sys::linux::session::Session;
use crate::sandbox::sys::linux::session::owner_mounts::OwnerMounts;

fn confined(fs: FsRules) -> crate::sandbox::sys::linux::session::Profile {
    profile_of(Confinement {
        fs,
        ..Confinement::default()
    })
}

#[test]
fn only_granted_paths_exist() {
    let session = session(&profile());
    assert_eq!(
        output(&session, "echo /*"),
        "/bin /dev /etc /lib /lib64 /proc /tmp /usr\n"
    );
    assert_eq!(
        output(&session, "echo /dev/* /etc/*"),
        "/dev/fd /dev/full /dev/mqueue /dev/null /dev/ptmx /dev/pts /dev/random /dev/shm /dev/stderr /dev/stdin /dev/stdout /dev/tty /dev/urandom /dev/zero /etc/hostname /etc/hosts /etc/nsswitch.conf /etc/passwd\n"
    );
    let text = "for d in / /etc /usr /dev /dev/pts /bin /proc; do mkdir $d/x 2>/dev/null && echo $d; done; echo x > /dev/null; head -c 1 /dev/zero | wc -c; echo x > /tmp/x; echo x > /dev/shm/x; ls /tmp";
    assert_eq!(output(&session, text), "1\nx\n");
}

#[test]
fn granting_a_device_that_every_session_has_changes_nothing() {
    let text = "head -c 3 /dev/zero | wc -c; echo x > /dev/null && echo written; echo /dev/*";
    let bare = output(&session(&profile()), text);
    for (read, write) in [
        (vec!["/dev/zero", "/dev/null"], vec![]),
        (vec![], vec!["/dev/null"]),
        (vec!["/dev/tty", "/dev/pts"], vec![]),
        (vec!["/dev"], vec![]),
    ] {
        let roots = |paths: &[&str]| {
            let root = |path: &&str| FsRoot::resolve(*path).expect("it exists");
            paths.iter().map(root).collect::<Vec<_>>()
        };
        let mut fs = rules();
        fs.read.extend(roots(&read));
        fs.write.extend(roots(&write));
        let text = output(&session(&confined(fs)), text);
        assert_eq!(text, bare, "{read:?} {write:?}");
    }
}

#[test]
fn a_write_root_is_writable_and_its_siblings_do_not_exist() {
    let folder = folder();
    for name in ["work", "beside"] {
        fs::create_dir(folder.path().join(name)).expect("room");
        open(&folder.path().join(name));
    }
    let work = folder.path().join("work");
    let session = session(&confined(FsRules {
        write: vec![work.clone().into()],
        ..rules()
    }));
    let dir = folder.path().display();
    let text = format!(
        "cd {dir}; ls; echo x > work/file && cat work/file; touch y 2>/dev/null && echo beside"
    );
    assert_eq!(output(&session, &text), "work\nx\n");
    assert_eq!(fs::read(work.join("file")).expect("it was written"), b"x\n");
}

#[test]
fn a_write_root_may_lie_in_a_read_root_and_below_tmp() {
    let below = tempfile::tempdir_in("/tmp").expect("a directory");
    open(below.path());
    fs::create_dir(below.path().join("work")).expect("room");
    open(&below.path().join("work"));
    let session = session(&confined(FsRules {
        read: [rules().read, vec![FsRoot::from(below.path())]].concat(),
        write: vec![below.path().join("work").into()],
        ..FsRules::default()
    }));
    let dir = below.path().display();
    let text = format!(
        "touch {dir}/x 2>/dev/null && echo read; touch {dir}/work/x && echo write; touch /tmp/x && echo tmp"
    );
    assert_eq!(output(&session, &text), "write\ntmp\n");
}

#[test]
fn a_root_named_through_a_link_exists_at_both_paths() {
    let folder = folder();
    fs::create_dir(folder.path().join("real")).expect("room");
    open(&folder.path().join("real"));
    fs::write(folder.path().join("real/hidden"), "x").expect("room");
    let link = folder.path().join("link");
    symlink("real", &link).expect("room");
    let session = session(&confined(FsRules {
        write: vec![FsRoot::resolve(&link).expect("it leads somewhere")],
        deny: vec![folder.path().join("real/hidden").into()],
        ..rules()
    }));
    let dir = folder.path().display();
    let text = format!(
        "cd {dir}; echo x > link/file; cat real/file; cat link/hidden real/hidden 2>/dev/null; ls"
    );
    assert_eq!(output(&session, &text), "x\nlink\nreal\n");
}

#[test]
fn a_missing_read_root_is_left_out_and_a_missing_write_root_is_an_error() {
    let missing = std::path::PathBuf::from("/var/tmp/capspawn-is-not-there");
    let read = [rules().read, vec![FsRoot::from(missing.clone())]].concat();
    let session = session(&confined(FsRules {
        read,
        ..FsRules::default()
    }));
    assert_eq!(output(&session, "echo /var*"), "/var*\n");
    let write = confined(FsRules {
        write: vec![FsRoot::from(missing.clone())],
        ..rules()
    });
    let error = Session::start(&spawner(), &write).expect_err("it is missing");
    assert_eq!(error.stage, Stage::Root);
    assert!(
        error.to_string().contains("capspawn-is-not-there"),
        "{error}"
    );
}

#[test]
fn the_whole_file_system_can_be_granted() {
    let session = session(&confined(FsRules {
        read: vec!["/".into()],
        ..FsRules::default()
    }));
    let text = "ls -d /etc/passwd /usr/bin; touch /tmp/x && ls /tmp; ls /dev | wc -l; for p in /proc/[0-9]*; do echo $p; done | wc -l; touch /var/tmp/capspawn-x 2>/dev/null && echo written";
    let text = output(&session, text);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("/etc/passwd"));
    assert_eq!(lines.next(), Some("/usr/bin"));
    assert_eq!(lines.next(), Some("x"));
    assert_eq!(lines.next(), Some("14"), "the session's own devices");
    assert!(
        lines
            .next()
            .is_some_and(|count| ["2", "3", "4"].contains(&count)),
        "{text}"
    );
    assert_eq!(lines.next(), None);
}

#[test]
fn set_user_id_files_and_devices_have_no_effect() {
    let session = session(&profile());
    let text = "while read -r _ _ _ _ at options _; do case $at in /usr|/bin) echo $options;; esac; done < /proc/self/mountinfo";
    for line in output(&session, text).lines() {
        for option in ["ro", "nosuid", "nodev"] {
            assert!(line.split(',').any(|it| it == option), "{line}");
        }
    }
}

fn open(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;

    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("its mode");
}

#[test]
fn children_with_roots_id_cannot_change_the_hosts_settings() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let spawner = spawner_as(0);
    let session = Session::start(&spawner, &profile()).expect("it starts");
    let checks = "for f in /proc/sys/vm/swappiness /proc/self/comm; do \
                [ -r $f ] && echo readable; [ -w $f ] && echo writable; done; id -u";
    let (text, exit) = run(&Arc::new(session), &script(checks));
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(text, "readable\nreadable\n0\n");
}

#[test]
fn a_host_short_of_descriptors_is_not_reported_as_a_root_that_cannot_be_mounted() {
    use crate::error::SpawnError;
    use crate::launch::LaunchError;
    use crate::sandbox::sys::linux::session::foundation::Foundation;
    use crate::shortage::Shortage;

    let foundation = Foundation::new(&profile().confinement.fs).expect("the roots are there");
    let layout = foundation.layout(Network::None, 4096, &OwnerMounts::default());
    let layout = layout.expect("C strings");
    for index in 0..4 {
        let error = LaunchError::new(Stage::Root, layout.error(index, libc::EMFILE));
        let error = SpawnError::from(error);
        assert!(
            matches!(error, SpawnError::Shortage(Shortage::Descriptors)),
            "{error:?}"
        );
        let error = LaunchError::new(Stage::Root, layout.error(index, libc::ELOOP));
        assert!(matches!(error.into(), SpawnError::Launch(_)));
    }
}

/// Landlock denies both unless each of the nested domains allows them.
#[test]
fn files_can_be_renamed_and_linked_across_directories() {
    let folder = folder();
    let session = session(&confined(FsRules {
        write: vec![folder.path().into()],
        ..rules()
    }));
    let moves = "import os, sys\nfor root in sys.argv[1:]:\n  a, b = root + '/a', root + '/b'\n  os.mkdir(a); os.mkdir(b)\n  \
                 open(a + '/x', 'w').close()\n  os.link(a + '/x', b + '/y')\n  os.rename(a + '/x', b + '/x')\n  \
                 os.rename(b, a + '/b')\n  print(sorted(os.listdir(a + '/b')))\n\
                 try:\n  os.link('/usr/bin/env', '/usr/lib/env')\nexcept OSError:\n  print('refused')\n";
    let root = folder.path().to_str().expect("text");
    let arguments = ["-ISc", moves, "/tmp", "/dev/shm", root];
    let (text, exit) = run(&session, &plan(&python(), &arguments));
    assert_eq!(text, "['x', 'y']\n['x', 'y']\n['x', 'y']\nrefused\n");
    assert_eq!(exit, Exit::Code(0));
}

const RENAMES: &str = "import os\nos.chdir('/tmp')\nopen('a', 'w').close()\nprint('up', flush=True)\n\
                       while True:\n  os.rename('a', 'b'); os.rename('b', 'a')\n";

/// `openat2` returns `EAGAIN` for a path with `..` in it while a rename happens anywhere.
#[test]
fn a_path_that_leads_up_is_resolved_during_renames() {
    let session = session(&profile());
    let (stdio, reader) = piped();
    let renames = plan(&python(), &["-IuSc", RENAMES]);
    let _renaming = launch(&session, &renames, stdio).expect("it starts");
    let mut line = String::new();
    let mut lines = BufReader::new(fs::File::from(reader));
    lines.read_line(&mut line).expect("text");
    let mut up = script("pwd");
    up.cwd.path = "/usr/../usr/../usr/../usr/../usr/../usr/../usr/../tmp".into();
    for _ in 0..200 {
        assert_eq!(run(&session, &up).0, "/tmp\n");
    }
}

#[test]
fn a_root_below_the_sessions_own_file_systems_is_shown_although_the_whole_host_is() {
    for parent in ["/tmp", "/dev/shm"] {
        let below = tempfile::tempdir_in(parent).expect("a directory");
        open(below.path());
        fs::write(below.path().join("file"), "listed\n").expect("room");
        fs::create_dir(below.path().join("dir")).expect("room");
        open(&below.path().join("dir"));
        let hidden = tempfile::tempdir_in(parent).expect("a directory");
        open(hidden.path());
        let (dir, hidden) = (below.path().display(), hidden.path().display());
        let text = format!(
            "cat {dir}/file; touch {dir}/dir/x 2>/dev/null && echo written; ls -d {hidden} 2>/dev/null; \
             touch {parent}/x && echo own; true"
        );
        for whole in [true, false] {
            for (list, writable) in [
                (vec!["", "dir"], false),
                (vec!["file"], false),
                (vec!["", "dir"], true),
            ] {
                let mut fs = if whole {
                    FsRules {
                        read: vec!["/".into()],
                        ..FsRules::default()
                    }
                } else {
                    rules()
                };
                let listed = list
                    .iter()
                    .map(|name| FsRoot::from(below.path().join(name)));
                let listed: Vec<_> = listed
                    .map(|root| root.real.canonicalize().expect("it exists").into())
                    .collect();
                if writable {
                    fs.write = listed
                } else {
                    fs.read.extend(listed)
                }
                let written = if writable { "written\n" } else { "" };
                assert_eq!(
                    output(&session(&confined(fs)), &text),
                    format!("listed\n{written}own\n"),
                    "{parent} {whole} {list:?}"
                );
            }
        }
    }
}

#[test]
fn a_denied_path_below_the_sessions_own_tmp_is_denied_where_a_root_shows_it() {
    let below = tempfile::tempdir_in("/tmp").expect("a directory");
    open(below.path());
    for name in ["file", "denied"] {
        fs::write(below.path().join(name), format!("{name}\n")).expect("room");
    }
    let deny = vec![FsRoot::from(below.path().join("denied"))];
    let text = format!(
        "cat {0}/file {0}/denied 2>/dev/null; ls -A /tmp | wc -l",
        below.path().display()
    );
    let shown = FsRules {
        read: vec!["/".into(), below.path().into()],
        deny: deny.clone(),
        ..FsRules::default()
    };
    assert_eq!(output(&session(&confined(shown)), &text), "file\n1\n");
    // The session's own `/tmp` has nothing to deny.
    let own = FsRules {
        read: vec!["/".into()],
        write: vec!["/var/tmp".into()],
        deny,
    };
    assert_eq!(output(&session(&confined(own)), &text), "0\n");
}

/// What the grant names comes last, also where the session has a file system of its own.
#[test]
fn a_granted_tmp_is_the_hosts() {
    let below = tempfile::tempdir_in("/tmp").expect("a directory");
    let text = format!("ls -d {}; ls -d /proc/self/status", below.path().display());
    for whole in [true, false] {
        let mut fs = rules();
        fs.read.push("/tmp".into());
        if whole {
            fs.read.push("/".into());
        }
        let expected = format!("{}\n/proc/self/status\n", below.path().display());
        assert_eq!(output(&session(&confined(fs)), &text), expected);
    }
}

#[test]
fn a_granted_proc_is_the_sessions_own_whatever_of_it_the_grant_lists() {
    let host = std::process::id();
    let text = format!(
        "ls -d /proc/{host} 2>/dev/null; ls -d /proc/self/status; set -- /proc/[0-9]*; echo $#; \
         cat /proc/cmdline; [ -w /proc/self/comm ] && echo writable; true"
    );
    let bare = output(&session(&profile()), &text);
    for (read, write) in [
        (vec!["/proc"], vec![]),
        (vec!["/proc/self", "/proc/meminfo"], vec![]),
        (vec!["/", "/proc"], vec![]),
        (vec![], vec!["/proc"]),
    ] {
        let resolve = |paths: &[&str]| -> Vec<FsRoot> {
            let root = |path: &&str| FsRoot::resolve(*path).expect("it exists");
            paths.iter().map(root).collect()
        };
        let mut fs = rules();
        fs.read.extend(resolve(&read));
        fs.write.extend(resolve(&write));
        assert_eq!(
            output(&session(&confined(fs)), &text),
            bare,
            "{read:?} {write:?}"
        );
    }
    assert!(bare.starts_with("/proc/self/status\n"), "{bare}");
}

#[test]
fn what_is_denied_of_proc_is_hidden_in_the_sessions_own() {
    let text = "cat /proc/version /proc/self/comm 2>/dev/null; ls /proc/sys 2>/dev/null; true";
    for read in [vec![], vec!["/proc"], vec!["/"]] {
        let mut fs = rules();
        fs.read.extend(read.iter().map(|path| FsRoot::from(*path)));
        fs.deny = vec!["/proc/version".into(), "/proc/sys".into()];
        assert_eq!(output(&session(&confined(fs)), text), "cat\n", "{read:?}");
    }
}

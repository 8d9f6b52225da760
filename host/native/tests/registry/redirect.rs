//! Files as standard streams: below a root, regular, with the rights of the child's user.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use capspawn_native::{
    Command, DeniedItem, ExitStatus, FileMode, Guest, KillReason, Quota, SpawnError, Stdin, Stdio,
};
use rustix::process::geteuid;

use crate::files::Files;
use crate::support::*;

fn exit(guest: &Guest, command: &Command) -> ExitStatus {
    ended(&guest.spawn(command).expect("the grant allows it"))
}

#[track_caller]
fn assert_refused(guest: &Guest, command: &Command) {
    match guest.spawn(command) {
        Err(SpawnError::Denied(denial)) => assert_eq!(denial.item, DeniedItem::Stdio, "{denial}"),
        other => panic!("expected a denial, got {other:?}: {command:?}"),
    }
}

#[track_caller]
fn assert_missing(guest: &Guest, command: &Command) {
    let result = guest.spawn(command);
    assert!(
        matches!(result, Err(SpawnError::NoEntry)),
        "{result:?}: {command:?}"
    );
}

#[test]
fn a_child_reads_a_file_and_writes_one() {
    let files = Files::new();
    let guest = files.guest("");
    let (_, out, _) = output(&guest.spawn(&files.stdin("in/text")).expect("it is allowed"));
    assert_eq!(out.data, b"some text\n");
    // A write root can be read, and a relative path begins at the working directory.
    let relative = files.guest(&format!("cwd = {{ default = {:?} }}", files.at("out")));
    let command = Command {
        stdin: Stdin::File("ro/text".into()),
        stdout: Stdio::File {
            path: "copy".into(),
            mode: FileMode::Truncate,
        },
        ..sh("cat; echo more")
    };
    assert_eq!(exit(&relative, &command), ExitStatus::Exited(0));
    assert_eq!(files.read("out/copy"), "some text\nmore\n");

    let write = |mode| files.stdout("out/new", mode, "echo line");
    for (mode, expected) in [
        (FileMode::Append, "line\n"),
        (FileMode::Append, "line\nline\n"),
        (FileMode::Truncate, "line\n"),
    ] {
        assert_eq!(exit(&guest, &write(mode)), ExitStatus::Exited(0));
        assert_eq!(files.read("out/new"), expected, "{mode}");
    }
    let metadata = fs::metadata(files.at("out/new")).expect("it was written");
    let user = if geteuid().is_root() {
        65534
    } else {
        geteuid().as_raw()
    };
    assert_eq!((metadata.uid(), metadata.mode() & 0o777), (user, 0o644));
}

#[test]
fn both_outputs_may_share_a_file() {
    let files = Files::new();
    let guest = files.guest("");
    let merged = Command {
        stderr: Stdio::Merged,
        ..files.stdout("out/both", FileMode::Truncate, "echo 1; echo 2 >&2; echo 3")
    };
    let child = guest.spawn(&merged).expect("the grant allows it");
    let (status, out, err) = output(&child);
    assert_eq!(status, ExitStatus::Exited(0));
    assert!(out.complete && err.complete && out.data.is_empty() && err.data.is_empty());
    assert_eq!(files.read("out/both"), "1\n2\n3\n");
    let apart = Command {
        stderr: files.file("out/err", FileMode::Truncate),
        ..files.stdout("out/out", FileMode::Truncate, "echo o; echo e >&2")
    };
    assert_eq!(exit(&guest, &apart), ExitStatus::Exited(0));
    assert_eq!(
        (files.read("out/out"), files.read("out/err")),
        ("o\n".into(), "e\n".into())
    );
}

#[test]
fn a_file_needs_the_key_and_a_root() {
    let files = Files::new();
    let without = files.guest("[component.test]\nredirect = false");
    match without.spawn(&files.stdin("in/text")) {
        Err(SpawnError::Denied(denial)) => {
            assert_eq!(denial.would_allow.as_deref(), Some("redirect = true"));
        }
        other => panic!("expected a denial, got {other:?}"),
    }
    let guest = files.guest("");
    let input = [
        "away/text",
        "absent",
        "in/../away/text",
        "../etc/passwd",
        "out/ro/../../away/text",
    ];
    for name in input {
        assert_refused(&guest, &files.stdin(name));
    }
    for name in [
        "in/text",
        "in/new",
        "out/ro/text",
        "out/ro/new",
        "away/new",
        "out/../away/new",
    ] {
        for mode in [FileMode::Append, FileMode::Truncate] {
            assert_refused(&guest, &files.stdout(name, mode, "true"));
        }
    }
    let absolute = Command {
        stdin: Stdin::File("/etc/shadow".into()),
        ..sh("cat")
    };
    assert_refused(&guest, &absolute);
    let no_stdin = files.guest("[component.test]\nstdin = false");
    assert_refused(&no_stdin, &files.stdin("in/text"));
    exit(
        &no_stdin,
        &files.stdout("out/new", FileMode::Append, "true"),
    );
    for name in ["in/text", "away/text", "out/ro/text"] {
        assert_eq!(files.read(name), "some text\n");
    }
    assert!(!fs::exists(files.at("away/new")).expect("the folder can be searched"));
}

#[test]
fn a_link_is_followed_below_the_root_only() {
    let files = Files::new();
    let guest = files.guest("");
    for (target, link) in [
        ("text", "in/inside"),
        ("ro/text", "out/to-ro"),
        ("ro", "out/to-ro-folder"),
        ("../away/text", "in/out"),
        ("/etc/passwd", "in/absolute"),
        ("absent", "in/dangling"),
        ("../away", "out/folder"),
        ("new", "out/to-new"),
        ("../away/new", "out/to-away"),
        ("/proc/self/fd/0", "in/magic"),
        ("loop", "in/loop"),
    ] {
        symlink(target, files.at(link)).expect("the name is free");
    }
    symlink(files.at("in/text"), files.at("in/same")).expect("the name is free");
    assert_eq!(
        exit(&guest, &files.stdin("in/inside")),
        ExitStatus::Exited(0)
    );
    for name in ["in/out", "in/absolute", "in/magic", "in/loop", "in/same"] {
        assert_refused(&guest, &files.stdin(name));
    }
    assert_missing(&guest, &files.stdin("in/dangling"));
    assert_missing(&guest, &files.stdin("in/absent"));
    assert_missing(&guest, &files.stdin("in/text/x"));
    let write = |name: &str| files.stdout(name, FileMode::Truncate, "echo x");
    for name in [
        "out/to-ro",
        "out/to-ro-folder/new",
        "out/folder/new",
        "out/folder/text",
        "out/to-away",
    ] {
        assert_refused(&guest, &write(name));
    }
    assert_missing(&guest, &write("out/absent/new"));
    assert!(
        guest.spawn(&write("out/to-new")).is_err(),
        "it would be created through a link"
    );
    assert_eq!(files.read("away/text"), "some text\n");
    assert_eq!(files.read("out/ro/text"), "some text\n");
}

#[test]
fn only_a_regular_file_is_a_stream_and_none_blocks_the_host() {
    let files = Files::new();
    let fifo = std::process::Command::new("mkfifo")
        .arg(files.at("in/fifo"))
        .arg(files.at("out/fifo"))
        .status();
    assert!(fifo.expect("mkfifo is installed").success());
    open_to_all(files.at("in/fifo"));
    open_to_all(files.at("out/fifo"));
    let _socket = std::os::unix::net::UnixListener::bind(files.at("in/socket"));
    let guest = files.guest("");
    for name in ["in/fifo", "out/fifo", "in/socket", "in", "out"] {
        assert_refused(&guest, &files.stdin(name));
    }
    for name in ["out/fifo", "out/ro", "out"] {
        assert_refused(&guest, &files.stdout(name, FileMode::Truncate, "true"));
    }
    let devices = load(
        "version = 1\n[defaults]\nsandbox = \"none\"\nredirect = true\n\
         fs = { read = [\"/dev\", \"/proc\"], write = [\"/dev/null\"] }\n\
         [[component.test.command]]\nname = \"sh\"\nprogram = \"/bin/sh\"\nargs = [\"-c\", \"*\"]\n\
         interpreter = true\n",
    );
    let guest = files.registry.guest(devices.component("test"), "");
    for path in [
        "/dev/zero",
        "/dev/null",
        "/proc/self/environ",
        "/proc/self/fd/0",
        "/proc/version",
    ] {
        let command = Command {
            stdin: Stdin::File(path.into()),
            ..sh("cat")
        };
        assert_refused(&guest, &command);
    }
    let null = Command {
        stdout: Stdio::File {
            path: "/dev/null".into(),
            mode: FileMode::Truncate,
        },
        ..sh("true")
    };
    assert_refused(&guest, &null);
}

#[test]
fn the_childs_user_decides_what_it_may_open() {
    let files = Files::new();
    let guest = files.guest("");
    let set = |name: &str, mode| {
        fs::set_permissions(files.at(name), Permissions::from_mode(mode)).expect("it is ours");
    };
    fs::create_dir(files.at("in/closed")).expect("an empty folder");
    fs::write(files.at("in/closed/text"), "x").expect("an empty folder");
    fs::write(files.at("out/mine"), "kept").expect("an empty folder");
    set("in/secret", 0o000);
    set("in/closed", 0o000);
    set("out/mine", 0o400);
    assert_refused(&guest, &files.stdin("in/secret"));
    assert_refused(&guest, &files.stdin("in/closed/text"));
    let over = files.stdout("out/mine", FileMode::Truncate, "true");
    assert_refused(&guest, &over);
    set("in/closed", 0o700);
    set("out/mine", 0o600);
    assert_eq!(files.read("out/mine"), "kept");
    if geteuid().is_root() {
        // The host could read and write them, and the child's user cannot.
        assert_refused(&guest, &files.stdin("in/closed/text"));
        assert_refused(&guest, &over);
        set("out", 0o755);
        assert_refused(&guest, &files.stdout("out/new", FileMode::Append, "true"));
    }
}

#[test]
fn opening_for_the_childs_user_changes_nothing_of_the_host() {
    let status = || {
        let status = fs::read_to_string("/proc/thread-self/status").expect("there is /proc");
        let kept = |line: &&str| {
            ["Uid", "Gid", "Groups", "CapEff"]
                .iter()
                .any(|it| line.starts_with(it))
        };
        status
            .lines()
            .filter(kept)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let owner = || {
        fs::metadata("/proc/self/environ")
            .expect("there is /proc")
            .uid()
    };
    let files = Files::new();
    let guest = files.guest("");
    let before = (status(), owner());
    for _ in 0..3 {
        assert_eq!(exit(&guest, &files.stdin("in/text")), ExitStatus::Exited(0));
        assert_eq!((status(), owner()), before);
    }
    // The kernel lets no process of the same user look at one that may not be dumped.
    let dumpable = rustix::process::dumpable_behavior().expect("it can be read");
    assert_eq!(dumpable, rustix::process::DumpableBehavior::Dumpable);
}

#[test]
fn a_denied_file_is_no_stream() {
    let files = Files::new();
    fs::create_dir(files.at("out/hidden")).expect("an empty folder");
    open_to_all(files.at("out/hidden"));
    fs::write(files.at("out/hidden/text"), "x").expect("an empty folder");
    open_to_all(files.at("out/hidden/text"));
    symlink("secret", files.at("in/to-secret")).expect("the name is free");
    symlink("hidden", files.at("out/to-hidden")).expect("the name is free");
    let (secret, hidden) = (files.at("in/secret"), files.at("out/hidden"));
    let toml = format!(
        "version = 1\n[component.test]\nredirect = true\n\
         fs = {{ read = [{:?}], write = [{:?}], deny = [{secret:?}, {hidden:?}] }}\n\
         [[component.test.command]]\nname = \"sh\"\nprogram = \"/bin/sh\"\n\
         args = [\"-c\", \"*\"]\ninterpreter = true\nsandbox = \"best-effort\"\n",
        files.at("in"),
        files.at("out"),
    );
    let guest = files.registry.guest(load(&toml).component("test"), "");
    for name in [
        "in/secret",
        "in/to-secret",
        "out/hidden/text",
        "out/to-hidden/text",
    ] {
        assert_refused(&guest, &files.stdin(name));
    }
    for name in [
        "out/hidden/text",
        "out/hidden/new",
        "out/to-hidden/new",
        "out/hidden",
    ] {
        assert_refused(&guest, &files.stdout(name, FileMode::Truncate, "true"));
    }
    assert_eq!(files.read("out/hidden/text"), "x");
    assert_eq!(exit(&guest, &files.stdin("in/text")), ExitStatus::Exited(0));
}

#[test]
fn a_refused_request_truncates_no_file() {
    let files = Files::new();
    let builder = builder().veto(|_| Err("no".into()));
    let vetoing = build(builder);
    let over = files.stdout("out/text", FileMode::Truncate, "true");
    fs::write(files.at("out/text"), "kept").expect("the folder is ours");
    open_to_all(files.at("out/text"));
    let grant = files.guest("").grant().clone();
    let vetoed = vetoing.guest(grant, "").spawn(&over);
    assert!(matches!(vetoed, Err(SpawnError::Denied(_))), "{vetoed:?}");
    let none = files.guest("[component.test]\nmax-live = 0");
    let full = none.spawn(&over);
    assert!(
        matches!(full, Err(SpawnError::Quota(Quota::LiveChildren))),
        "{full:?}"
    );
    let missing = Command {
        stdin: Stdin::File(files.at("in/absent")),
        ..over.clone()
    };
    assert_missing(&files.guest(""), &missing);
    assert_eq!(files.read("out/text"), "kept");
}

#[test]
fn what_a_child_writes_to_a_file_is_limited_by_the_file_size() {
    let files = Files::new();
    let guest = files.guest("[component.test]\nlimits = { file-size = \"64KiB\" }");
    let endless = files.stdout("out/big", FileMode::Append, "exec yes");
    let size = ExitStatus::Killed(KillReason::FileSize);
    assert_eq!(exit(&guest, &endless), size);
    assert_eq!(
        fs::metadata(files.at("out/big"))
            .expect("it was written")
            .len(),
        64 << 10
    );
}

#[test]
fn both_grants_of_an_intersection_must_have_the_root_and_the_key() {
    let files = Files::new();
    let narrow = |redirect: bool| {
        let toml = format!(
            "version = 1\n[defaults]\nsandbox = \"none\"\nredirect = {redirect}\n\
             fs = {{ read = [{:?}] }}\n[[component.test.command]]\nname = \"sh\"\n\
             program = \"/bin/sh\"\nargs = [\"-c\", \"*\"]\ninterpreter = true\n",
            files.at("in"),
        );
        let wide = files.guest("").grant().clone();
        let both = wide.intersect(&load(&toml).component("test"));
        files.registry.guest(both, "")
    };
    assert_eq!(
        exit(&narrow(true), &files.stdin("in/text")),
        ExitStatus::Exited(0)
    );
    assert_refused(&narrow(true), &files.stdin("out/ro/text"));
    assert_refused(
        &narrow(true),
        &files.stdout("out/new", FileMode::Append, "true"),
    );
    assert_refused(&narrow(false), &files.stdin("in/text"));
}

#[test]
fn a_confined_child_reads_and_writes_its_files() {
    let files = Files::new();
    let toml = format!(
        "version = 1\n[defaults]\nredirect = true\nfs = {{ read = [{:?}, \"/\"], write = [{:?}] }}\n\
         [[component.test.command]]\nname = \"sh\"\nprogram = \"/bin/sh\"\nargs = [\"-c\", \"*\"]\n\
         interpreter = true\n",
        files.at("in"),
        files.at("out"),
    );
    let guest = files.registry.guest(load(&toml).component("test"), "");
    let command = Command {
        stdin: Stdin::File(files.at("in/text")),
        ..files.stdout(
            "out/copy",
            FileMode::Truncate,
            "cat; echo more > /proc/self/fd/0",
        )
    };
    // The shell may write its own pipe, and not the file.
    exit(&guest, &command);
    assert_eq!(files.read("out/copy"), "some text\n");
    assert_eq!(files.read("in/text"), "some text\n");
    // Not those of the host where the child has its own.
    let foreign = tempfile::NamedTempFile::new_in("/dev/shm").expect("there is shared memory");
    let foreign = foreign.path().to_str().expect("it is UTF-8").to_owned();
    for path in [foreign.as_str(), "/proc/version", "/etc/hosts"] {
        let command = Command {
            stdin: Stdin::File(path.to_owned()),
            ..sh("cat")
        };
        assert_refused(&guest, &command);
    }
}

#[test]
fn a_file_that_is_refused_costs_the_owner_no_ended_child() {
    let mut files = Files::new();
    files.registry = build(builder().max_entries(1));
    let guest = files.guest("");
    let kept = guest.spawn(&sh("echo kept")).expect("the grant allows it");
    assert_eq!(output(&kept).1.data, b"kept\n");
    for name in ["in/missing", "away/text"] {
        guest
            .spawn(&files.stdin(name))
            .expect_err("it is no file of the grant's");
    }
    let write = |name| files.stdout(name, FileMode::Truncate, "true");
    guest
        .spawn(&write("in/text"))
        .expect_err("it is in a read root");
    assert_eq!(kept.captured(0, 0).0.data, b"kept\n");
    let second = guest.spawn(&write("out/new")).expect("it is allowed");
    assert_eq!(ended(&second), ExitStatus::Exited(0));
    assert_eq!(kept.captured(0, 0).0.data, b"", "a child makes room");
}

#[test]
fn a_child_that_is_over_a_quota_changes_no_file() {
    let files = Files::new();
    let guest = files.guest("[component.test]\nmax-held-children = 1\n");
    let kept = guest
        .spawn(&sh("exec sleep 600"))
        .expect("the grant allows it");
    fs::write(files.at("out/kept"), "some text\n").expect("the folder is ours");
    open_to_all(files.at("out/kept"));
    for name in ["out/kept", "out/new"] {
        let refused = guest.spawn(&files.stdout(name, FileMode::Truncate, "true"));
        assert!(matches!(refused, Err(SpawnError::Quota(_))), "{refused:?}");
    }
    assert_eq!(files.read("out/kept"), "some text\n");
    assert!(!fs::exists(files.at("out/new")).expect("the folder is ours"));
    kept.kill(std::time::Duration::ZERO);
}

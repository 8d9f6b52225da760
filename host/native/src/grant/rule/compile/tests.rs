//! Loading a grant: each mistake next to what is accepted.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::grant::Grants;
use crate::grant::testing::{allowed, component, echo, load, open_to_all, refused, request};
use crate::launch::Identity;

#[test]
fn examples_are_tried() {
    load(&echo(
        "args = [\"a\", \"*\"]\nmatch = [[\"a\", \"b\"]]\nnot-match = [[\"b\"], []]",
    ))
    .expect("all examples hold");
    let wrong = refused(&echo(
        "args = [\"a\"]\nmatch = [[\"a\"],\n [\"b\"]]\nnot-match = [[\"a\"]]",
    ));
    assert!(
        wrong.contains(":7:2: this example of `match` does not match `args`: argument 1"),
        "{wrong}"
    );
    assert!(
        wrong.contains(":8:14: this example of `not-match` matches"),
        "{wrong}"
    );
}

#[test]
fn an_interpreter_with_a_wildcard_needs_a_flag() {
    let sh = |lines: &str| echo(lines).replace("/bin/echo", "/bin/sh");
    assert!(refused(&sh("args = [\"-c\", \"*\"]")).contains("interpreter = true"));
    assert!(refused(&sh("args = [\"**\"]")).contains("interpreter = true"));
    load(&sh("args = [\"-c\", \"*\"]\ninterpreter = true")).expect("it has the flag");
    load(&sh("args = [\"-c\", \"true\"]")).expect("it has no wildcard");
}

#[test]
fn a_program_is_an_absolute_path_of_an_executable_file() {
    let program = |path: &str| refused(&echo("").replace("/bin/echo", path));
    assert!(program("echo").contains(":4:11: `program` must be an absolute path"));
    assert!(program("/bin").contains("not a regular file"));
    assert!(program("/etc/passwd").contains("not executable"));
    assert!(program("/bin/absent").contains("No such file"));
    load(&echo("")).expect("it is an executable file");
}

#[test]
fn a_pin_is_compared_with_the_file() {
    let pin = |hex: &str| refused(&echo(&format!("sha256 = \"{hex}\"")));
    assert!(pin("abc").contains("64 hexadecimal digits"));
    let message = pin(&"0".repeat(64));
    let found = message
        .rsplit(' ')
        .next()
        .expect("the message ends with the hash");
    load(&echo(&format!("sha256 = \"{found}\""))).expect("that is its hash");
}

#[test]
fn a_program_below_a_write_root_of_any_component_is_refused() {
    let other = "[component.other]\nfs = { write = [\"/usr/bin\"] }\n";
    assert!(refused(&format!("{other}{}", echo(""))).contains("could be replaced"));
    let elsewhere = other.replace("/usr/bin", "/tmp");
    load(&format!("{elsewhere}{}", echo(""))).expect("it lies elsewhere");
}

#[test]
fn a_root_of_a_path_pattern_lies_below_a_root_of_the_sandbox() {
    let path = |root: &str, access: &str| {
        echo(&format!(
            "args = [{{ path = {{ under = [\"{root}\"], access = \"{access}\" }} }}]"
        ))
    };
    load(&path("/usr/bin", "read")).expect("a default root contains it");
    assert!(refused(&path("/tmp", "read")).contains("not inside fs.read"));
    assert!(refused(&path("/usr/bin", "write")).contains("not inside fs.write"));
    assert!(refused(&path("/absent", "read")).contains("No such file"));
    let writable = "fs = { write = [\"/tmp\"] }\n";
    for access in ["read", "write"] {
        load(&format!("{}{writable}", path("/tmp", access))).expect("a write root contains it");
    }
}

#[test]
fn a_missing_root_is_skipped_in_the_defaults_only() {
    let defaults = "[defaults]\nfs = { read = [\"/usr\", \"/absent\"] }\n";
    load(&format!("{defaults}{}", echo(""))).expect("a missing default is skipped");
    let message = refused(&echo("fs = { read = [\"/absent\"] }"));
    assert!(
        message.contains(":5:16: /absent: No such file"),
        "{message}"
    );
}

#[test]
fn any_program_needs_name_program_and_a_required_sandbox() {
    let any = "[[component.c.command]]\nname = \"*\"\nprogram = \"*\"\n";
    load(any).expect("it has all three");
    for wrong in [
        any.replace("name = \"*\"", "name = \"x\""),
        any.replace("program = \"*\"", "program = \"/bin/echo\""),
        format!("{any}sandbox = \"best-effort\"\n"),
        format!("{any}sha256 = \"{}\"\n", "0".repeat(64)),
    ] {
        refused(&wrong);
    }
}

#[test]
fn a_surprising_setting_is_a_warning() {
    assert!(component(&echo("")).warnings().is_empty());
    let none = component(&echo(
        "sandbox = \"none\"\nargs = [{ path = { under = [\"/usr\"] } }]",
    ));
    assert!(
        none.warnings()
            .iter()
            .any(|line| line.contains("not enforced"))
    );
}

/// Somebody who owns nothing here and is not the host.
const STRANGER: Identity = Identity {
    uid: 54321,
    gid: 54321,
};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

/// The folder `work/out`, which every user may write, and a grant in which it is a write
/// root.
fn write_root() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir_all(folder.path().join("work/out")).expect("an empty folder");
    for name in ["", "work", "work/out"] {
        open_to_all(&folder.path().join(name));
    }
    let command = echo("");
    let text = format!("version = 1\n[component.c]\nfs = {{ write = [\"work/out\"] }}\n{command}");
    (folder, text)
}

#[test]
fn a_write_root_that_children_cannot_write_is_refused_with_its_place() {
    let (folder, text) = write_root();
    let file = folder.path().join("g.toml");
    let load = |text: &str, identity| {
        fs::write(&file, text).expect("the folder is ours");
        Grants::load_as(&file, identity)
    };
    load(&text, STRANGER).expect("every user may write it");
    let out = folder.path().join("work/out");
    chmod(&out, 0o755);
    let error = load(&text, STRANGER).expect_err("it belongs to the host");
    assert_eq!(error.diagnostics().len(), 1, "once: {error}");
    assert_eq!(error.diagnostics()[0].place, Some((3, 17)));
    let message = &error.diagnostics()[0].message;
    let expected = "the user that children run as (54321:54321) cannot write it";
    assert!(message.contains(expected), "{message}");
    assert!(message.contains("work/out"), "{message}");
    // Two commands, one mistake.
    let twice = format!("{text}{}", echo("args = [\"a\"]"));
    let error = load(&twice, STRANGER).expect_err("it belongs to the host");
    assert_eq!(error.diagnostics().len(), 1, "once: {error}");
    // A user who can write it, and a command that is not confined, are no mistake.
    load(&text, Identity { uid: 0, gid: 0 }).expect("root may write everything");
    load(&format!("{text}sandbox = \"none\"\n"), STRANGER).expect("the child is not confined");
    load(&format!("{text}decision = \"deny\"\n"), STRANGER).expect("nothing starts");
    load(&format!("{text}sandbox = \"best-effort\"\n"), STRANGER)
        .expect_err("the child may be confined");
}

#[test]
fn a_write_root_with_which_programs_do_not_work_as_outside_is_one_warning() {
    let (folder, text) = write_root();
    let file = folder.path().join("g.toml");
    fs::create_dir(folder.path().join("work/other")).expect("the folder is ours");
    open_to_all(&folder.path().join("work/other"));
    let warnings = |text: &str| {
        fs::write(&file, text).expect("the folder is ours");
        let grants = Grants::load_as(&file, STRANGER).expect("it is no error");
        grants.component("c").warnings().to_vec()
    };
    assert!(warnings(&text).is_empty(), "{:?}", warnings(&text));
    let two = text.replace("\"work/out\"", "\"work/out\", \"work/other\"");
    let two = format!("{two}{}", echo("args = [\"a\"]"));
    let lines = warnings(&two);
    assert_eq!(lines.len(), 1, "of two commands: {lines:?}");
    assert!(lines[0].contains("EXDEV"), "{lines:?}");
    let unconfined = warnings(&two.replace("[component.c]", "[component.c]\nsandbox = \"none\""));
    assert!(
        unconfined.iter().all(|line| !line.contains("EXDEV")),
        "{unconfined:?}"
    );
}

#[test]
fn a_read_root_that_children_cannot_search_is_a_warning() {
    let (folder, text) = write_root();
    let text = text.replace("write", "read");
    let file = folder.path().join("g.toml");
    fs::write(&file, &text).expect("the folder is ours");
    let warnings = || {
        let grants = Grants::load_as(&file, STRANGER).expect("it is no error");
        grants.component("c").warnings().to_vec()
    };
    assert!(warnings().is_empty(), "{:?}", warnings());
    let work = folder.path().join("work");
    chmod(&work, 0o770);
    let lines = warnings();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let expected = format!("cannot search {}", work.display());
    assert!(lines[0].contains(&expected), "{lines:?}");
}

#[test]
fn a_program_that_the_user_of_children_may_write_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("tool");
    fs::write(&program, "\u{7f}ELF").expect("the folder is ours");
    chmod(&program, 0o775);
    chmod(folder.path(), 0o755);
    let gid = program.metadata().expect("it exists").gid();
    let file = folder.path().join("g.toml");
    let load = |gid: u32, sandbox: &str| {
        let text = format!(
            "version = 1\n[[component.c.command]]\nname = \"t\"\nprogram = {program:?}\nsandbox = {sandbox:?}\n"
        );
        fs::write(&file, text).expect("the folder is ours");
        Grants::load_as(&file, Identity { uid: 54321, gid })
    };
    load(54321, "best-effort").expect("it belongs to another user and another group");
    load(gid, "required").expect("the sandbox protects it");
    let error = load(gid, "best-effort").expect_err("its group may write it");
    assert_eq!(error.diagnostics()[0].place, Some((4, 11)));
    let message = &error.diagnostics()[0].message;
    assert!(
        message.contains("could be replaced by a child"),
        "{message}"
    );
}

#[test]
fn a_child_without_a_path_of_the_grants_gets_the_default_one() {
    let path = |settings: &str| {
        let grant = component(&format!("[defaults]\n{settings}\n{}", echo("")));
        let plan = allowed(&grant, &request(&[]));
        let found = plan.env.iter().find(|(name, _)| name == "PATH");
        found.map(|(_, value)| value.clone())
    };
    let default = Some("/usr/local/bin:/usr/bin:/bin".into());
    assert_eq!(path(""), default);
    assert_eq!(path("env = { set = { LANG = \"C\" } }"), default);
    assert_eq!(
        path("env = { set = { PATH = \"/opt\" } }"),
        Some("/opt".into())
    );
    assert_eq!(
        path("env = { inherit = [\"PATH\"] }"),
        std::env::var_os("PATH")
    );
}

#[test]
fn only_the_hosts_network_brings_the_files_by_which_it_finds_hosts() {
    let shows = |settings: &str, path: &str| {
        let grant = component(&format!("[defaults]\n{settings}\n{}", echo("")));
        let plan = allowed(&grant, &request(&[]));
        let mut read = plan.confinement.fs.read.iter();
        read.any(|root| root.written == Path::new(path))
    };
    let own = "fs = { read = [\"/usr\"] }\nnetwork = \"host\"";
    for path in ["/etc/hosts", "/etc/nsswitch.conf"] {
        assert!(shows(own, path), "{path}");
        assert!(!shows("fs = { read = [\"/usr\"] }", path), "{path}");
        let denied =
            format!("fs = {{ read = [\"/usr\"], deny = [\"{path}\"] }}\nnetwork = \"host\"");
        assert!(!shows(&denied, path), "{path}");
        // A root above it shows it already.
        assert!(
            !shows("fs = { read = [\"/etc\"] }\nnetwork = \"host\"", path),
            "{path}"
        );
    }
    assert!(!shows(own, "/etc/passwd"));
}

#[test]
fn a_program_that_stops_at_an_unlisted_file_in_tier_b_is_warned_of() {
    let lines = |settings: &str| {
        let python = echo("").replace("/bin/echo", "/usr/bin/python3");
        let grant = component(&format!("[defaults]\n{settings}\n{python}"));
        grant.warnings().to_vec()
    };
    let own = "fs = { read = [\"/usr\", \"/lib\", \"/lib64\"] }";
    let about = |lines: &[String]| lines.iter().any(|line| line.contains("/etc/mime.types"));
    assert_eq!(about(&lines(own)), Path::new("/etc/mime.types").exists());
    assert!(!about(&lines("fs = { read = [\"/usr\", \"/etc\"] }")));
    assert!(!about(&lines(&format!("{own}\nsandbox = \"none\""))));
    assert!(
        lines("").is_empty(),
        "the defaults are enough: {:?}",
        lines("")
    );
}

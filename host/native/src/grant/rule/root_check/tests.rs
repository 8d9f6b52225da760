//! Paths that cannot be granted or denied as the grant lists them, each next to one that can.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::grant::Grants;
use crate::grant::testing::{echo, open_to_all};

/// A folder with the write root `ws`, which has `ws/sub` and a link to `ro`, and with `ro/file`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir_in("/var/tmp").expect("a temporary folder");
    for name in ["", "ws", "ws/sub", "ro"] {
        let path = folder.path().join(name);
        fs::create_dir_all(&path).expect("an empty folder");
        open_to_all(&path);
    }
    fs::write(folder.path().join("ro/file"), "").expect("an empty folder");
    symlink("../ro", folder.path().join("ws/vendor")).expect("an empty folder");
    symlink("ws", folder.path().join("link")).expect("an empty folder");
    folder
}

/// Loads a grant whose paths are relative to `folder`.
fn load(folder: &Path, defaults: &str, component: &str, command: &str) -> Result<Grants, String> {
    let echo = echo(command);
    let text = format!("version = 1\n[defaults]\n{defaults}\n[component.c]\n{component}\n{echo}");
    Grants::from_toml_str(&text, folder).map_err(|error| error.to_string())
}

fn warnings(folder: &Path, defaults: &str, component: &str) -> Vec<String> {
    let grants = load(folder, defaults, component, "").expect("it is sound");
    grants.component("c").warnings().to_vec()
}

#[track_caller]
fn refused(folder: &Path, defaults: &str, component: &str, expected: &[&str]) {
    let message = load(folder, defaults, component, "").expect_err("it is wrong");
    for part in expected {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[track_caller]
fn accepted(folder: &Path, defaults: &str, component: &str) {
    load(folder, defaults, component, "").expect("it is sound");
}

#[test]
fn a_denied_path_of_the_defaults_is_kept_although_it_is_missing() {
    let folder = folder();
    for late in ["ro/late", "ro/late/deep", "nowhere/at/all"] {
        let deny = format!("fs = {{ deny = [\"{late}\"] }}");
        let grants = load(folder.path(), &deny, "fs = { read = [\"ro\"] }", "");
        let grant = grants.expect("it may be missing").component("c");
        let command = grant.commands().next().expect("echo");
        let denied = &command.confinement.fs.deny;
        assert_eq!(denied.len(), 1);
        assert_eq!(denied[0].written, folder.path().join(late));
        let [warning] = grant.warnings() else {
            panic!("{:?}", grant.warnings())
        };
        assert!(
            warning.contains(late) && warning.contains("does not exist"),
            "{warning}"
        );
    }
    let through_a_file = "fs = { deny = [\"ro/file/x\"] }";
    refused(
        folder.path(),
        through_a_file,
        "",
        &[":3:", "ro/file/x", "cannot be denied"],
    );
    // A component names its own paths: there a missing one is a mistake.
    let own = "fs = { read = [\"ro\"], deny = [\"ro/late\"] }";
    refused(folder.path(), "", own, &[":5:", "ro/late", "No such file"]);
}

#[test]
fn a_denied_path_in_a_write_root_must_exist_and_must_not_be_a_link() {
    let folder = folder();
    let write = "fs = { write = [\"ws\"] }";
    let deny = |path: &str| format!("fs = {{ deny = [\"{path}\"] }}");
    accepted(folder.path(), &deny("ws/sub"), write);
    accepted(folder.path(), &deny("link/sub"), write);
    let hint = "create it or narrow the write root";
    refused(
        folder.path(),
        &deny("ws/late"),
        write,
        &[":3:", "ws/late", hint],
    );
    refused(
        folder.path(),
        &deny("link/late/x"),
        write,
        &[":3:", "link/late/x", hint],
    );
    refused(
        folder.path(),
        &deny("ws/vendor"),
        write,
        &[":3:", "ws/vendor is a symbolic link"],
    );
    refused(
        folder.path(),
        &deny("ws/vendor/file"),
        write,
        &[":3:", "ws/vendor is a symbolic link"],
    );
    accepted(folder.path(), &deny("ws/late"), "fs = { read = [\"ws\"] }");
    accepted(
        folder.path(),
        &deny("ws/vendor/file"),
        "fs = { read = [\"ro\"] }",
    );
}

#[test]
fn a_link_on_a_denied_path_that_another_component_may_write_is_refused() {
    let folder = folder();
    let other = "fs = { read = [\"ro\"] }\n[component.other]\nfs = { write = [\"ws\"] }";
    let deny = |path: &str| format!("fs = {{ deny = [\"{path}\"] }}");
    let text = |denied: &str| load(folder.path(), &deny(denied), other, "");
    let refused = text("ws/vendor/file").expect_err("the other's child could point it elsewhere");
    assert!(
        refused.contains(":3:") && refused.contains("ws/vendor is a symbolic link"),
        "{refused}"
    );
    text("ro/file").expect("no link leads there");
}

#[test]
fn a_root_at_or_below_a_denied_path_is_refused_at_its_line() {
    let folder = folder();
    for denied in ["ro", "ws/vendor"] {
        let deny = format!("fs = {{ deny = [\"{denied}\"] }}");
        let expected = [":5:", "ro lies in", denied, "remove one of the two"];
        refused(folder.path(), &deny, "fs = { read = [\"ro\"] }", &expected);
    }
    let expected = [":5:", "ro/file lies in"];
    refused(
        folder.path(),
        "fs = { deny = [\"ro\"] }",
        "fs = { read = [\"ro/file\"] }",
        &expected,
    );
    let expected = [":5:", "ws/sub lies in"];
    refused(
        folder.path(),
        "fs = { deny = [\"ws\"] }",
        "fs = { write = [\"ws/sub\"] }",
        &expected,
    );
    accepted(
        folder.path(),
        "fs = { deny = [\"ro/file\"] }",
        "fs = { read = [\"ro\"] }",
    );
    // The command's own denied path is in force for the roots of the component.
    let own = "fs = { deny = [\"ro\"] }";
    load(folder.path(), "", "fs = { read = [\"ro\"] }", own).expect_err("ro is denied");
    load(
        folder.path(),
        "",
        "fs = { read = [\"ro\"] }",
        &format!("{own}\nsandbox = \"none\""),
    )
    .expect("nothing is confined");
}

#[test]
fn a_denied_path_wins_over_the_roots_that_are_built_in() {
    let folder = folder();
    let deny = "fs = { deny = [\"/etc/passwd\", \"/etc/ssl\"] }";
    let grants = load(folder.path(), deny, "", "").expect("the grant does not list them");
    let grant = grants.component("c");
    let command = grant.commands().next().expect("echo");
    let read = &command.confinement.fs.read;
    let has = |path: &str| read.iter().any(|root| root.written == Path::new(path));
    assert!(!has("/etc/passwd") && !has("/etc/ssl") && has("/etc/group") && has("/usr"));
    // The program is named by the grant.
    let error = load(folder.path(), "fs = { deny = [\"/usr/bin\"] }", "", "");
    let error = error.expect_err("the program is denied");
    assert!(
        error.contains(":8:") && error.contains("/bin/echo lies in /usr/bin"),
        "{error}"
    );
}

#[test]
fn a_denied_path_that_no_root_contains_is_a_warning() {
    let folder = folder();
    let read = "fs = { read = [\"ro\"] }";
    assert!(warnings(folder.path(), "fs = { deny = [\"ro/file\"] }", read).is_empty());
    let found = warnings(folder.path(), "fs = { deny = [\"ws/sub\"] }", read);
    assert!(
        found
            .iter()
            .any(|line| line.contains("ws/sub hides nothing")),
        "{found:?}"
    );
    // It hides something from another component.
    let both = format!(
        "{read}\n[component.d]\nfs = {{ read = [\"ws\"] }}\n[[component.d.command]]\nname = \"x\"\nprogram = \"/bin/true\""
    );
    assert!(warnings(folder.path(), "fs = { deny = [\"ws/sub\"] }", &both).is_empty());
}

#[test]
fn a_root_behind_a_link_that_a_child_could_have_made_is_refused() {
    let folder = folder();
    for own in [true, false] {
        let (read, other) = match own {
            true => ("write = [\"ws\"], ", ""),
            false => ("", "[component.other]\nfs = { write = [\"ws\"] }"),
        };
        let component = |root: &str| format!("fs = {{ {read}read = [\"{root}\"] }}\n{other}");
        for root in ["ws/vendor", "ws/vendor/file", "link/vendor"] {
            refused(
                folder.path(),
                "",
                &component(root),
                &[":5:", root, "ws/vendor is a symbolic link", "ro"],
            );
        }
        for root in ["ws/sub", "link/sub", "ro"] {
            accepted(folder.path(), "", &component(root));
        }
    }
    let write = "fs = { write = [\"ws\"] }";
    refused(
        folder.path(),
        "",
        &format!("{write}\ncwd = {{ default = \"ws/vendor\" }}"),
        &[":6:", "ws/vendor"],
    );
    accepted(
        folder.path(),
        "",
        &format!("{write}\ncwd = {{ default = \"ws/sub\" }}"),
    );
    let path = |root: &str| format!("args = [{{ path = {{ under = [\"{root}\"] }} }}]");
    let both = "fs = { write = [\"ws\"], read = [\"ro\"] }";
    load(folder.path(), "", both, &path("ws/vendor"))
        .expect_err("a child could have made the link");
    load(folder.path(), "", both, &path("ws/sub")).expect("it is no link");
}

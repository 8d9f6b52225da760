//! The sum of defaults, component and command.

use std::time::Duration;

use super::*;
use crate::command::Command;
use crate::grant::testing::{allowed, component, echo, refused, request};
use crate::streams::Stdin;

#[test]
fn absent_defaults_are_the_built_in_ones() {
    let plan = allowed(&component(&echo("")), &request(&[]));
    assert_eq!(plan.limits, Limits::default());
    assert_eq!(plan.capture, CaptureCaps::default());
    assert_eq!(plan.confinement.sandbox, Sandbox::Required);
    assert_eq!(plan.confinement.network, Network::None);
    assert!(plan.confinement.fs.write.is_empty() && plan.confinement.fs.deny.is_empty());
    let read = &plan.confinement.fs.read;
    for root in system_files::EVERY_CHILD
        .iter()
        .filter(|root| !root.contains('*'))
    {
        assert_eq!(
            read.iter().any(|read| read.written == Path::new(root)),
            Path::new(root).exists(),
            "{root}"
        );
    }
    let names: Vec<_> = plan.env.iter().map(|(name, _)| name.as_str()).collect();
    assert!(
        names
            .iter()
            .all(|name| ["LANG", "PATH", "TZ"].contains(name)),
        "{names:?}"
    );
    assert!(plan.env.contains(&("LANG".into(), "C.UTF-8".into())));
}

#[test]
fn lists_add_up_and_values_replace() {
    let grant = component(&format!(
        "[defaults]
         fs = {{ read = [\"/usr\"] }}
         env = {{ set = {{ A = \"1\", B = \"1\" }}, allow = [\"X\"] }}
         limits = {{ wall = \"9s\", memory = \"unlimited\" }}
         [component.c]
         fs = {{ read = [\"/etc\"] }}
         env = {{ set = {{ B = \"2\" }} }}
         limits = {{ cpu = \"3s\" }}
         {}",
        echo(
            "fs = { write = [\"/tmp\"] }\nenv = { allow = [\"Y\"] }
             limits = { cpu = \"2s\" }\ncapture = { stdout = \"3B\" }"
        ),
    ));
    let mut command = request(&[]);
    command.env = [("X", "x"), ("Y", "y")]
        .map(|(n, v)| (n.into(), v.into()))
        .into();
    let plan = allowed(&grant, &command);
    assert_eq!(plan.confinement.fs.read, ["/usr", "/etc"].map(FsRoot::from));
    assert_eq!(plan.confinement.fs.write, ["/tmp"].map(FsRoot::from));
    assert_eq!(plan.limits.wall, Duration::from_secs(9));
    assert_eq!(plan.limits.cpu, Some(Duration::from_secs(2)));
    assert_eq!(plan.limits.memory_bytes, None);
    assert_eq!(plan.limits.processes, Limits::default().processes);
    assert_eq!(plan.capture.stdout_bytes, 3);
    let set = |name: &str| {
        plan.env
            .iter()
            .find(|(n, _)| n == name)
            .and_then(|(_, v)| v.to_str())
    };
    assert_eq!(
        (set("A"), set("B"), set("LANG")),
        (Some("1"), Some("2"), None)
    );
}

#[test]
fn a_pid_is_disclosed_where_the_grant_says_so() {
    let discloses = |section: &str, command: &str| {
        let text = format!("[component.c]\n{section}\n{}", echo(command));
        allowed(&component(&text), &request(&[])).disclose_pid
    };
    let (yes, no) = ("disclose-pid = true", "disclose-pid = false");
    assert!(!discloses("", ""));
    assert!(discloses("", yes) && discloses(yes, ""));
    assert!(!discloses(yes, no) && discloses(no, yes));
    let wrong = refused(&echo("disclose-pid = 1"));
    assert!(
        wrong.contains("`disclose-pid` must be true or false"),
        "{wrong}"
    );
}

#[test]
fn standard_input_is_refused_where_the_grant_says_so() {
    let allows = |defaults: &str, section: &str, command: &str| {
        let text = format!(
            "[defaults]\n{defaults}\n[component.c]\n{section}\n{}",
            echo(command)
        );
        let piped = Command {
            stdin: Stdin::Piped,
            ..request(&[])
        };
        component(&text).decide(&piped).is_ok()
    };
    let (yes, no) = ("stdin = true", "stdin = false");
    assert!(allows("", "", "") && allows("", "", yes));
    assert!(!allows(no, "", "") && !allows("", no, "") && !allows("", "", no));
    // As for every single value, the command replaces what the component has.
    assert!(allows(no, "", yes) && allows("", no, yes) && !allows(yes, yes, no));
    let wrong = refused(&echo("stdin = \"null\""));
    let expected = ":5:9: `stdin` must be true or false, not a string";
    assert!(wrong.contains(expected), "{wrong}");
}

#[test]
fn a_default_directory_lies_below_its_roots() {
    let start = |cwd: &str| echo(&format!("cwd = {cwd}"));
    let plan = allowed(&component(&start("{ roots = [\"/usr\"] }")), &request(&[]));
    assert_eq!(plan.cwd.path, Path::new("/usr"));
    let wrong = refused(&start("{ default = \"/etc\", roots = [\"/usr\"] }"));
    assert!(wrong.contains("outside `cwd.roots`"), "{wrong}");
    assert!(refused(&start("{}")).contains("needs a `default` or `roots`"));
    assert!(refused(&start("\"/usr\"")).contains("must be a table"));
}

#[test]
fn patterns_and_equals_signs_in_names_of_variables_are_refused() {
    for env in [
        "{ inherit = [\"*\"] }",
        "{ allow = [\"A*B\"] }",
        "{ set = { \"A=B\" = \"\" } }",
    ] {
        refused(&echo(&format!("env = {env}")));
    }
}

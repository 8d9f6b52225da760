//! Edits of a grant, and what each does.

use std::path::Path;

use super::Direction::{self, Narrows, Neither, Undecided, Widens};
use crate::grant::file::keys::{Absent, KeyTable, keys};
use crate::grant::{Change, Grants};

/// The grant of one command with these lines, and these lines of the component.
fn text(component: &str, command: &str) -> String {
    let program = if command.contains("program =") {
        ""
    } else {
        "program = \"/usr/bin/wc\"\n"
    };
    format!(
        "version = 1\n[component.c]\n{component}\n[[component.c.command]]\nname = \"x\"\n{program}{command}\n"
    )
}

fn load(text: &str) -> Grants {
    Grants::from_toml_str(text, Path::new("/")).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn changes(old: &str, new: &str) -> Vec<Change> {
    load(new).changes_since(&load(old))
}

fn directions(old: &str, new: &str) -> Vec<(&'static str, Direction)> {
    changes(old, new)
        .iter()
        .map(|change| (change.key, change.direction))
        .collect()
}

/// Edits of a command: its lines before and after, and the key and the direction of each change. The way back has the
/// opposite direction, unless it is written out.
const COMMAND: &[(&str, &str, &str, Direction)] = &[
    (
        "",
        "args = [{ literal = \"a\", optional = true }]",
        "args",
        Widens,
    ),
    ("args = [\"a\"]", "args = [\"*\"]", "args", Widens),
    ("args = [\"*\"]", "args = [\"**\"]", "args", Widens),
    (
        "args = [\"**\"]",
        "args = [{ rest = true, allow-dash = true }]",
        "args",
        Widens,
    ),
    (
        "args = [{ one-of = [\"a\"] }]",
        "args = [{ one-of = [\"a\", \"b\"] }]",
        "args",
        Widens,
    ),
    (
        "args = [{ one-of = [\"a\", \"b\"] }]",
        "args = [{ re = \"[a-z]\" }]",
        "args",
        Undecided,
    ),
    (
        "args = [{ int = [1, 100] }]",
        "args = [{ int = [0, 100] }]",
        "args",
        Widens,
    ),
    (
        "args = [{ int = [1, 900] }]",
        "args = [{ int = [1, 1000], prefix = \"-n\" }]",
        "args",
        Undecided,
    ),
    (
        "args = [\"a\"]",
        "args = [{ literal = \"a\", optional = true }]",
        "args",
        Widens,
    ),
    (
        "args = [{ literal = \"a\", repeat = \"0..3\" }]",
        "args = [{ literal = \"a\", repeat = \"0..\" }]",
        "args",
        Widens,
    ),
    (
        "args = [{ path = { under = [\"/usr/share\"] } }]\nfs.read = [\"/usr/share\"]",
        "args = [{ path = { under = [\"/usr\"] } }]\nfs.read = [\"/usr/share\"]",
        "args",
        Widens,
    ),
    (
        "args = [{ path = { under = [\"/usr\"] } }]",
        "args = [\"*\"]",
        "args",
        Widens,
    ),
    (
        "args = [{ re = \"[a-z]\" }]",
        "args = [{ re = \"[a-y]\" }]",
        "args",
        Undecided,
    ),
    ("decision = \"ask\"", "", "decision", Widens),
    (
        "program = \"/usr/bin/wc\"",
        "program = \"/usr/bin/head\"",
        "program",
        Undecided,
    ),
    ("fixed = [\"-l\"]", "", "fixed", Undecided),
    ("", "allow-arg0 = [\"y\"]", "allow-arg0", Widens),
    ("", "arg0 = \"y\"", "arg0", Undecided),
    (
        "allow-arg0 = [\"y*\"]",
        "allow-arg0 = [\"y*\"]\narg0 = \"yy\"",
        "arg0",
        Neither,
    ),
    ("", "sandbox = \"best-effort\"", "sandbox", Widens),
    (
        "sandbox = \"best-effort\"",
        "sandbox = \"none\"",
        "sandbox",
        Widens,
    ),
    ("", "network = \"loopback\"", "network", Widens),
    ("", "fs.read = [\"/var/lib\"]", "fs.read", Widens),
    (
        "fs.read = [\"/var/lib\"]",
        "fs.read = [\"/var\"]",
        "fs.read",
        Widens,
    ),
    (
        "fs.read = [\"/tmp\"]",
        "fs.write = [\"/tmp\"]",
        "fs.write",
        Widens,
    ),
    ("fs.deny = [\"/usr/share/doc\"]", "", "fs.deny", Widens),
    (
        "fs.deny = [\"/usr/local\"]",
        "fs.deny = [\"/usr/local/bin\"]",
        "fs.deny",
        Widens,
    ),
    (
        "fs.read = [\"/tmp\"]\ncwd.default = \"/tmp\"",
        "fs.read = [\"/tmp\"]\ncwd = { default = \"/tmp\", roots = [\"/tmp\", \"/usr\"] }",
        "cwd",
        Widens,
    ),
    (
        "cwd = { default = \"/usr\" }",
        "cwd = { default = \"/usr/share\", roots = [\"/usr\"] }",
        "cwd.default",
        Neither,
    ),
    ("", "env.set = { A = \"b\" }", "env.set", Undecided),
    (
        "env.set = { LANG = \"C\" }",
        "env.set = { LANG = \"C.UTF-8\" }",
        "env.set",
        Undecided,
    ),
    (
        "",
        "env.inherit = [\"CAPSPAWN_TEST_ABSENT\"]",
        "env.inherit",
        Widens,
    ),
    ("", "env.allow = [\"LC_ALL\"]", "env.allow", Widens),
    (
        "env.allow = [\"LC_ALL\"]",
        "env.allow = [\"LC_*\"]",
        "env.allow",
        Widens,
    ),
    (
        "env.allow = [\"GIT_*\"]",
        "env.allow = [\"GIT_*\", \"GIT_PAGER\"]",
        "env.allow",
        Widens,
    ),
    ("limits.wall = \"10s\"", "", "limits.wall", Widens),
    ("", "limits.cpu = \"unlimited\"", "limits.cpu", Widens),
    ("limits.memory = \"64MiB\"", "", "limits.memory", Widens),
    ("", "limits.processes = 1000", "limits.processes", Widens),
    ("limits.open-files = 16", "", "limits.open-files", Widens),
    (
        "limits.file-size = \"1KiB\"",
        "",
        "limits.file-size",
        Widens,
    ),
    ("limits.tmpfs = \"1MiB\"", "", "limits.tmpfs", Widens),
    ("limits.output = \"1KiB\"", "", "limits.output", Widens),
    ("capture.stdout = \"1KiB\"", "", "capture.stdout", Widens),
    ("capture.stderr = \"1KiB\"", "", "capture.stderr", Widens),
    ("stdin = false", "", "stdin", Widens),
    ("", "redirect = true", "redirect", Widens),
    ("", "allow-bytes = true", "allow-bytes", Widens),
    ("", "disclose-pid = true", "disclose-pid", Widens),
];

/// The direction of the way back.
fn opposite(direction: Direction) -> Direction {
    match direction {
        Widens => Narrows,
        Narrows => Widens,
        other => other,
    }
}

#[test]
fn each_edit_of_a_command_has_its_direction_and_the_way_back_the_opposite_one() {
    for &(old, new, key, direction) in COMMAND {
        let (old, new) = (text("", old), text("", new));
        assert_eq!(directions(&old, &new), [(key, direction)], "{old} -> {new}");
        let back = directions(&new, &old);
        assert_eq!(back.len(), 1, "{new} -> {old}: {back:?}");
        let expected = match (key, direction) {
            // The texts of the list are known to match the expression, or not.
            ("args", Undecided) => back[0].1,
            ("arg0", Neither) => Undecided,
            (_, direction) => opposite(direction),
        };
        assert_eq!(back[0].1, expected, "{new} -> {old}");
        assert_eq!(directions(&old, &old), [], "{old}");
        assert_eq!(directions(&new, &new), [], "{new}");
    }
}

#[test]
fn a_rule_with_other_arguments_widens_both_ways() {
    let (none, one) = (text("", ""), text("", "args = [\"a\"]"));
    assert_eq!(directions(&none, &one), [("args", Widens)]);
    assert_eq!(directions(&one, &none), [("args", Widens)]);
}

#[test]
fn each_edit_of_a_component_has_its_direction() {
    for (old, new, key, direction) in [
        ("", "max-live = 65", "max-live", Widens),
        ("max-total = 5", "max-total = 6", "max-total", Widens),
        ("rate = \"20/min\"", "", "rate", Widens),
        ("rate = \"20/min\"", "rate = \"21/min\"", "rate", Widens),
        ("rate = \"20/min\"", "rate = \"5/s\"", "rate", Undecided),
        ("max-held-children = 10", "", "max-held-children", Widens),
        ("max-held-memory = \"1MiB\"", "", "max-held-memory", Widens),
        (
            "max-held-descriptors = 8",
            "",
            "max-held-descriptors",
            Widens,
        ),
        ("", "detach.allow = true", "detach.allow", Widens),
        (
            "detach.allow = true",
            "detach = { allow = true, max-life = \"1h\" }",
            "detach.max-life",
            Widens,
        ),
    ] {
        let (old, new) = (text(old, ""), text(new, ""));
        assert_eq!(directions(&old, &new), [(key, direction)], "{old} -> {new}");
        assert_eq!(
            directions(&new, &old),
            [(key, opposite(direction))],
            "{new} -> {old}"
        );
    }
}

/// A rule of the command `x`.
fn rule(lines: &str) -> String {
    format!("[[component.c.command]]\nname = \"x\"\nprogram = \"/usr/bin/wc\"\n{lines}\n")
}

#[test]
fn rules_of_one_name_are_compared_as_what_they_allow_together() {
    let (a, b, all) = ("args = [\"a\"]", "args = [\"b\"]", "args = [\"*\"]");
    let ask = "args = [\"a\"]\ndecision = \"ask\"";
    let deny = "args = [\"a\"]\ndecision = \"deny\"";
    let deny_all = "decision = \"deny\"";
    for (old, new, expected) in [
        (&[a][..], &[a, b][..], &[("command", Widens)][..]),
        (&[a, b], &[b, a], &[]),
        (&[a, b], &[b], &[("command", Narrows)]),
        // What one rule allowed, another may allow as well.
        (&[all], &[all, a], &[("command", Neither)]),
        (&[a, all], &[b, all], &[("command", Neither)]),
        (&[all], &[all, deny], &[("command", Narrows)]),
        (&[all, deny], &[all], &[("command", Widens)]),
        (&[all, deny], &[all, deny_all], &[("args", Narrows)]),
        (&[all, deny_all], &[all, deny], &[("args", Widens)]),
        // Without the rule that asks, the other one allows at once.
        (
            &[all, ask],
            &[all],
            &[("command", Narrows), ("decision", Undecided)],
        ),
        (&[deny], &[], &[]),
    ] {
        let whole = |rules: &[&str]| {
            let rules: String = rules.iter().map(|lines| rule(lines)).collect();
            format!("version = 1\n[component.c]\n{rules}")
        };
        assert_eq!(
            directions(&whole(old), &whole(new)),
            expected,
            "{old:?} -> {new:?}"
        );
    }
}

#[test]
fn a_new_component_widens_and_one_that_is_gone_narrows() {
    let none = "version = 1\n";
    assert_eq!(directions(none, &text("", "")), [("command", Widens)]);
    assert_eq!(directions(&text("", ""), none), [("command", Narrows)]);
    // A component that has lost the section of its hash has that of its name.
    let hash = text("", "").replace(
        "component.c",
        &format!("component.\"sha256:{}\"", "0".repeat(64)),
    );
    let found = directions(&hash, none);
    assert!(found.contains(&("component", Undecided)), "{found:?}");
}

#[test]
fn a_name_that_falls_back_to_any_program_is_undecided() {
    let any = "[[component.c.command]]\nname = \"*\"\nprogram = \"*\"\n";
    let old = format!("version = 1\n{any}{}", rule("decision = \"deny\""));
    let new = format!("version = 1\n{any}");
    assert_eq!(directions(&old, &new), [("command", Undecided)]);
}

#[test]
fn a_default_that_is_written_out_changes_nothing() {
    let mut checked = 0;
    for key in keys() {
        let Absent::Value(value) = key.absent else {
            continue;
        };
        let line = format!("{} = {value}", key.name);
        let (old, new) = match key.table {
            KeyTable::File | KeyTable::Pattern => continue,
            KeyTable::Settings => (text("", ""), text(&line, "")),
            KeyTable::Component => (text("", ""), text(&line, "")),
            KeyTable::Command => (text("", ""), text("", &line)),
        };
        assert_eq!(directions(&old, &new), [], "{line}");
        checked += 1;
    }
    assert!(checked > 25, "{checked} defaults");
    // A pattern without these keys is the same as one with their defaults.
    for (old, new) in [
        ("{ int = [1, 2] }", "{ int = [1, 2], prefix = \"\" }"),
        ("\"a\"", "{ literal = \"a\", optional = false }"),
        ("\"*\"", "{ any = true, allow-dash = false }"),
        (
            "{ path.under = [\"/usr\"] }",
            "{ path = { under = [\"/usr\"], access = \"read\" } }",
        ),
    ] {
        let (old, new) = (
            text("", &format!("args = [{old}]")),
            text("", &format!("args = [{new}]")),
        );
        assert_eq!(directions(&old, &new), [], "{new}");
    }
}

#[test]
fn a_change_names_the_component_the_command_and_the_values() {
    let found = changes(&text("", ""), &text("", "limits.wall = \"1min\""));
    let [change] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(
        (change.component.as_str(), change.command.as_deref()),
        ("c", Some("x"))
    );
    assert_eq!(change.what, "from 30s to 1min");
    assert_eq!(change.place, Some((4, 1)));
}

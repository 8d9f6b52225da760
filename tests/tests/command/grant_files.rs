//! A grant file that is not one: one line with the position, and nothing started.

use std::fs;

use crate::harness::Setup;
use crate::support::program;

#[test]
fn a_bad_grant_file_is_one_line_with_the_position() {
    let setup = Setup::new(&[]);
    let head = "version = 1\n[component.exec]\n[[component.exec.command]]\nname = \"uname\"\n";
    let uname = program("uname");
    let uname = format!("{head}program = \"{}\"\n", uname.display());
    // The text, where the error is (line:column), and a word that names it.
    let cases = [
        (format!("{uname}argz = []\n"), ":6:1", "argz"),
        (
            "version = 1\n[components]\n".to_owned(),
            ":2:",
            "components",
        ),
        (
            format!("{uname}limits = {{ wall = \"10 bananas\" }}\n"),
            ":6:",
            "bananas",
        ),
        (format!("{uname}limits = {{ wall = 10 }}\n"), ":6:", "wall"),
        (
            format!("{head}program = \"bin/uname\"\n"),
            ":5:",
            "absolute",
        ),
        (
            format!("{head}program = \"/does/not/exist\"\n"),
            ":5:",
            "/does/not/exist",
        ),
        (format!("{uname}args = [\"**\", \"x\"]\n"), ":6:", "**"),
        (format!("{uname}args = [\n"), ":", "grants.toml"),
    ];
    for (text, position, named) in cases {
        fs::write(setup.grants(), &text).unwrap();
        let outcome = setup.exec(&["uname"]);
        let line = outcome.complaint();
        assert!(line.contains("grants.toml"), "{line}\n{text}");
        assert!(line.contains(position), "no {position}: {line}\n{text}");
        assert!(line.contains(named), "no {named}: {line}\n{text}");
        assert!(!setup.events_file().exists(), "something was started");
    }
}

#[test]
fn a_grant_file_that_cannot_be_read_is_one_line() {
    let setup = Setup::new(&[]);
    fs::write(setup.grants(), b"version = 1\n# \xff\n").unwrap();
    assert!(setup.exec(&["x"]).complaint().contains("UTF-8"));

    fs::remove_file(setup.grants()).unwrap();
    let missing = setup.exec(&["x"]);
    assert!(missing.complaint().contains("grants.toml"), "{missing:?}");

    fs::create_dir(setup.grants()).unwrap();
    assert!(setup.exec(&["x"]).complaint().contains("directory"));
    assert!(!setup.events_file().exists(), "something was started");
}

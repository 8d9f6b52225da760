//! `capspawn learn`: a grant is learnt from a real program, the same job runs with it, and one thing more is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Outcome, has_tier_a, outcome};
use crate::support::{capspawn, exec, program};

/// A folder with a project, which belongs to the children's user.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = test_kit::scratch();
        let project = Self { folder };
        for dir in ["project", "home"] {
            fs::create_dir_all(project.path(dir)).expect("the folder is ours");
        }
        for (name, text) in files {
            let path = project.path(name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("the folder is ours");
            fs::write(path, text).expect("the folder is ours");
        }
        project.open();
        project
    }

    /// Lets every user write: as root, children run as another user.
    fn open(&self) {
        test_kit::open_to_all(self.folder.path());
        let script = "chmod -R a+rwX \"$0\"";
        let done = Command::new("/bin/sh")
            .args(["-c", script])
            .arg(self.folder.path())
            .status();
        assert!(done.expect("a shell starts").success());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn grants(&self) -> PathBuf {
        self.path("grants.toml")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(capspawn());
        command
            .current_dir(self.path("project"))
            .env("HOME", self.path("home"));
        command
    }

    /// `capspawn learn --into grants.toml OPTIONS -- ARGS`.
    fn learn(&self, options: &[&str], args: &[&str]) -> Outcome {
        let mut command = self.command();
        command
            .args(["learn", "--into"])
            .arg(self.grants())
            .args(options);
        outcome(command.arg("--").args(args))
    }

    /// Runs a command of the learnt grant in tier A.
    fn run(&self, args: &[&str]) -> Outcome {
        let mut command = self.command();
        command
            .args(["run", "--why", "--tier", "A", "--grants"])
            .arg(self.grants());
        outcome(command.arg(exec()).arg("--").args(args))
    }

    fn check(&self) -> Outcome {
        outcome(self.command().arg("check").arg(self.grants()))
    }

    #[track_caller]
    fn assert_learns(&self, options: &[&str], args: &[&str]) {
        let learnt = self.learn(options, args);
        assert_eq!(learnt.code, Some(0), "{}", learnt.stderr);
        let first = learnt.stderr.lines().next().unwrap_or("");
        assert!(
            first.contains("this run confines less than a grant"),
            "{first}"
        );
        let checked = self.check();
        assert_eq!(checked.code, Some(0), "{}\n{}", self.text(), checked.stderr);
    }

    /// Asserts that the same job runs, and that it does not with one more argument.
    #[track_caller]
    fn assert_runs(&self, args: &[&str]) {
        let run = self.run(args);
        assert_eq!(run.code, Some(0), "{}\n{run:?}", self.text());
        let more = [args, &["one-more"]].concat();
        let denied = self.run(&more);
        assert!(denied.stderr.contains("denied (argument)"), "{denied:?}");
    }

    fn text(&self) -> String {
        fs::read_to_string(self.grants()).expect("it was learnt")
    }
}

fn path_of(name: &str) -> String {
    let path = Path::new("/usr/bin").join(name);
    match path.is_file() {
        true => path.display().to_string(),
        false => program(name).display().to_string(),
    }
}

#[test]
fn a_program_that_reads_is_learnt_and_one_more_file_is_refused() {
    if !has_tier_a() {
        return;
    }
    let project = Project::new(&[
        ("project/a.txt", "hello\n"),
        ("other/b.txt", "other\n"),
        ("home/.secret", ""),
        ("home/.ssh/id_rsa", "key\n"),
    ]);
    let cat = path_of("cat");
    project.assert_learns(&[], &[&cat, "a.txt"]);
    project.assert_runs(&["cat", "a.txt"]);
    assert!(!project.text().contains("write"), "{}", project.text());
    // The confinement, not only the arguments.
    let script = "cat a.txt && ! cat ../other/b.txt";
    let sh = path_of("sh");
    project.assert_learns(&[], &[&sh, "-c", "cat a.txt"]);
    let text = project
        .text()
        .replace("\"cat a.txt\"", &format!("\"{script}\""));
    fs::write(project.grants(), text).expect("the folder is ours");
    let run = project.run(&["sh", "-c", script]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("other/b.txt"), "{run:?}");
}

#[test]
fn secrets_are_hidden_listed_and_not_proposed() {
    if !has_tier_a() {
        return;
    }
    let project = Project::new(&[
        ("project/.env", "TOKEN=hunter2\n"),
        ("project/a.txt", "hello\n"),
        ("home/.ssh/id_rsa", "hunter2\n"),
    ]);
    let key = project.path("home/.ssh/id_rsa").display().to_string();
    let script = format!("cat a.txt; cat .env {key}; true");
    let learnt = project.learn(&[], &[&path_of("sh"), "-c", &script]);
    assert_eq!(learnt.code, Some(0), "{learnt:?}");
    assert!(!learnt.stderr.contains("hunter2"), "{learnt:?}");
    let line = learnt
        .stderr
        .lines()
        .find(|line| line.contains("asked for secrets"));
    let line = line.unwrap_or_else(|| panic!("{learnt:?}"));
    assert!(line.contains(".env") && line.contains(".ssh"), "{line}");
    let text = project.text();
    let roots = text
        .lines()
        .filter(|line| line.contains("fs."))
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        !roots.contains(".ssh") && !roots.contains(".env\""),
        "{text}"
    );
}

#[test]
fn several_runs_widen_one_command_and_comments_stay() {
    if !has_tier_a() {
        return;
    }
    let lines: String = (1..50).map(|line| format!("{line}\n")).collect();
    let project = Project::new(&[("project/a.txt", &lines), ("project/b.txt", &lines)]);
    let head = path_of("head");
    project.assert_learns(&[], &[&head, "-n5", "a.txt"]);
    let text = project
        .text()
        .replace("name = \"head\"", "# Mine.\nname = \"head\" # stays");
    fs::write(project.grants(), text).expect("the folder is ours");
    project.assert_learns(&[], &[&head, "-n20", "a.txt"]);
    project.assert_learns(&[], &[&head, "-n20", "./b.txt"]);
    let text = project.text();
    assert!(
        text.contains("# Mine.") && text.contains("# stays"),
        "{text}"
    );
    assert_eq!(
        text.matches("[[component.exec.command]]").count(),
        1,
        "{text}"
    );
    assert!(text.contains("int = [5, 20], prefix = \"-n\""), "{text}");
    for args in [["head", "-n7", "a.txt"], ["head", "-n20", "b.txt"]] {
        let run = project.run(&args);
        assert_eq!(run.code, Some(0), "{text}\n{run:?}");
    }
    for args in [["head", "-n21", "a.txt"], ["head", "-n5", "/etc/passwd"]] {
        let run = project.run(&args);
        assert!(run.stderr.contains("denied (argument)"), "{text}\n{run:?}");
    }
}

#[test]
fn a_program_that_writes_gets_its_directory_and_no_other() {
    if !has_tier_a() {
        return;
    }
    let project = Project::new(&[
        ("project/main.c", "int main(void) { return 0; }\n"),
        ("project/out/.keep", ""),
    ]);
    project.assert_learns(&[], &[&path_of("gcc"), "main.c", "-o", "out/main"]);
    fs::remove_file(project.path("project/out/main")).expect("it was built");
    project.assert_runs(&["gcc", "main.c", "-o", "out/main"]);
    assert!(project.path("project/out/main").is_file());
    let text = project.text();
    assert!(text.contains("project/out\"]"), "{text}");
}

#[test]
fn a_repository_is_read_and_committed_to() {
    if !has_tier_a() {
        return;
    }
    let project = Project::new(&[
        ("project/a.txt", "hello\n"),
        (
            "home/.gitconfig",
            "[user]\n\tname = A\n\temail = a@example.org\n[safe]\n\tdirectory = *\n",
        ),
    ]);
    let git = path_of("git");
    let init = "git init -q . && git add a.txt && git commit -qm first";
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", init])
        .current_dir(project.path("project"))
        .env("HOME", project.path("home"));
    assert!(command.status().expect("a shell starts").success());
    project.open();
    for args in [&["status"][..], &["log", "--oneline"], &["diff"]] {
        let learn = [&[git.as_str()], args].concat();
        project.assert_learns(&[], &learn);
        project.assert_runs(&[&["git"], args].concat());
    }
    project.assert_learns(&[], &[&git, "commit", "--allow-empty", "-m", "second"]);
    project.assert_runs(&["git", "commit", "--allow-empty", "-m", "second"]);
}

#[test]
fn the_network_is_learnt_only_where_it_was_given() {
    if !has_tier_a() {
        return;
    }
    let project = Project::new(&[("project/a.txt", "")]);
    let server = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a loopback interface");
    let port = server.local_addr().expect("it is bound").port();
    let script = format!("import socket; socket.create_connection(('127.0.0.1', {port}))");
    let python = path_of("python3");
    let refused = project.learn(&[], &[&python, "-S", "-c", &script]);
    assert_ne!(refused.code, Some(0), "{refused:?}");
    assert!(
        refused.stderr.contains("asked for the network"),
        "{refused:?}"
    );
    assert!(!project.text().contains("network"), "{}", project.text());
    fs::remove_file(project.grants()).expect("it was learnt");
    project.assert_learns(&["--network", "host"], &[&python, "-S", "-c", &script]);
    assert!(
        project.text().contains("network = \"host\""),
        "{}",
        project.text()
    );
    project.assert_runs(&["python3", "-S", "-c", &script]);
}

#[test]
fn the_commands_of_a_component_are_learnt() {
    if !has_tier_a() {
        return;
    }
    let project = Project::new(&[("project/a.txt", "hello\n")]);
    let mut command = project.command();
    command
        .args(["learn", "--into"])
        .arg(project.grants())
        .arg(exec());
    let learnt = outcome(command.args(["--", "cat", "a.txt"]));
    assert_eq!(learnt.code, Some(0), "{learnt:?}");
    assert_eq!(learnt.stdout, "", "standard output is the proposal's");
    assert!(learnt.stderr.contains("hello"), "{learnt:?}");
    assert_eq!(project.check().code, Some(0), "{}", project.text());
    project.assert_runs(&["cat", "a.txt"]);
}

#[test]
fn what_cannot_be_learnt_is_one_clear_line() {
    let project = Project::new(&[]);
    for (args, expected) in [
        (&["learn"][..], "name a component, or a program"),
        (&["learn", "--", "git"], "absolute path"),
        (
            &["learn", "--write", "/does/not/exist", "--", "/bin/true"],
            "does not exist",
        ),
        (&["learn", "--", "/does/not/exist"], "/does/not/exist"),
    ] {
        let failed = outcome(project.command().args(args));
        assert_eq!(failed.code, Some(2), "{failed:?}");
        assert!(failed.stderr.contains(expected), "{failed:?}");
        assert_eq!(failed.stdout, "");
    }
}

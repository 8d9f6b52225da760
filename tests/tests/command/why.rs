//! `capspawn run --why`: prepared failures of real programs, whose cause is the first line.

use std::fs;
use std::path::Path;

use crate::harness::{Outcome, outcome};
use crate::support::{capspawn, exec};

use std::process::Command;

/// A failure: the shell script that fails, settings of its command, and what the first line has.
struct Failure {
    script: &'static str,
    settings: &'static str,
    cause: &'static [&'static str],
}

const fn failure(
    script: &'static str,
    settings: &'static str,
    cause: &'static [&'static str],
) -> Failure {
    Failure {
        script,
        settings,
        cause,
    }
}

/// In a script `DIR` is a folder of the test that no grant has, and `WORK` one that can be read.
#[rustfmt::skip]
const FAILURES: &[Failure] = &[
    failure("cat DIR/file", "", &["read \"DIR/file\"", "fs = { read = [\"DIR/file\"] }"]),
    failure("ls DIR", "", &["read \"DIR\"", "fs = { read = [\"DIR\"] }"]),
    failure("DIR/tool", "", &["execute \"DIR/tool\"", "fs = { read = [\"DIR/tool\"] }"]),
    failure("echo x > WORK/new", "", &["create \"WORK/new\"", "fs = { write = [\"WORK\"] }"]),
    failure("echo x >> WORK/file", "", &["create \"WORK/file\"", "fs = { write = [\"WORK\"] }"]),
    failure("mkdir WORK/dir", "", &["create \"WORK/dir\"", "fs = { write = [\"WORK\"] }"]),
    failure("rm -f WORK/file", "", &["remove \"WORK/file\"", "fs = { write = [\"WORK\"] }"]),
    failure("mv WORK/file WORK/other", "", &["\"WORK/", "fs = { write = [\"WORK\"] }"]),
    failure("ln -s x WORK/link", "", &["create \"WORK/link\"", "fs = { write = [\"WORK\"] }"]),
    failure("cd WORK && cp file copy", "", &["create \"WORK/copy\"", "fs = { write = [\"WORK\"] }"]),
    failure("cp DIR/file /tmp/copy", "", &["\"DIR/file\"", "fs = { read = [\"DIR/file\"] }"]),
    failure("unshare -m true", "", &["the system call unshare"]),
    failure("chroot / true", "", &["the system call chroot"]),
    failure(
        "exec python3 -S -c 'import socket; socket.create_connection((\"127.0.0.1\", 1))'", "",
        &["an internet socket", "network = \"host\""],
    ),
    failure(
        "exec python3 -S -c 'import sys; sys.path.insert(0, \"DIR\"); import module'", "",
        &["\"DIR", "fs = { read = [\"DIR"],
    ),
    failure("sleep 60", "limits = { wall = \"300ms\" }", &["limits.wall = 300ms"]),
    failure("while :; do :; done", "limits = { cpu = \"1s\" }", &["limits.cpu = 1s"]),
    failure("yes", "limits = { output = \"64KiB\" }", &["limits.output = 64KiB"]),
    failure(
        "exec python3 -S -c 'bytearray(1 << 30)'", "limits = { memory = \"64MiB\" }",
        &["limits.memory = 64MiB"],
    ),
    failure(
        "exec python3 -S -c 'f = [open(\"/dev/null\") for _ in range(40)]'", "limits = { open-files = 20 }",
        &["limits.open-files = 20"],
    ),
    failure(
        "exec dd if=/dev/zero of=OUT/file bs=1024 count=9 status=none",
        "limits = { file-size = \"4KiB\" }\nfs = { write = [\"OUT\"] }",
        &["limits.file-size = 4KiB"],
    ),
];

/// The folders of a test, which children of any user can read.
struct Folders {
    root: std::path::PathBuf,
}

impl Folders {
    fn new(root: &Path) -> Self {
        for name in ["dir", "work", "out"] {
            let folder = root.join(name);
            fs::create_dir_all(&folder).expect("the folder is ours");
            fs::write(folder.join("file"), "x").expect("the folder is ours");
            test_kit::open_to_all(&folder);
        }
        fs::write(root.join("dir/module.py"), "").expect("the folder is ours");
        fs::copy("/bin/true", root.join("dir/tool")).expect("the folder is ours");
        fs::remove_file(root.join("out/file")).expect("the folder is ours");
        Self {
            root: root.to_owned(),
        }
    }

    fn named(&self, text: &str) -> String {
        let name = |name: &str| self.root.join(name).display().to_string();
        let text = text
            .replace("DIR", &name("dir"))
            .replace("WORK", &name("work"));
        text.replace("OUT", &name("out"))
    }

    fn run(&self, tier: &str, failure: &Failure) -> Outcome {
        let script = self.named(failure.script);
        let settings = self.named(failure.settings);
        let fs = match settings.contains("fs =") {
            true => String::new(),
            false => self.named("fs = { read = [\"WORK\"] }"),
        };
        let grants = self.root.join("grants.toml");
        let text = format!(
            "version = 1\n[[component.exec.command]]\nname = \"script\"\nprogram = \"/bin/sh\"\n\
             args = [\"-c\", '''{script}''']\n{settings}\n{fs}\n"
        );
        fs::write(&grants, text).expect("the folder is ours");
        let mut command = Command::new(capspawn());
        command
            .args(["run", "--why", "--tier", tier, "--grants"])
            .arg(&grants);
        outcome(command.arg(exec()).args(["--", "script", "-c", &script]))
    }
}

fn tiers() -> Vec<&'static str> {
    let all = ["A", "B"].into_iter();
    let exists = |tier: &&str| {
        let doctor = outcome(Command::new(capspawn()).args(["doctor", "--tier", tier]));
        doctor.code == Some(0)
    };
    all.filter(exists).collect()
}

/// Returns the line after the one that names the child.
fn cause(outcome: &Outcome) -> Option<&str> {
    let mut lines = outcome.stderr.lines();
    lines.find(|line| line.ends_with("the likely cause first:"))?;
    lines.next()
}

#[test]
fn the_first_line_about_a_failure_is_its_cause() {
    let folder = test_kit::scratch();
    for tier in tiers() {
        let mut wrong = Vec::new();
        for failure in FAILURES {
            let folders = Folders::new(folder.path());
            let outcome = folders.run(tier, failure);
            let expected: Vec<_> = failure.cause.iter().map(|it| folders.named(it)).collect();
            let found = cause(&outcome).unwrap_or("");
            if !expected.iter().all(|it| found.contains(it.as_str())) {
                wrong.push(format!(
                    "{}: {expected:?} not in {:?}\n{}",
                    failure.script, found, outcome.stderr
                ));
            }
        }
        assert!(wrong.is_empty(), "tier {tier}:\n{}", wrong.join("\n"));
    }
}

#[test]
fn a_program_that_succeeds_or_fails_by_itself_has_no_refusals() {
    let folder = test_kit::scratch();
    let folders = Folders::new(folder.path());
    for tier in tiers() {
        let well = folders.run(tier, &failure("cat WORK/file", "", &[]));
        assert_eq!(
            (well.code, well.stderr.as_str()),
            (Some(0), ""),
            "tier {tier}"
        );
        let itself = folders.run(tier, &failure("exit 7", "", &[]));
        assert_eq!(itself.code, Some(7));
        assert!(
            itself.stderr.contains("was not seen to refuse anything"),
            "{itself:?}"
        );
    }
}

#[test]
fn a_denied_request_has_the_line_that_would_allow_it_each_time() {
    let folder = test_kit::scratch();
    let folders = Folders::new(folder.path());
    let _ = folders.run("A", &failure("true", "", &[]));
    let mut command = Command::new(capspawn());
    command
        .args(["run", "--why", "--grants"])
        .arg(folder.path().join("grants.toml"));
    let denied = outcome(command.arg(exec()).args(["--", "script", "-c", "false"]));
    assert!(denied.stderr.contains("denied (argument)"), "{denied:?}");
    assert!(
        denied.stderr.contains("the grant would allow it with"),
        "{denied:?}"
    );
}

/// The refusals are the filter's own, whether or not they are observed.
#[test]
fn an_observed_child_is_refused_what_another_is_refused() {
    let folder = test_kit::scratch();
    let script = "import ctypes, errno, os\n\
        libc = ctypes.CDLL(None, use_errno=True)\n\
        for number in range(470):\n\
        \x20   if number in (%s):\n\
        \x20       print(number, libc.syscall(number, -1, -1, -1, -1, -1, -1), ctypes.get_errno(), flush=True)\n";
    // mount, unshare, setns, bpf, keyctl, io_uring_setup, ptrace, process_vm_readv, perf_event_open, userfaultfd, socket,
    // open_by_handle_at, chroot, clone3, openat2
    let script = script.replace(
        "%s",
        "165, 272, 308, 321, 250, 425, 310, 298, 323, 41, 304, 161, 435, 437, 170, 169",
    );
    for tier in tiers() {
        let grants = folder.path().join("grants.toml");
        let text = format!(
            "version = 1\n[[component.exec.command]]\nname = \"py\"\nprogram = \"{}\"\ninterpreter = true\n\
             args = [\"-S\", \"-c\", {{ any = true, allow-dash = true }}]\n",
            "/usr/bin/python3"
        );
        fs::write(&grants, text).expect("the folder is ours");
        let run = |why: &[&str]| {
            let mut command = Command::new(capspawn());
            command
                .arg("run")
                .args(why)
                .args(["--tier", tier, "--grants"])
                .arg(&grants);
            outcome(command.arg(exec()).args(["--", "py", "-S", "-c", &script]))
        };
        let (plain, observed) = (run(&[]), run(&["--why"]));
        assert_eq!(plain.code, Some(0), "{plain:?}");
        assert_eq!(plain.stdout.lines().count(), 16, "{plain:?}");
        assert_eq!(plain.stdout, observed.stdout, "tier {tier}");
    }
}

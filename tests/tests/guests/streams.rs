//! Guests that take the streams of their children.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use capspawn::{Event, EventKind};
use e2e::{TestHost, guests};

use crate::{grant, run, shell};

#[tokio::test]
pub(crate) async fn streams_in_any_order() {
    let report = run(guests::STREAMS_IN_ANY_ORDER, cat(), []).await;
    report.assert_exit(0);
    let ended = |event: &&Event| matches!(event.kind, EventKind::Exit { .. });
    assert_eq!(report.events.iter().filter(ended).count(), 10);
}

#[tokio::test]
pub(crate) async fn fills_both_pipes() {
    let report = run(guests::FILLS_BOTH_PIPES, shell(), []).await;
    report.assert_exit(0);
}

fn cat() -> String {
    grant("cat", "/bin/cat", "")
}

/// Text that is longer than all pipes together, and in which no line repeats.
fn lines() -> String {
    (0..100_000)
        .map(|number| format!("line {number}\n"))
        .collect()
}

#[tokio::test]
pub(crate) async fn pipe_through() {
    let text = lines();
    let upper = grant("tr", "/usr/bin/tr", "args = [\"a-z\", \"A-Z\"]");
    let host = TestHost::new().grant_toml(upper).args(["tr", "a-z", "A-Z"]);
    let report = host.stdin(text.clone()).run(guests::PIPE_THROUGH).await;
    report.assert_exit(0);
    assert!(report.stdout == text.to_uppercase(), "the text was changed");
}

#[tokio::test]
async fn pipe_through_ends_when_the_program_stops_reading() {
    let first = grant("head", "/usr/bin/head", "args = [{ literal = \"-1\" }]");
    let host = TestHost::new().grant_toml(first).args(["head", "-1"]);
    let report = host.stdin(lines()).run(guests::PIPE_THROUGH).await;
    report.assert_exit(0);
    assert_eq!(report.stdout, "line 0\n");
}

#[tokio::test]
async fn pipe_through_passes_on_a_failure_and_its_message() {
    let host = TestHost::new().grant_toml(shell());
    let host = host
        .args(["sh", "-c", "cat; echo why >&2; exit 3"])
        .stdin("x");
    let report = host.run(guests::PIPE_THROUGH).await;
    report.assert_exit(3);
    assert_eq!((&*report.stdout, &*report.stderr), ("x", "why\n"));
}

#[tokio::test]
pub(crate) async fn repl() {
    let python = "args = [\"-i\", \"-q\", \"-u\"]\ninterpreter = true";
    let host = TestHost::new().grant_toml(grant("python", "/usr/bin/python3", python));
    let host = host.args([">>> ", "python", "-i", "-q", "-u"]);
    let report = host
        .stdin("x = 2**64\nx + 1\n1 / 0 if x else 0\n")
        .run(guests::REPL)
        .await;
    report.assert_exit(0);
    let (answers, failure) = report
        .stdout
        .split_at(">>> x = 2**64\n>>> x + 1\n18446744073709551617\n".len());
    assert_eq!(answers, ">>> x = 2**64\n>>> x + 1\n18446744073709551617\n");
    assert!(failure.contains("\nZeroDivisionError: "), "{failure}");
    assert!(failure.ends_with("python exited with 0\n"), "{failure}");
}

#[tokio::test]
pub(crate) async fn lsp() {
    let server =
        Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("guest-examples/todo-server.py");
    let server = grant("todo", server.to_str().unwrap(), "interpreter = true");
    let host = TestHost::new().grant_toml(server).args(["todo"]);
    let report = host
        .stdin("all is well\n  TODO: \u{fc}ben\n")
        .run(guests::LSP)
        .await;
    report.assert_exit(0);
    assert_eq!(
        report.stdout,
        "connected to todo-server\nline 2: TODO: \u{fc}ben\ntodo exited with 0\n"
    );
}

#[tokio::test]
async fn lsp_reports_a_server_that_has_exited() {
    let report = run(guests::LSP, shell(), ["sh", "-c", "echo no >&2; exit 3"]).await;
    report.assert_exit(1);
    assert!(
        report.stderr.starts_with("no\nlsp: sh: "),
        "{}",
        report.stderr
    );
}

#[tokio::test]
pub(crate) async fn pipeline() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    // 100 MB that can be compressed, though not to a few bytes.
    let mut file = std::io::BufWriter::new(std::fs::File::create(data.join("numbers")).unwrap());
    for number in 0..10_000_000_u32 {
        writeln!(
            file,
            "{:09}",
            number.wrapping_mul(0x9e37_79b9) % 1_000_000_000
        )
        .unwrap();
    }
    file.into_inner().unwrap();

    let parent = folder.path().to_str().unwrap();
    let mut toml = grant(
        "tar",
        "/bin/tar",
        "args = [\"-C\", \"*\", \"-cf\", \"-\", \"data\"]",
    );
    for (name, program, args) in [
        ("gzip", "/bin/gzip", "[\"-1n\"]"),
        ("sha256sum", "/usr/bin/sha256sum", "[]"),
    ] {
        toml += &format!(
            "[[component.guest.command]]\nname = {name:?}\nprogram = {program:?}\nargs = {args}\n"
        );
    }
    let args = format!("tar -C {parent} -cf - data : gzip -1n : sha256sum");
    let report = TestHost::new()
        .grant_toml(toml)
        .timeout(Duration::from_secs(600))
        .args(args.split(' '))
        .run(guests::PIPELINE)
        .await;
    report.assert_exit(0);

    let script = format!("tar -C {parent} -cf - data | gzip -1n | sha256sum");
    let native = std::process::Command::new("/bin/sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    assert_eq!(report.stdout, String::from_utf8(native.stdout).unwrap());
}

#[tokio::test]
async fn pipeline_fails_if_one_of_its_programs_fails() {
    let args = ["sh", "-c", "echo x; exit 5", ":", "sh", "-c", "cat"];
    let report = run(guests::PIPELINE, shell(), args).await;
    report.assert_exit(1);
    assert_eq!(report.stdout, "x\n");
    assert_eq!(report.stderr, "pipeline: exit status: 5\n");
}

#[tokio::test]
pub(crate) async fn measures() {
    let mut toml = cat();
    for (name, program, args) in [
        ("true", "/bin/true", "[]"),
        (
            "head",
            "/usr/bin/head",
            "[{ literal = \"-c\" }, \"*\", \"/dev/zero\"]",
        ),
    ] {
        toml += &format!(
            "[[component.guest.command]]\nname = {name:?}\nprogram = {program:?}\nargs = {args}\n"
        );
    }
    for (mode, count) in [
        ("spawn", "3"),
        ("read", "3000000"),
        ("both-ways", "64000000"),
        ("poll", "3"),
        ("nothing", "3"),
    ] {
        let report = run(guests::MEASURES, &toml, [mode, count]).await;
        report.assert_exit(0);
        assert!(
            report.stdout.trim().parse::<u64>().is_ok(),
            "{mode}: {}",
            report.stdout
        );
    }
}

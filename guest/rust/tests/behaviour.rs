//! What holds beyond the shape of `std::process`.

use std::error::Error as StdError;
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use capspawn_guest::{
    Child, Command, DeniedItem, Error, ExitStatus, KillReason, Pipeline, Quota, Signal, Stdio,
    wait_any, wait_any_timeout,
};

type Result = std::result::Result<(), Box<dyn StdError>>;

/// Not a multiple of what a pipe holds.
const MEGABYTES: usize = (8 << 20) + 7;

fn bytes() -> Vec<u8> {
    (0..MEGABYTES).map(|at| (at % 251) as u8).collect()
}

fn script(text: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", text]);
    command
}

#[test]
fn megabytes_pass_both_ways_without_a_deadlock() -> Result {
    let mut both = script("tee /dev/stderr");
    both.stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let sent = bytes();
    let output = both.spawn()?.wait_with_input(&sent)?;
    assert!(output.status.success());
    assert!(
        output.stdout == sent && output.stderr == sent,
        "a part is lost or changed"
    );
    Ok(())
}

#[test]
fn input_that_the_child_does_not_read_is_dropped() -> Result {
    let mut first = script("head -c 3");
    let child = first.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let output = child.wait_with_input(bytes())?;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 3));
    Ok(())
}

#[test]
fn a_write_to_a_closed_pipe_is_a_broken_pipe() -> Result {
    let mut child = script("exec <&-; echo closed; sleep 60")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = [0; 7];
    child
        .stdout
        .as_mut()
        .expect("piped")
        .read_exact(&mut line)?;
    let mut stdin = child.stdin.take().expect("piped");
    let error = loop {
        if let Err(error) = stdin.write(&[0; 10]) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    // The stream stays closed.
    assert_eq!(
        stdin.write(b"x").expect_err("closed").kind(),
        ErrorKind::BrokenPipe
    );
    Ok(())
}

#[test]
fn a_read_or_write_of_nothing_does_not_block() -> Result {
    let mut child = script("read x")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    assert_eq!(child.stdout.as_mut().expect("piped").read(&mut [])?, 0);
    assert_eq!(child.stdin.as_mut().expect("piped").write(&[])?, 0);
    assert_eq!(child.wait()?.code(), Some(1), "the input has ended");
    Ok(())
}

#[test]
fn errors_have_kinds_and_contain_the_hosts() {
    let refused = |command: &mut Command| {
        let error = command.output().expect_err("it is refused");
        (error.kind(), Error::of(&error).cloned())
    };
    let denied = |item| (ErrorKind::PermissionDenied, Some(Error::Denied(item)));
    let unknown = (
        ErrorKind::NotFound,
        Some(Error::Denied(DeniedItem::Program)),
    );
    assert_eq!(refused(&mut Command::new("absent")), unknown);
    assert_eq!(
        refused(Command::new("sort").arg("-r")),
        denied(DeniedItem::Argument)
    );
    assert_eq!(
        refused(Command::new("sort").arg("-u").env("A", "1")),
        denied(DeniedItem::Environment)
    );
    assert_eq!(
        refused(Command::new("pwd").current_dir("/etc")),
        denied(DeniedItem::WorkingDirectory)
    );
    let missing = (ErrorKind::NotFound, Some(Error::WorkingDirectoryNotFound));
    assert_eq!(
        refused(Command::new("pwd").current_dir("/usr/absent")),
        missing
    );
    let invalid = (ErrorKind::InvalidInput, Some(Error::InvalidArgument));
    assert_eq!(refused(Command::new("echo").arg("a\0b")), invalid);
    assert_eq!(
        refused(Command::new("no-input").stdin(Stdio::piped())),
        denied(DeniedItem::Stdio)
    );
    // Standard input is not inherited, so that a command without input needs nothing more.
    assert!(
        Command::new("no-input")
            .status()
            .is_ok_and(|status| status.success())
    );
    let misplaced = Command::new("cat").stdin(Stdio::captured()).spawn();
    assert_eq!(
        misplaced.expect_err("no source").kind(),
        ErrorKind::InvalidInput
    );
}

#[test]
fn the_quota_is_an_error_that_ends_with_a_child() -> Result {
    let mut sleeper = Command::new("sleep");
    sleeper.arg("60");
    let mut children: Vec<Child> = Vec::new();
    let error = loop {
        match sleeper.spawn() {
            Ok(child) => children.push(child),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(
        Error::of(&error),
        Some(&Error::QuotaExceeded(Quota::LiveChildren))
    );
    let last = children.last_mut().expect("some were started");
    last.kill()?;
    last.wait()?;
    sleeper.spawn()?;
    Ok(())
}

#[test]
fn a_child_ends_with_its_handle_and_its_pipes() -> Result {
    let text = "trap 'exit 1' TERM; echo started; sleep 60";
    let child = script(text).stdout(Stdio::piped()).spawn()?;
    // The pipe alone keeps the child.
    let mut stdout = child.stdout.expect("piped");
    let mut line = [0; 8];
    stdout.read_exact(&mut line)?;
    assert_eq!(&line, b"started\n");
    drop(stdout);
    Ok(())
}

#[test]
fn signals_and_kills_have_statuses() -> Result {
    let ready = |text: &str| -> std::io::Result<Child> {
        let mut child = script(text).stdout(Stdio::piped()).spawn()?;
        child
            .stdout
            .as_mut()
            .expect("piped")
            .read_exact(&mut [0; 2])?;
        Ok(child)
    };
    let mut trapped = ready("trap 'exit 9' USR1; echo r; while :; do sleep 0.05; done")?;
    trapped.signal(Signal::User1)?;
    assert_eq!(trapped.wait()?.code(), Some(9));

    let mut graceful = ready("trap 'exit 8' TERM; echo r; while :; do sleep 0.05; done")?;
    graceful.kill_tree(Duration::from_secs(60))?;
    assert_eq!(graceful.wait()?.code(), Some(8));

    let mut stubborn = ready("trap '' TERM; echo r; sleep 60")?;
    stubborn.kill_tree(Duration::from_millis(50))?;
    let status = stubborn.wait()?;
    assert_eq!(
        (status.killed(), status.signal()),
        (Some(KillReason::Requested), Some(9))
    );
    Ok(())
}

#[test]
fn the_first_to_end_is_found_and_the_rest_run_on() -> Result {
    let mut children = Vec::new();
    for time in ["60", "0", "60"] {
        children.push(Command::new("sleep").arg(time).spawn()?);
    }
    assert_eq!(wait_any(&mut children)?, (1, ExitStatus::default()));
    children.remove(1);
    assert_eq!(
        wait_any_timeout(&mut children, Duration::from_millis(20))?,
        None
    );
    assert_eq!(
        wait_any(&mut []).expect_err("none").kind(),
        ErrorKind::InvalidInput
    );
    Ok(())
}

#[test]
fn a_pipeline_carries_megabytes_and_reports_a_failure() -> Result {
    let sent = bytes();
    let upper = Pipeline::new()
        .command("cat", [""; 0])
        .command("cat", [""; 0])
        .command("cat", [""; 0]);
    let children = upper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    assert!(
        children.wait_with_input(&sent)?.stdout == sent,
        "a part is lost or changed"
    );

    let failing = Pipeline::new()
        .command("sh", ["-c", "echo x; exit 5"])
        .command("cat", [""; 0]);
    let output = failing.output()?;
    assert_eq!(
        (output.status.code(), &output.stdout[..]),
        (Some(5), &b"x\n"[..])
    );

    let closing = Pipeline::new()
        .command("yes", [""; 0])
        .command("sh", ["-c", "head -n 1"]);
    let output = closing.output()?;
    assert_eq!(
        (output.status.signal(), &output.stdout[..]),
        (Some(13), &b"y\n"[..])
    );

    let absent = Pipeline::new()
        .command("yes", [""; 0])
        .command("absent", [""; 0]);
    assert_eq!(
        absent.output().expect_err("denied").kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        Pipeline::new().spawn().expect_err("empty").kind(),
        ErrorKind::InvalidInput
    );
    Ok(())
}

#[test]
fn standard_error_may_be_merged_and_output_captured() -> Result {
    let mut both = script("echo 1; echo 2 >&2; echo 3");
    let output = both.stderr(Stdio::merged()).output()?;
    assert_eq!(output.stdout, b"1\n2\n3\n");
    let mut child = script("echo kept").stdout(Stdio::captured()).spawn()?;
    child.wait()?;
    let (stdout, _) = child.captured();
    assert_eq!(
        (&stdout.data[..], stdout.dropped, stdout.complete),
        (&b"kept\n"[..], 0, true)
    );
    assert!(child.usage().peak_tasks.is_none_or(|tasks| tasks > 0));
    Ok(())
}

/// The library copies an inherited output while the component waits for another child.
#[test]
fn output_of_a_child_is_copied_in_every_wait() -> Result {
    let sink = std::fs::File::create("/tmp/copied")?;
    let mut writer = script("i=0; while [ $i -lt 40000 ]; do echo 123456789; i=$((i+1)); done")
        .stdout(sink)
        .spawn()?;
    let mut other = script("read x; echo $x")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    // More than a pipe holds is written while nobody waits for the writer.
    while writer.try_wait()?.is_none() {
        other.wait_timeout(Duration::from_millis(1))?;
    }
    assert_eq!(std::fs::metadata("/tmp/copied")?.len(), 400_000);
    Ok(())
}

#[test]
fn a_pipe_that_was_read_from_can_still_be_passed_on() -> Result {
    let mut first = script("echo skipped; echo kept")
        .stdout(Stdio::piped())
        .spawn()?;
    let mut pipe = first.stdout.take().expect("piped");
    pipe.read_exact(&mut [0; 8])?;
    let rest = Command::new("cat").stdin(pipe).output()?;
    assert_eq!(rest.stdout, b"kept\n");
    Ok(())
}

/// The handle of the first child is gone; the second one keeps it.
#[test]
fn a_child_lives_as_long_as_a_child_that_reads_from_it() -> Result {
    let pipe = script("sleep 0.1; echo late")
        .stdout(Stdio::piped())
        .spawn()?
        .stdout;
    let output = Command::new("cat").stdin(pipe.expect("piped")).output()?;
    assert_eq!(output.stdout, b"late\n");
    Ok(())
}

#[test]
fn a_pipe_that_is_never_used_is_closed() -> Result {
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    drop(child.stdin.take());
    assert!(child.wait()?.success(), "cat has read the end of its input");
    let mut child = Command::new("yes").stdout(Stdio::piped()).spawn()?;
    drop(child.stdout.take());
    assert_eq!(child.wait()?.signal(), Some(13), "SIGPIPE");
    Ok(())
}

#[test]
fn a_signal_reaches_the_whole_tree() -> Result {
    let text = "sh -c 'trap \"echo inner; exit\" USR1; echo r; while :; do sleep 0.05; done' & trap : USR1; wait; wait";
    let mut child = script(text).stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.as_mut().expect("piped");
    stdout.read_exact(&mut [0; 2])?;
    child.signal_tree(Signal::User1)?;
    let mut rest = String::new();
    child
        .stdout
        .take()
        .expect("piped")
        .read_to_string(&mut rest)?;
    assert_eq!(rest, "inner\n");
    Ok(())
}

#[test]
fn files_of_the_host_are_denied_without_a_grant_for_them() {
    for stdio in [Stdio::write_path("/tmp/x"), Stdio::append_path("/tmp/x")] {
        let error = Command::new("echo")
            .stdout(stdio)
            .status()
            .expect_err("not granted");
        assert_eq!(Error::of(&error), Some(&Error::Denied(DeniedItem::Stdio)));
    }
    let error = Command::new("cat")
        .stdin(Stdio::read_path("/usr/bin/env"))
        .status();
    let error = error.expect_err("not granted");
    assert_eq!(Error::of(&error), Some(&Error::Denied(DeniedItem::Stdio)));
    let output = Command::new("redirected")
        .stdin(Stdio::read_path("/usr/bin/env"))
        .output();
    assert!(output.expect("granted").stdout.starts_with(b"\x7fELF"));
}

#[test]
fn the_grant_may_allow_another_name_of_the_program() -> Result {
    let named = Command::new("busy")
        .arg0("other")
        .args(["-c", "echo $0"])
        .output()?;
    assert_eq!(named.stdout, b"other\n");
    let error = Command::new("busy")
        .arg0("third")
        .args(["-c", "echo $0"])
        .output();
    assert_eq!(
        error.expect_err("not listed").kind(),
        ErrorKind::PermissionDenied
    );
    Ok(())
}

//! The examples of the documentation of `std::process`, item by item, in our words. They differ
//! from a program that uses `std` in the import alone.

use std::error::Error;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use capspawn_guest::{Child, Command, ExitStatus, Output, Stdio};

type Result = std::result::Result<(), Box<dyn Error>>;

#[test]
fn module_spawning_a_process() -> Result {
    let output = Command::new("echo")
        .arg("Hello world")
        .output()
        .expect("failed to run");
    assert_eq!(b"Hello world\n", output.stdout.as_slice());

    let echo = Command::new("echo")
        .arg("a tpyo")
        .stdout(Stdio::piped())
        .spawn()
        .expect("failed to start");
    // `echo` is moved in part: this crate's `Child` has no destructor either.
    let pipe = echo.stdout.expect("failed to open stdout");
    let sed = Command::new("sed")
        .arg("s/tpyo/typo/")
        .stdin(Stdio::from(pipe))
        .stdout(Stdio::piped())
        .spawn()
        .expect("failed to start");
    let output = sed.wait_with_output().expect("failed to wait");
    assert_eq!(b"a typo\n", output.stdout.as_slice());
    Ok(())
}

#[test]
fn module_handling_io() -> Result {
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("failed to start");
    {
        // The pipe is closed at the end of this block.
        let mut stdin = child.stdin.take().expect("failed to open stdin");
        stdin.write_all(b"test").expect("failed to write");
    }
    let output = child.wait_with_output().expect("failed to wait");
    assert_eq!(b"test", output.stdout.as_slice());
    Ok(())
}

#[test]
fn command_in_a_script() -> Result {
    let output = Command::new("sh")
        .arg("-c")
        .arg("echo hello")
        .output()
        .expect("failed to run");
    assert_eq!(output.stdout, b"hello\n");

    // One `Command` starts several children.
    let mut echo = Command::new("sh");
    echo.arg("-c").arg("echo hello");
    assert_eq!(echo.output()?.stdout, echo.output()?.stdout);

    // And it can be changed after the first.
    let mut list = Command::new("ls");
    list.current_dir("/usr");
    list.status().expect("process failed to execute");
    list.arg("/usr").stdout(Stdio::null());
    assert!(list.status()?.success());
    Ok(())
}

#[test]
fn command_environment() -> Result {
    let output = Command::new("printenv")
        .arg("ONE")
        .env("ONE", "1")
        .output()?;
    assert_eq!(output.stdout, b"1\n");
    let some = std::collections::HashMap::from([("TZ", "UTC"), ("LANG", "C")]);
    let output = Command::new("printenv").arg("TZ").envs(&some).output()?;
    assert_eq!(output.stdout, b"UTC\n");
    let mut removed = Command::new("printenv");
    removed
        .arg("ONE")
        .env("ONE", "1")
        .env_remove("ONE")
        .env("TWO", "2")
        .env_clear();
    assert_eq!(removed.output()?.status.code(), Some(1));
    let mut command = Command::new("ls");
    command.env("TERM", "dumb").env("TZ", "UTC");
    let envs: Vec<_> = command.get_envs().collect();
    assert_eq!(envs[0], ("TERM".as_ref(), Some("dumb".as_ref())));
    Ok(())
}

#[test]
fn command_getters() {
    let mut command = Command::new("echo");
    command.args(["first", "second"]).current_dir("/bin");
    assert_eq!(command.get_program(), "echo");
    assert_eq!(command.get_args().collect::<Vec<_>>(), ["first", "second"]);
    assert_eq!(format!("{command:?}"), r#""echo" "first" "second""#);
    assert_eq!(command.get_current_dir(), Some("/bin".as_ref()));
}

#[test]
fn command_streams() -> Result {
    Command::new("ls")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let status: ExitStatus = Command::new("cat").arg("/absent").status()?;
    println!("process finished with: {status}");
    assert!(!status.success());
    let output: Output = Command::new("cat").arg("/absent").output()?;
    assert_eq!(output.status.code(), Some(1));
    assert!(!output.stderr.is_empty());
    Ok(())
}

#[test]
fn child_kill_id_and_wait() -> Result {
    let mut child: Child = Command::new("yes").stdout(Stdio::null()).spawn()?;
    assert!(child.id() > 0);
    assert_eq!(child.try_wait()?, None);
    child.kill().expect("command couldn't be killed");
    let status = child.wait()?;
    assert_eq!((status.code(), status.signal()), (None, Some(9)));
    // It has ended, which is no error.
    child.kill()?;
    Ok(())
}

#[test]
fn child_streams() -> Result {
    let mut child = Command::new("sh")
        .args(["-c", "echo out; echo err >&2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (mut out, mut err) = (String::new(), String::new());
    child
        .stdout
        .take()
        .expect("piped")
        .read_to_string(&mut out)?;
    child
        .stderr
        .take()
        .expect("piped")
        .read_to_string(&mut err)?;
    assert_eq!((out.as_str(), err.as_str()), ("out\n", "err\n"));
    assert!(child.wait()?.success());
    Ok(())
}

#[test]
fn stdio_from_a_file_and_into_one() -> Result {
    std::fs::write("/tmp/foo.txt", "Hello, world!")?;
    let file = File::open("/tmp/foo.txt")?;
    let reverse = Command::new("rev").stdin(file).output()?;
    assert_eq!(reverse.stdout, b"!dlrow ,olleH");

    let out = File::create("/tmp/out.txt")?;
    assert!(
        Command::new("echo")
            .arg("stored")
            .stdout(out)
            .status()?
            .success()
    );
    assert_eq!(std::fs::read("/tmp/out.txt")?, b"stored\n");
    Ok(())
}

#[test]
fn stdio_from_a_pipe_into_which_another_child_writes() -> Result {
    let reverse = Command::new("rev")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let Child { stdin, stdout, .. } = reverse;
    let status = Command::new("echo")
        .arg("Hello, world!")
        .stdout(stdin.expect("failed to open stdin"))
        .status()?;
    assert!(status.success());
    let mut reversed = String::new();
    stdout
        .expect("failed to open stdout")
        .read_to_string(&mut reversed)?;
    assert_eq!(reversed, "!dlrow ,olleH\n");
    Ok(())
}

/// Standard output of the child may be standard error of the component.
#[test]
fn stdio_from_the_components_own_streams() -> Result {
    let mut echo = Command::new("echo");
    let status = echo
        .arg("copied")
        .stdout(std::io::stderr())
        .stderr(std::io::stdout())
        .status()?;
    assert!(status.success());
    let refused = Command::new("cat").stdin(std::io::stdout()).spawn();
    assert_eq!(
        refused.expect_err("no source").kind(),
        ErrorKind::InvalidInput
    );
    Ok(())
}

#[test]
fn exit_status_and_errors() -> Result {
    assert!(ExitStatus::default().success());
    let status = Command::new("sh").args(["-c", "exit 3"]).status()?;
    assert_eq!(
        (status.code(), status.to_string()),
        (Some(3), "exit status: 3".into())
    );
    let status = Command::new("sh").args(["-c", "kill -TERM $$"]).status()?;
    assert_eq!((status.code(), status.signal()), (None, Some(15)));

    // A program that the grant does not list is not found.
    match Command::new("absent").spawn() {
        Ok(_) => panic!("it was started"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
    }
    Ok(())
}

#[test]
fn a_wait_with_a_limit() -> Result {
    let mut child = Command::new("sleep").arg("60").spawn()?;
    assert_eq!(child.wait_timeout(Duration::from_millis(10))?, None);
    child.kill_tree(Duration::ZERO)?;
    assert!(child.wait_timeout(Duration::from_secs(60))?.is_some());
    Ok(())
}

/// As in `std`, so that types which contain them keep their traits.
#[test]
fn types_can_be_sent_and_shared() {
    fn check<T: Send + Sync + Unpin + std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    check::<Child>();
    check::<Command>();
    check::<ExitStatus>();
    check::<Output>();
    check::<Stdio>();
    check::<capspawn_guest::ChildStdin>();
    check::<capspawn_guest::ChildStdout>();
    check::<capspawn_guest::ChildStderr>();
}

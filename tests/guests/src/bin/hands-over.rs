//! Hands pipes, files, bytes and signals to children, and prints one line for each.
//!
//! Usage: `hands-over READ-ROOT WRITE-ROOT`

use guest_examples::spawn::Child;
use guest_examples::types::{
    DeniedItem, ErrorCode, ExitStatus, FileMode, Kill, KillReason, Signal, SpawnOptions, Stdin,
    Stdio,
};
use guest_examples::{run, types};

fn main() {
    let mut args = std::env::args().skip(1);
    let read = args.next().expect("a read root");
    let write = args.next().expect("a write root");
    pipes();
    handed_twice();
    merged();
    files(&read, &write);
    bytes();
    signals();
    numbers();
}

fn sh(script: &str, options: &SpawnOptions) -> Result<Child, ErrorCode> {
    Child::spawn("sh", &["-c".to_owned(), script.to_owned()], Some(options))
}

fn stdout(script: &str, options: &SpawnOptions) -> String {
    let args = ["-c".to_owned(), script.to_owned()];
    let output = run::run("sh", &args, Some(options)).expect("the grant allows it");
    assert!(
        matches!(output.status, ExitStatus::Exited(0)),
        "{:?}",
        output.status
    );
    String::from_utf8(output.stdout.data).expect("text")
}

fn pipes() {
    let options = SpawnOptions::new();
    options.set_stdout(Stdio::Piped);
    let producer = sh("seq 1000", &options).expect("the grant allows it");
    let options = SpawnOptions::new();
    options.set_stdin_pipe(producer.pass_stdout().expect("it is piped"));
    assert_eq!(stdout("wc -l", &options).trim(), "1000");
    let (out, _) = producer.captured(0, 0);
    assert!(out.complete && out.dropped == 0 && out.data.is_empty());

    // The other direction: the reader first, and both outputs into it.
    let options = SpawnOptions::new();
    options.set_stdin(&Stdin::Piped);
    let consumer = sh("cat", &options).expect("the grant allows it");
    let options = SpawnOptions::new();
    options.set_stderr_pipe(consumer.pass_stdin().expect("it is piped"));
    options.set_stdout(Stdio::Merged);
    let producer = sh("echo 1; echo 2 >&2; echo 3", &options).expect("the grant allows it");
    producer.wait(None);
    consumer.wait(None);
    assert_eq!(consumer.captured(0, 0).0.data, b"1\n2\n3\n");
    println!("pipes");
}

fn handed_twice() {
    let options = SpawnOptions::new();
    options.set_stdout(Stdio::Piped);
    let child = sh("exec sleep 600", &options).expect("the grant allows it");
    let reader = child.pass_stdout().expect("it is piped");
    assert!(matches!(child.pass_stdout(), Err(ErrorCode::InvalidState)));
    assert!(matches!(child.take_stdout(), Err(ErrorCode::InvalidState)));
    assert!(matches!(child.pass_stderr(), Err(ErrorCode::InvalidState)));
    assert!(matches!(child.pass_stdin(), Err(ErrorCode::InvalidState)));
    let options = SpawnOptions::new();
    options.set_stdin_pipe(reader);
    let reading = sh("cat", &options).expect("the grant allows it");
    assert!(matches!(sh("cat", &options), Err(ErrorCode::InvalidState)));
    // The options are usable again once they have another input.
    options.set_stdin(&Stdin::Null);
    assert_eq!(stdout("cat; echo ok", &options), "ok\n");
    drop(child);
    assert!(matches!(reading.wait(None), Some(ExitStatus::Exited(0))));

    // A stream that is read is not passed on.
    let options = SpawnOptions::new();
    options.set_stdout(Stdio::Piped);
    let child = sh("echo x", &options).expect("the grant allows it");
    let _taken = child.take_stdout().expect("it is piped");
    assert!(matches!(child.pass_stdout(), Err(ErrorCode::InvalidState)));
    println!("handed twice");
}

fn merged() {
    let options = SpawnOptions::new();
    options.set_stdout(Stdio::Merged);
    let output = run::run(
        "sh",
        &["-c".to_owned(), "echo a; echo b >&2".to_owned()],
        Some(&options),
    );
    let output = output.expect("the grant allows it");
    assert_eq!(output.stderr.data, b"a\nb\n");
    assert!(output.stdout.complete && output.stdout.data.is_empty());
    options.set_stderr(Stdio::Merged);
    assert!(matches!(
        sh("true", &options),
        Err(ErrorCode::InvalidArgument)
    ));
    println!("merged");
}

fn files(read: &str, write: &str) {
    let copy = format!("{write}/copy");
    let options = SpawnOptions::new();
    options.set_stdin_file(&format!("{read}/text"));
    options.set_stdout_file(&copy, FileMode::Truncate);
    options.set_stderr_file(&format!("{write}/log"), FileMode::Append);
    for _ in 0..2 {
        assert_eq!(stdout("cat; echo line >&2", &options), "");
    }
    let options = SpawnOptions::new();
    options.set_stdin_file(&copy);
    assert_eq!(stdout("cat", &options), "some text\n");
    options.set_stdin_file(&format!("{write}/log"));
    assert_eq!(stdout("cat", &options), "line\nline\n");

    let refused = |path: &str| {
        options.set_stdin_file(path);
        let result = sh("cat", &options);
        assert!(
            matches!(result, Err(ErrorCode::AccessDenied(DeniedItem::Stdio))),
            "{path}: {:?}",
            result.err()
        );
    };
    refused("/etc/shadow");
    refused(&format!("{read}/../text"));
    refused(&format!("{read}/fifo"));
    refused(read);
    options.set_stdin_file(&format!("{read}/absent"));
    assert!(matches!(sh("cat", &options), Err(ErrorCode::NoEntry)));
    let options = SpawnOptions::new();
    options.set_stdout_file(&format!("{read}/text"), FileMode::Truncate);
    assert!(matches!(
        sh("true", &options),
        Err(ErrorCode::AccessDenied(DeniedItem::Stdio))
    ));
    println!("files");
}

fn bytes() {
    let options = SpawnOptions::new();
    options.set_args_bytes(&[b"-c".to_vec(), b"printf '%s|%s' \"$V\" \xff".to_vec()]);
    options.set_env_bytes(&[("V".to_owned(), b"\xfe".to_vec())]);
    let output = run::run("sh", &[], Some(&options)).expect("the grant allows it");
    assert_eq!(output.stdout.data, b"\xfe|\xff");
    let child = Child::spawn("sh", &[], Some(&options)).expect("the grant allows it");
    assert!(child.info().args[1].ends_with('\u{fffd}'));
    let denied = run::run("strict", &[], Some(&options));
    assert!(matches!(
        denied,
        Err(ErrorCode::AccessDenied(DeniedItem::Argument))
    ));

    let options = SpawnOptions::new();
    options.set_stdin(&Stdin::Bytes(b"echo $0".to_vec()));
    let name = |arg0: &str| {
        options.set_arg0(arg0);
        run::run("sh", &[], Some(&options))
    };
    let listed = name("listed").expect("the grant lists it");
    assert_eq!(listed.stdout.data, b"listed\n");
    let other = name("other");
    assert!(matches!(
        other,
        Err(ErrorCode::AccessDenied(DeniedItem::Argument))
    ));
    println!("bytes");
}

fn signals() {
    let options = SpawnOptions::new();
    let start = || sh("exec sleep 600", &options).expect("the grant allows it");
    let ended = |child: &Child, signal| {
        let status = child.wait(None).expect("without a timeout it waits");
        let expected = Some(signal);
        assert!(
            matches!(status, ExitStatus::Killed(Kill { reason: KillReason::Requested, signal }) if signal == expected),
            "{status:?}"
        );
    };
    for (signal, number) in [
        (Signal::Quit, 3),
        (Signal::User2, 12),
        (Signal::BrokenPipe, 13),
        (Signal::Alarm, 14),
    ] {
        let child = start();
        child.signal_tree(signal).expect("this host sends it");
        ended(&child, number);
    }
    let child = start();
    child.kill(600_000_000_000);
    ended(&child, 15);
    let child = start();
    child.signal(Signal::Stop).expect("this host sends it");
    child
        .signal(Signal::WindowChange)
        .expect("this host sends it");
    assert!(
        child.wait(Some(1_000_000)).is_none(),
        "a stopped child has not ended"
    );
    child.kill(0);
    ended(&child, 9);
    let child = start();
    child.signal_tree(Signal::Stop).expect("this host sends it");
    child
        .signal_tree(Signal::Continue)
        .expect("this host sends it");
    assert!(matches!(
        Child::release(child),
        ExitStatus::Killed(types::Kill {
            reason: KillReason::Released,
            signal: Some(9)
        })
    ));
    println!("signals");
}

/// Each instance numbers its own children.
fn numbers() {
    let options = SpawnOptions::new();
    let id = || {
        let child = sh("true", &options).expect("the grant allows it");
        assert_eq!(child.info().id, child.id());
        child.id()
    };
    let first = id();
    assert_eq!(id(), first + 1);
    println!("numbered after {}", first - 1);
}

//! Hands pipes, files, bytes and signals to children, and prints one line for each.

use guests_p3::guest;
use guests_p3::run;
use guests_p3::spawn::Child;
use guests_p3::types::{
    DeniedItem, ErrorCode, ExitStatus, FileMode, Kill, KillReason, Signal, SpawnOptions, Stdin,
    Stdio,
};

guest!(main);

async fn main() {
    let mut args = std::env::args().skip(1);
    let read = args.next().expect("a read root");
    let write = args.next().expect("a write root");
    pipes().await;
    files(&read, &write).await;
    bytes().await;
    signals().await;
}

async fn sh(script: &str, options: &SpawnOptions) -> Result<Child, ErrorCode> {
    let args = vec!["-c".to_owned(), script.to_owned()];
    Child::spawn("sh".to_owned(), args, Some(options)).await
}

async fn stdout(script: &str, options: &SpawnOptions) -> Vec<u8> {
    let args = vec!["-c".to_owned(), script.to_owned()];
    let output = run::run("sh".to_owned(), args, Some(options)).await;
    output.expect("the grant allows it").stdout.data
}

async fn pipes() {
    let options = SpawnOptions::new();
    options.set_stdout(Stdio::Piped);
    let producer = sh("seq 1000", &options).await.expect("the grant allows it");
    let reader = producer.pass_stdout().expect("it is piped");
    assert!(matches!(
        producer.pass_stdout(),
        Err(ErrorCode::InvalidState)
    ));
    let (data, ended) = producer.read_stdout();
    assert!(data.collect().await.is_empty());
    assert!(matches!(ended.await, Err(ErrorCode::InvalidState)));
    let options = SpawnOptions::new();
    options.set_stdin_pipe(reader);
    assert_eq!(stdout("wc -l", &options).await, b"1000\n");
    let again = sh("wc -l", &options).await;
    assert!(matches!(again, Err(ErrorCode::InvalidState)));

    let options = SpawnOptions::new();
    options.set_stdin(&Stdin::Piped);
    let consumer = sh("cat", &options).await.expect("the grant allows it");
    let options = SpawnOptions::new();
    options.set_stdout_pipe(consumer.pass_stdin().expect("it is piped"));
    options.set_stderr(Stdio::Merged);
    let producer = sh("echo 1; echo 2 >&2", &options).await;
    producer.expect("the grant allows it").wait(None).await;
    consumer.wait(None).await;
    assert_eq!(consumer.captured(0, 0).0.data, b"1\n2\n");
    println!("pipes");
}

async fn files(read: &str, write: &str) {
    let copy = format!("{write}/p3");
    let options = SpawnOptions::new();
    options.set_stdin_file(&format!("{read}/text"));
    options.set_stdout_file(&copy, FileMode::Truncate);
    options.set_stderr_file(&copy, FileMode::Append);
    assert!(stdout("cat", &options).await.is_empty());
    let options = SpawnOptions::new();
    options.set_stdin_file(&copy);
    assert_eq!(stdout("cat", &options).await, b"some text\n");
    options.set_stdin_file("/etc/shadow");
    let refused = sh("cat", &options).await;
    assert!(matches!(
        refused,
        Err(ErrorCode::AccessDenied(DeniedItem::Stdio))
    ));
    println!("files");
}

async fn bytes() {
    let options = SpawnOptions::new();
    options.set_args_bytes(&[b"-c".to_vec(), b"printf '%s|%s' \"$V\" \xff".to_vec()]);
    options.set_env_bytes(&[("V".to_owned(), b"\xfe".to_vec())]);
    let output = run::run("sh".to_owned(), Vec::new(), Some(&options)).await;
    assert_eq!(
        output.expect("the grant allows it").stdout.data,
        b"\xfe|\xff"
    );
    let options = SpawnOptions::new();
    options.set_stdin(&Stdin::Bytes(b"echo $0".to_vec()));
    options.set_arg0("listed");
    let output = run::run("sh".to_owned(), Vec::new(), Some(&options)).await;
    assert_eq!(output.expect("the grant lists it").stdout.data, b"listed\n");
    println!("bytes");
}

async fn signals() {
    let options = SpawnOptions::new();
    let child = sh("exec sleep 600", &options).await;
    let child = child.expect("the grant allows it");
    assert_eq!((child.id(), child.info().id > 0), (child.info().id, true));
    child.signal_tree(Signal::Stop).expect("this host sends it");
    child
        .signal_tree(Signal::Alarm)
        .expect("this host sends it");
    child
        .signal_tree(Signal::Continue)
        .expect("this host sends it");
    let status = child.wait(None).await;
    let requested = KillReason::Requested;
    assert!(
        matches!(status, Some(ExitStatus::Killed(Kill { reason, signal: Some(14) })) if reason == requested),
        "{status:?}"
    );
    println!("signals");
}

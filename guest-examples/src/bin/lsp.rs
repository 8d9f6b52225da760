//! A client of a language server: JSON messages with a `Content-Length` header over
//! the server's standard input and output.
//!
//! Usage: `lsp SERVER [ARGS]...` sends its standard input as a document, and prints
//! the diagnostics that the server publishes for it.

use std::io::{self, BufRead, BufReader, Read, Write};

use guest_examples::spawn::Child;
use guest_examples::types::{SpawnOptions, Stdin, Stdio};
use guest_examples::{ending, exit, reason};
use serde_json::{Value, json};

fn main() {
    let mut args = std::env::args().skip(1);
    let program = args.next().expect("usage: lsp SERVER [ARGS]...");
    let args: Vec<String> = args.collect();

    // Standard error, the server's log, stays captured.
    let options = SpawnOptions::new();
    options.set_stdin(&Stdin::Piped);
    options.set_stdout(Stdio::Piped);
    let child = match Child::spawn(&program, &args, Some(&options)) {
        Ok(child) => child,
        Err(error) => {
            eprintln!("lsp: {program}: {}", reason(&error));
            exit(1);
        }
    };
    let input = child.take_stdin().expect("piped, and not taken before");
    let output = child.take_stdout().expect("piped, and not taken before");

    let mut document = String::new();
    let result = io::stdin()
        .read_to_string(&mut document)
        .and_then(|_| session(&document, input, BufReader::new(output)));
    let status = child.wait(None).expect("without a timeout it waits");
    if let Err(error) = result {
        let (_, log) = child.captured(0, 0);
        eprint!("{}", String::from_utf8_lossy(&log.data));
        eprintln!("lsp: {program}: {error}");
        exit(1);
    }
    println!("{program} {}", ending(status));
}

/// Runs a session from `initialize` to `exit`. The streams are dropped at its end,
/// also after a failure, and the server exits at the end of its input.
fn session(document: &str, mut to: impl Write, mut from: impl BufRead) -> io::Result<()> {
    send(
        &mut to,
        &request(1, "initialize", &json!({ "capabilities": {} })),
    )?;
    let server = receive_until(&mut from, |message| message["id"] == 1)?;
    println!(
        "connected to {}",
        text(&server["result"]["serverInfo"]["name"])
    );
    send(&mut to, &notification("initialized", &json!({})))?;

    let document =
        json!({ "uri": "file:///input", "languageId": "text", "version": 1, "text": document });
    send(
        &mut to,
        &notification("textDocument/didOpen", &json!({ "textDocument": document })),
    )?;
    let published = receive_until(&mut from, |message| {
        message["method"] == "textDocument/publishDiagnostics"
    })?;
    for diagnostic in published["params"]["diagnostics"]
        .as_array()
        .into_iter()
        .flatten()
    {
        // The protocol counts lines from zero, people from one.
        let line = diagnostic["range"]["start"]["line"].as_u64().unwrap_or(0) + 1;
        println!("line {line}: {}", text(&diagnostic["message"]));
    }

    send(&mut to, &request(2, "shutdown", &Value::Null))?;
    receive_until(&mut from, |message| message["id"] == 2)?;
    // The server exits once it has read this, perhaps before the write returns: its
    // status, not a broken pipe, tells whether it succeeded.
    let _ = send(&mut to, &notification("exit", &Value::Null));
    Ok(())
}

fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn notification(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn send(to: &mut impl Write, message: &Value) -> io::Result<()> {
    let body = message.to_string();
    write!(to, "Content-Length: {}\r\n\r\n{body}", body.len())?;
    to.flush()
}

/// Reads messages until a wanted one.
fn receive_until(from: &mut impl BufRead, wanted: impl Fn(&Value) -> bool) -> io::Result<Value> {
    loop {
        let message = receive(from)?;
        if wanted(&message) {
            return Ok(message);
        }
    }
}

fn receive(from: &mut impl BufRead) -> io::Result<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("Content-Length:") {
            length = value.trim().parse::<usize>().ok();
        }
    }
    let length = length.ok_or(io::ErrorKind::InvalidData)?;
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}

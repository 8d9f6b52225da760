//! Invalid requests and grants: each is a clear error, and nothing starts. (The
//! grammar of grant files is tested in the library, next to the parser.)

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use capspawn_native::grant::Grants;
use capspawn_native::limits::MAX_STDIN_BYTES;
use capspawn_native::{Command, DeniedItem, ExitStatus, SpawnError, Stdin};

use crate::support::*;

/// The name of a string in a request, and a request with the given text there.
type Place = (&'static str, fn(String) -> Command);

const PLACES: [Place; 5] = [
    ("program", |text| Command::new(text)),
    ("argument", |text| Command::new("sh").args(["-c", &text])),
    ("variable name", |text| Command {
        env: vec![(text, "value".into())],
        ..sh("true")
    }),
    ("variable value", |text| Command {
        env: vec![("V".into(), text.into())],
        ..sh("true")
    }),
    ("working directory", |text| Command {
        cwd: Some(text),
        ..sh("true")
    }),
];

#[test]
fn every_string_of_a_request_is_checked_for_nul_and_for_its_length() {
    let registry = registry();
    let extra = "cwd = { default = \"/\", roots = [\"/\"] }\nenv = { allow = [\"V\"] }";
    let guest = registry.guest(grant("test", extra), "");
    for (place, with) in PLACES {
        let refusal = |text: String| {
            let result = guest.spawn(&with(text));
            result.expect_err(place)
        };
        let nul = refusal("a\0b".into());
        assert!(matches!(nul, SpawnError::InvalidArgument(_)), "{place}");
        let big = refusal("x".repeat(1 << 20));
        assert!(matches!(big, SpawnError::TooBig), "{place}: {big}");
    }
    let empty = |place: usize| guest.spawn(&PLACES[place].1(String::new()));
    for place in [0, 2] {
        let refused = empty(place);
        assert!(matches!(refused, Err(SpawnError::InvalidArgument(_))));
    }
    for place in [1, 3] {
        let child = empty(place).expect("an empty argument or value is valid");
        assert_eq!(ended(&child), ExitStatus::Exited(0));
    }
    let default_directory = empty(4).map(|child| ended(&child));
    assert!(
        !matches!(default_directory, Err(SpawnError::InvalidArgument(_))),
        "an empty working directory is the default one: {default_directory:?}"
    );
    let valid = Command {
        env: vec![("V".into(), "value".into())],
        cwd: Some("/usr".into()),
        ..sh("pwd; exit 3")
    };
    let child = guest.spawn(&valid).expect("the request is valid");
    assert_eq!(output(&child).0, ExitStatus::Exited(3));
    drop(child);
    eventually("free slots", || registry.is_empty());
    assert!(guest.live().is_empty());
}

#[test]
fn an_invalid_request_uses_up_the_rate_alone_and_evicts_nobody() {
    let registry = build(builder().max_entries(1));
    let guest = registry.guest(grant("test", "rate = \"5/h\""), "");
    let kept = guest.spawn(&sh("echo kept")).expect("the grant allows it");
    assert_eq!(output(&kept).1.data, b"kept\n");
    for _ in 0..3 {
        let invalid = guest.spawn(&sh("a\0b"));
        assert!(matches!(invalid, Err(SpawnError::InvalidArgument(_))));
    }
    assert_eq!(kept.captured(0, 0).0.data, b"kept\n");
    let second = guest
        .spawn(&sh("true"))
        .expect("the rate allows five requests");
    assert_eq!(ended(&second), ExitStatus::Exited(0));
    assert_eq!(kept.captured(0, 0).0.data, b"", "a valid request evicts");
}

#[test]
fn standard_input_takes_any_bytes_up_to_a_bound() {
    let guest = guest();
    let cat = |bytes: Vec<u8>| {
        guest.spawn(&Command {
            stdin: Stdin::Bytes(bytes.into()),
            ..Command::new("cat")
        })
    };
    for bytes in [vec![], b"a\0b\xff\xfe\xc3(\n".to_vec()] {
        let child = cat(bytes.clone()).expect("any bytes are valid");
        assert_eq!(output(&child).1.data, bytes);
    }
    let over = cat(vec![0; MAX_STDIN_BYTES + 1]);
    assert!(matches!(over, Err(SpawnError::TooBig)));
    let most = cat(vec![0; MAX_STDIN_BYTES]).expect("the bound itself is allowed");
    let (_, out, _) = output(&most);
    assert_eq!(out.data.len() as u64 + out.dropped, MAX_STDIN_BYTES as u64);
}

#[test]
fn the_size_of_all_arguments_is_checked_before_they_are_matched() {
    let guest = guest();
    let many = Command::new("sh").args(vec!["x".repeat(1 << 10); 200 << 10]);
    assert!(matches!(guest.spawn(&many), Err(SpawnError::TooBig)));
    let two = Command::new("sh").args(["-c", "true", "x"]);
    match guest.spawn(&two) {
        Err(SpawnError::Denied(denial)) => assert_eq!(denial.item, DeniedItem::Argument),
        other => panic!("one argument too many: {other:?}"),
    }
}

fn with_program(program: &Path) -> Result<Grants, String> {
    let toml = format!(
        "version = 1\n[[component.test.command]]\nname = \"p\"\nprogram = {program:?}\n\
         sandbox = \"none\"\n"
    );
    Grants::from_toml_str(&toml, Path::new("/")).map_err(|error| error.to_string())
}

#[test]
fn a_grant_is_refused_if_its_program_is_not_an_executable_file() {
    let folder = tempfile::tempdir().expect("/tmp is writable");
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).expect("the folder is writable");
    let plain = folder.path().join("plain");
    fs::write(&plain, "not executable").expect("the folder is writable");
    let missing = folder.path().join("missing");
    let dev = Path::new("/dev/null");
    for path in [folder.path(), &socket, &plain, &missing, dev] {
        let error = with_program(path).expect_err("the kernel would not execute it");
        assert!(error.contains(&*path.to_string_lossy()), "{error}");
    }
    with_program(Path::new("/bin/true")).expect("it can be executed");
}

#[test]
fn a_working_directory_that_is_not_a_directory_is_an_error() {
    let folder = tempfile::tempdir().expect("/tmp is writable");
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).expect("the folder is writable");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("the folder is writable");
    let registry = registry();
    let cwd = format!("cwd = {{ default = {:?} }}", folder.path());
    let guest = registry.guest(grant("test", &cwd), "");
    let start_in = |path: &Path| {
        let mut command = sh("true");
        command.cwd = Some(path.to_str().expect("the path is text").to_owned());
        guest.spawn(&command)
    };
    for path in [&socket, &file, &folder.path().join("nowhere/at/all")] {
        let refused = start_in(path);
        assert!(
            matches!(refused, Err(SpawnError::WorkingDirectoryNotFound)),
            "{path:?}: {refused:?}"
        );
    }
    assert!(registry.is_empty());
    let child = start_in(folder.path()).expect("the folder is a directory");
    assert_eq!(ended(&child), ExitStatus::Exited(0));
}

//! Requests and grants that make no sense: a clear error each, and nothing
//! started. (The grammar of grants has its own tests beside the parser.)

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use capspawn_native::grant::Grants;
use capspawn_native::limits::MAX_STDIN_BYTES;
use capspawn_native::{Command, DeniedItem, ExitStatus, SpawnError, Stdin};

use crate::support::*;

/// A string of a request, and a request with any text in its place.
type Place = (&'static str, fn(String) -> Command);

const PLACES: [Place; 5] = [
    ("program", |text| Command::new(text)),
    ("argument", |text| Command::new("sh").args(["-c", &text])),
    ("variable's name", |text| Command {
        env: vec![(text, "value".into())],
        ..sh("true")
    }),
    ("variable's value", |text| Command {
        env: vec![("V".into(), text)],
        ..sh("true")
    }),
    ("working directory", |text| Command {
        cwd: Some(text),
        ..sh("true")
    }),
];

#[test]
fn every_string_of_a_request_is_looked_at() {
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
        let child = empty(place).expect("an empty one is a string like others");
        assert_eq!(ended(&child), ExitStatus::Exited(0));
    }
    let no_directory = empty(4).map(|child| ended(&child));
    assert!(
        !matches!(no_directory, Err(SpawnError::InvalidArgument(_))),
        "relative to the default: {no_directory:?}"
    );
    let sane = Command {
        env: vec![("V".into(), "value".into())],
        cwd: Some("/usr".into()),
        ..sh("pwd; exit 3")
    };
    let child = guest.spawn(&sane).expect("nothing is wrong with it");
    assert_eq!(output(&child).0, ExitStatus::Exited(3));
    drop(child);
    eventually("free slots", || registry.is_empty());
    assert!(guest.live().is_empty());
}

#[test]
fn bytes_are_bytes_and_their_number_is_bounded() {
    let guest = guest();
    let cat = |bytes: Vec<u8>| {
        guest.spawn(&Command {
            stdin: Stdin::Bytes(bytes.into()),
            ..Command::new("cat")
        })
    };
    for bytes in [vec![], b"a\0b\xff\xfe\xc3(\n".to_vec()] {
        let child = cat(bytes.clone()).expect("any bytes");
        assert_eq!(output(&child).1.data, bytes);
    }
    let over = cat(vec![0; MAX_STDIN_BYTES + 1]);
    assert!(matches!(over, Err(SpawnError::TooBig)));
    let most = cat(vec![0; MAX_STDIN_BYTES]).expect("as much as there may be");
    let (_, out, _) = output(&most);
    assert_eq!(out.data.len() as u64 + out.dropped, MAX_STDIN_BYTES as u64);
}

#[test]
fn many_small_arguments_are_counted_before_they_are_matched() {
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
fn what_is_no_file_is_no_program_of_a_grant() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).expect("it is writable");
    let plain = folder.path().join("plain");
    fs::write(&plain, "not executable").expect("it is writable");
    let missing = folder.path().join("missing");
    let dev = Path::new("/dev/null");
    for path in [folder.path(), &socket, &plain, &missing, dev] {
        let error = with_program(path).expect_err("it cannot be executed");
        assert!(error.contains(&*path.to_string_lossy()), "{error}");
    }
    with_program(Path::new("/bin/true")).expect("it can");
}

#[test]
fn what_is_no_directory_is_no_working_directory() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let socket = folder.path().join("socket");
    let _listener = UnixListener::bind(&socket).expect("it is writable");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("it is writable");
    let registry = registry();
    let cwd = format!("cwd = {{ default = {:?} }}", folder.path());
    let guest = registry.guest(grant("test", &cwd), "");
    let start_in = |path: &Path| {
        let mut command = sh("true");
        command.cwd = Some(path.to_str().expect("text").to_owned());
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
    let child = start_in(folder.path()).expect("it is one");
    assert_eq!(ended(&child), ExitStatus::Exited(0));
}

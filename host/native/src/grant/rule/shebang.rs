//! Programs that begin with `#!`.
//!
//! The line is read when the grant is loaded: the interpreter becomes the program that is
//! kept open, and the script's absolute path its argument. The interpreter reads the script
//! by that path, so the script is compared before each start. The kernel's way was rejected:
//! it would run an open script as `/dev/fd/N`, a name that the script can see, and look up
//! the interpreter at every start.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The longest `#!` line that Linux reads, in bytes.
const MAX_LINE: u64 = 256;

/// The content of a `#!` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::grant) struct Shebang {
    pub(in crate::grant) interpreter: PathBuf,
    /// The one argument between interpreter and script.
    pub(in crate::grant) argument: Option<String>,
}

/// Reads the `#!` line of a program. Returns none if the program has no such line, or cannot
/// be read: an interpreter could not read it either. A name after `/usr/bin/env` is looked up
/// in `search`.
///
/// # Errors
///
/// Why the line names no usable interpreter, as a sentence fragment.
pub(in crate::grant) fn read(path: &Path, search: &str) -> Result<Option<Shebang>, String> {
    match File::open(path) {
        Ok(file) => read_from(path, file, |name| find(name, search)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// Reads the `#!` line of an open program. `path` is for messages; `find` looks up a name
/// after `/usr/bin/env`.
///
/// # Errors
///
/// Why the line names no usable interpreter, as a sentence fragment.
pub(in crate::grant) fn read_from(
    path: &Path,
    file: impl Read,
    find: impl FnOnce(&str) -> Option<PathBuf>,
) -> Result<Option<Shebang>, String> {
    let mut head = Vec::new();
    match file.take(MAX_LINE).read_to_end(&mut head) {
        Ok(_) => parse(path, &head, find),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

fn find(name: &str, search: &str) -> Option<PathBuf> {
    search
        .split(':')
        .filter(|folder| folder.starts_with('/'))
        .map(|folder| Path::new(folder).join(name))
        .find(|candidate| candidate.is_file())
}

fn parse(
    path: &Path,
    head: &[u8],
    find: impl FnOnce(&str) -> Option<PathBuf>,
) -> Result<Option<Shebang>, String> {
    let Some(rest) = head.strip_prefix(b"#!") else {
        return Ok(None);
    };
    let refuse = |reason: &str| format!("{}: the `#!` line {reason}", path.display());
    let Some(end) = rest.iter().position(|&byte| byte == b'\n') else {
        return Err(refuse("is too long or does not end"));
    };
    let line = std::str::from_utf8(&rest[..end]).map_err(|_| refuse("is not UTF-8"))?;
    if line.contains('\0') {
        return Err(refuse("contains a NUL byte"));
    }
    let line = line.trim_matches([' ', '\t']);
    let (interpreter, argument) = match line.split_once([' ', '\t']) {
        Some((interpreter, argument)) => {
            (interpreter, Some(argument.trim_start_matches([' ', '\t'])))
        }
        None => (line, None),
    };
    let interpreter = Path::new(interpreter);
    if !interpreter.is_absolute() {
        return Err(refuse("does not name an absolute path"));
    }
    if interpreter.file_name().is_none_or(|name| name != "env") {
        return Ok(Some(Shebang {
            interpreter: interpreter.to_owned(),
            argument: argument.map(str::to_owned),
        }));
    }
    // The program that `env` would run is started directly, not through `env`.
    let Some(name) = argument.filter(|name| !name.contains([' ', '\t', '=', '-', '/'])) else {
        return Err(refuse(
            "has more than a name after `env`: write the path of the interpreter instead",
        ));
    };
    match find(name) {
        Some(interpreter) => Ok(Some(Shebang {
            interpreter,
            argument: None,
        })),
        None => Err(refuse(&format!(
            "names {name:?}, which is not in the grant's PATH"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shebang(head: &str) -> Result<Option<Shebang>, String> {
        let find = |name: &str| find(name, "/nowhere:/usr/bin:/bin");
        parse(Path::new("/x"), head.as_bytes(), find)
    }

    #[test]
    fn the_line_names_interpreter_and_one_argument() {
        assert_eq!(shebang("\u{7f}ELF"), Ok(None));
        let expected = |argument: Option<&str>| {
            Ok(Some(Shebang {
                interpreter: "/bin/sh".into(),
                argument: argument.map(str::to_owned),
            }))
        };
        assert_eq!(shebang("#!/bin/sh\necho"), expected(None));
        assert_eq!(shebang("#! /bin/sh -e -u \n"), expected(Some("-e -u")));
    }

    #[test]
    fn env_is_replaced_by_the_program_that_it_would_find() {
        let found = shebang("#!/usr/bin/env sh\n")
            .expect("there is a shell")
            .expect("a script");
        assert_eq!(
            found,
            Shebang {
                interpreter: "/usr/bin/sh".into(),
                argument: None
            }
        );
        shebang("#!/usr/bin/env -S sh -e\n").expect_err("that is a command line");
        shebang("#!/usr/bin/env A=b sh\n").expect_err("that is a command line");
        shebang("#!/usr/bin/env no-such-interpreter\n").expect_err("it is not there");
    }

    #[test]
    fn a_line_that_names_no_interpreter_is_refused() {
        shebang("#!sh\n").expect_err("it is relative");
        shebang("#!\n").expect_err("it is empty");
        shebang("#!/bin/sh").expect_err("it does not end");
    }
}

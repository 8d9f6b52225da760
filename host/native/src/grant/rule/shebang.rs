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

use super::env_split;

/// The bytes of a file that Linux reads for its `#!` line, from 5.1 on. The last is a NUL to it.
const KERNEL_READS: usize = 256;
/// What separates the parts of the line.
const BLANKS: [char; 2] = [' ', '\t'];

/// The content of a `#!` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::grant) struct Shebang {
    pub(in crate::grant) interpreter: PathBuf,
    /// The arguments between interpreter and script: one at most, or those of `env -S`.
    pub(in crate::grant) arguments: Vec<String>,
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
    match file.take(KERNEL_READS as u64).read_to_end(&mut head) {
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
    let line = match rest.iter().position(|&byte| byte == b'\n') {
        Some(end) => &rest[..end],
        // The last line of a short file.
        None if head.len() < KERNEL_READS => rest,
        // The kernel cuts the argument. It does not cut the path of the interpreter.
        None => {
            let line = &rest[..KERNEL_READS - 1 - 2];
            let path = line.trim_ascii_start();
            if !path.iter().any(|byte| BLANKS.contains(&char::from(*byte))) {
                return Err(refuse(
                    "is longer than the kernel reads (256 bytes): write a shorter path of the interpreter",
                ));
            }
            line
        }
    };
    let line = std::str::from_utf8(line).map_err(|_| refuse("is not UTF-8"))?;
    if line.contains('\0') {
        return Err(refuse("contains a NUL byte"));
    }
    let line = line.trim_matches(BLANKS);
    let (interpreter, argument) = match line.split_once(BLANKS) {
        Some((interpreter, argument)) => (interpreter, Some(argument.trim_start_matches(BLANKS))),
        None => (line, None),
    };
    let interpreter = Path::new(interpreter);
    if !interpreter.is_absolute() {
        return Err(refuse("does not name an absolute path"));
    }
    if interpreter.file_name().is_none_or(|name| name != "env") {
        return Ok(Some(Shebang {
            interpreter: interpreter.to_owned(),
            arguments: argument.map(str::to_owned).into_iter().collect(),
        }));
    }
    // The program that `env` would run is started directly, not through `env`.
    let words = match argument.and_then(to_split) {
        Some(text) => env_split::split(text).map_err(&refuse)?,
        None => argument.map(str::to_owned).into_iter().collect(),
    };
    let Some((name, arguments)) = words.split_first() else {
        return Err(refuse("has no name after `env`: write the interpreter"));
    };
    if name.starts_with('-') || name.contains('=') {
        return Err(refuse(
            "changes the environment by `env`: set `env` in the grant instead, and write the interpreter alone",
        ));
    }
    if name.contains(BLANKS) {
        return Err(refuse(
            "has more than a name after `env`: write `env -S`, or the path of the interpreter",
        ));
    }
    let found = match name.contains('/') {
        // A relative path would depend on the working directory.
        true => Some(PathBuf::from(name)).filter(|path| path.is_absolute()),
        false => find(name),
    };
    match found {
        Some(interpreter) => Ok(Some(Shebang {
            interpreter,
            arguments: arguments.to_vec(),
        })),
        None => Err(refuse(&format!(
            "names {name:?}, which is not in the grant's PATH"
        ))),
    }
}

/// Returns the string that `env` is to split, if `argument` is the option for it.
fn to_split(argument: &str) -> Option<&str> {
    let long = || argument.strip_prefix("--split-string");
    let text = argument.strip_prefix("-S").or_else(long)?;
    Some(text.strip_prefix('=').unwrap_or(text))
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
                arguments: argument.map(str::to_owned).into_iter().collect(),
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
                arguments: Vec::new()
            }
        );
        for line in [
            "#!/usr/bin/env /bin/sh\n",
            "#!/usr/bin/env\tsh",
            "#!/usr/bin/env sh-e\n",
        ] {
            let find = |name: &str| Some(Path::new("/bin").join(name));
            let found = parse(Path::new("/x"), line.as_bytes(), find).expect("it names one");
            let interpreter = found.expect("a script").interpreter;
            let expected = ["/bin/sh", "/bin/sh-e"].map(PathBuf::from);
            assert!(expected.contains(&interpreter), "{line} {interpreter:?}");
        }
        for (line, reason) in [
            ("#!/usr/bin/env A=b sh\n", "set `env` in the grant"),
            ("#!/usr/bin/env sh -e\n", "more than a name"),
            ("#!/usr/bin/env\n", "no name"),
            ("#!/usr/bin/env -i\n", "set `env` in the grant"),
            ("#!/usr/bin/env bin/sh\n", "not in the grant's PATH"),
            (
                "#!/usr/bin/env no-such-interpreter\n",
                "not in the grant's PATH",
            ),
        ] {
            let refused = shebang(line).expect_err("it names none");
            assert!(refused.contains(reason), "{line} {refused}");
        }
    }

    #[test]
    fn env_splits_a_string_into_interpreter_and_arguments() {
        for line in [
            "#!/usr/bin/env -S sh -e 'a b'\n",
            "#!/usr/bin/env -Ssh -e \"a b\"\n",
            "#!/usr/bin/env --split-string=sh -e 'a b'\n",
            "#!/usr/bin/env --split-string sh -e 'a b' # comment\n",
        ] {
            let found = shebang(line).expect("there is a shell").expect("a script");
            assert_eq!(found.interpreter, Path::new("/usr/bin/sh"), "{line}");
            assert_eq!(found.arguments, ["-e", "a b"], "{line}");
        }
        for line in [
            "#!/usr/bin/env -S\n",
            "#!/usr/bin/env -S # sh\n",
            "#!/usr/bin/env -S A=b sh\n",
            "#!/usr/bin/env -S -i sh\n",
            "#!/usr/bin/env -S 'sh -e'\n",
            "#!/usr/bin/env -S sh 'a\n",
            "#!/usr/bin/env -S ${SHELL}\n",
            "#!/usr/bin/env -vS sh\n",
        ] {
            shebang(line).expect_err(line);
        }
    }

    /// As `load_script` of the kernel reads it.
    #[test]
    fn of_a_long_line_the_argument_is_cut_and_the_path_is_not() {
        let long = |length: usize| "x".repeat(length);
        let read = |line: String| {
            let head = line.get(..KERNEL_READS).unwrap_or(&line).to_owned();
            shebang(&head)
        };
        let found = read(format!("#!/bin/sh {}\n", long(300)));
        let found = found.expect("the path is whole").expect("a script");
        assert_eq!(found.arguments, [long(255 - "#!/bin/sh ".len())]);
        let whole = read(format!("#!/bin/sh {}\n", long(240)));
        let whole = whole.expect("the line is whole").expect("a script");
        assert_eq!(whole.arguments, [long(240)]);
        let refused = read(format!("#!/{}/sh -e\n", long(260))).expect_err("the path is cut");
        assert!(refused.contains("256 bytes"), "{refused}");
        let last = read(format!("#!/{}/sh\n", long(249)));
        assert!(last.is_ok(), "{last:?}");
    }

    #[test]
    fn a_line_that_names_no_interpreter_is_refused() {
        shebang("#!sh\n").expect_err("it is relative");
        shebang("#!\n").expect_err("it is empty");
        assert!(
            shebang("#!/bin/sh").is_ok(),
            "the file may end with the line"
        );
    }
}

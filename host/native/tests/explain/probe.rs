//! The child of these tests: it reports what the kernel passed to it, before any
//! runtime has changed it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The source of the child. It needs no crate, so `rustc` alone compiles it.
///
/// A field may be empty and may contain any text, so each follows its length.
const SOURCE: &str = r#"
use std::io::Write;
use std::os::unix::ffi::OsStrExt;

fn main() {
    let cwd = std::fs::read_link("/proc/self/cwd").expect("a working directory");
    let exe = std::fs::read_link("/proc/self/exe").expect("a program");
    let fields = [
        std::fs::read("/proc/self/cmdline").expect("arguments"),
        std::fs::read("/proc/self/environ").expect("an environment"),
        cwd.as_os_str().as_bytes().to_vec(),
        exe.as_os_str().as_bytes().to_vec(),
    ];
    let mut out = std::io::stdout().lock();
    for field in fields {
        write!(out, "{}\n", field.len()).expect("a reader");
        out.write_all(&field).expect("a reader");
    }
}
"#;

/// The report of a child.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) argv: Vec<String>,
    /// `NAME=value`, in the order of the child's environment.
    pub(crate) env: Vec<String>,
    pub(crate) cwd: PathBuf,
    pub(crate) program: PathBuf,
}

/// A folder that is kept between runs: `bin/probe`, `work/file`, `work/sub/deep`,
/// `work/write`, `work/link -> sub`, `work/out -> ../other`, `other`.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // Cargo's folder for tests: no destructor would remove one that a static owns.
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explain");
        for name in ["bin", "work/sub/deep", "work/write", "other"] {
            fs::create_dir_all(path.join(name)).expect("the folder of cargo is writable");
        }
        let path = path.canonicalize().expect("the folder exists");
        fs::write(path.join("work/file"), "").expect("the test owns the folder");
        for (target, link) in [("sub", "work/link"), ("../other", "work/out")] {
            if let Err(error) = std::os::unix::fs::symlink(target, path.join(link)) {
                assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
            }
        }
        compile(&path.join("bin"));
        path
    })
}

/// Compiles `bin/probe` if the source has changed.
fn compile(bin: &Path) {
    let source = bin.join("probe.rs");
    let made = bin.join("probe");
    if made.exists() && fs::read_to_string(&source).is_ok_and(|text| text == SOURCE) {
        return;
    }
    // It is compiled elsewhere and renamed: another run of these tests may be executing the old one.
    let folder = tempfile::tempdir_in(bin).expect("the test owns the folder");
    let text = folder.path().join("probe.rs");
    let binary = folder.path().join("probe");
    fs::write(&text, SOURCE).expect("the test owns the folder");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let status = Command::new(rustc)
        .args(["--edition=2024", "-O", "-o"])
        .args([&binary, &text])
        .status();
    assert!(status.expect("rustc is installed").success());
    fs::rename(&binary, &made).expect("the test owns the folder");
    fs::rename(&text, &source).expect("the test owns the folder");
}

impl Report {
    /// Parses the output of the probe.
    pub(crate) fn read(mut bytes: &[u8]) -> Self {
        let mut field = || {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (length, rest) = bytes.split_at(end.expect("a field has a length"));
            let length = std::str::from_utf8(length).expect("a length is a number");
            let length: usize = length.parse().expect("a length is a number");
            let (field, rest) = rest[1..].split_at(length);
            bytes = rest;
            String::from_utf8(field.to_vec()).expect("the tests pass UTF-8 only")
        };
        Self {
            argv: strings(&field()),
            env: strings(&field()),
            cwd: field().into(),
            program: field().into(),
        }
    }
}

/// The strings of a list, each terminated by a NUL.
fn strings(list: &str) -> Vec<String> {
    list.split_terminator('\0').map(str::to_owned).collect()
}

//! The child of these tests: it reports what it was started with, and nothing
//! that a runtime made of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The child's source. It needs no crate, so that `rustc` alone makes it.
///
/// A field may hold anything but a NUL, and be empty: lengths come first.
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

/// What a child says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) argv: Vec<String>,
    /// `NAME=value`, in the order in which the child has them.
    pub(crate) env: Vec<String>,
    pub(crate) cwd: PathBuf,
    pub(crate) program: PathBuf,
}

/// A folder that stays: `bin/probe`, `work/file`, `work/sub/deep`,
/// `work/write`, `work/link -> sub`, `work/out -> ../other`, `other`.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // Cargo's own folder for tests, since no destructor runs for a static.
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explain");
        for name in ["bin", "work/sub/deep", "work/write", "other"] {
            fs::create_dir_all(path.join(name)).expect("cargo's folder can be written");
        }
        let path = path.canonicalize().expect("it exists");
        fs::write(path.join("work/file"), "").expect("the folder is ours");
        for (target, link) in [("sub", "work/link"), ("../other", "work/out")] {
            if let Err(error) = std::os::unix::fs::symlink(target, path.join(link)) {
                assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
            }
        }
        compile(&path.join("bin"));
        path
    })
}

/// Makes `probe` in `bin`, anew where the source has changed.
fn compile(bin: &Path) {
    let source = bin.join("probe.rs");
    let made = bin.join("probe");
    if made.exists() && fs::read_to_string(&source).is_ok_and(|text| text == SOURCE) {
        return;
    }
    // Made aside and renamed: another run of these tests may be executing it.
    let aside = tempfile::tempdir_in(bin).expect("the folder is ours");
    let text = aside.path().join("probe.rs");
    let binary = aside.path().join("probe");
    fs::write(&text, SOURCE).expect("the folder is ours");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let status = Command::new(rustc)
        .args(["--edition=2024", "-O", "-o"])
        .args([&binary, &text])
        .status();
    assert!(status.expect("rustc is here").success());
    fs::rename(&binary, &made).expect("the folder is ours");
    fs::rename(&text, &source).expect("the folder is ours");
}

impl Report {
    /// Reads what the probe wrote.
    pub(crate) fn read(mut bytes: &[u8]) -> Self {
        let mut field = || {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (length, rest) = bytes.split_at(end.expect("a length"));
            let length = std::str::from_utf8(length).expect("a number");
            let length: usize = length.parse().expect("a number");
            let (field, rest) = rest[1..].split_at(length);
            bytes = rest;
            String::from_utf8(field.to_vec()).expect("all that goes in is UTF-8")
        };
        Self {
            argv: strings(&field()),
            env: strings(&field()),
            cwd: field().into(),
            program: field().into(),
        }
    }
}

/// The strings of a list in which a NUL follows each.
fn strings(list: &str) -> Vec<String> {
    list.split_terminator('\0').map(str::to_owned).collect()
}

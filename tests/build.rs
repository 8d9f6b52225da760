//! Builds the guests as components, copies them to `target/guests`, and lists
//! them for the tests.
//!
//! The toolchain is the first of these that works: the target is installed; rustup
//! installs the target; Debian's packages of the compiler and its library sources are
//! installed, and cargo builds the library.

#![expect(clippy::disallowed_types, reason = "the build runs cargo and rustup")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, process};

const TARGET: &str = "wasm32-wasip2";

/// The folders whose `src/bin/*.rs` are guests.
const WORKSPACES: [&str; 3] = ["guest-examples", "tests/guests", "tests/guests-p3"];

const NO_TOOLCHAIN: &str = "no toolchain for wasm32-wasip2: run `rustup target add wasm32-wasip2`, or \
    `apt-get install --no-install-recommends rustc-web rust-web-src wasi-libc`, and build again";

fn main() {
    let tests = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = tests
        .parent()
        .expect("the tests are a folder of the workspace");
    let guests = root.join("target/guests");
    fs::create_dir_all(&guests).expect("the target directory is writable");

    for shared in ["wit", "guest/rust/src", "guest/rust/Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", root.join(shared).display());
    }
    let mut built = Vec::new();
    let toolchain = Toolchain::find();
    for workspace in WORKSPACES.map(|name| root.join(name)) {
        for part in ["src", "Cargo.toml", "Cargo.lock"] {
            println!("cargo::rerun-if-changed={}", workspace.join(part).display());
        }
        let artifacts = toolchain.build(&workspace, &root.join("target/guests-build"));
        for name in binaries(&workspace) {
            let wasm = guests.join(format!("{name}.wasm"));
            fs::copy(artifact(&artifacts, &name), &wasm)
                .unwrap_or_else(|error| fail(&format!("guest {name} was not built: {error}")));
            built.push((name, wasm));
        }
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("guests.rs"), listing(&built)).expect("OUT_DIR is writable");
}

/// A compiler for [`TARGET`].
enum Toolchain {
    /// The compiler that builds these tests.
    Own,
    /// Debian's compiler. Cargo also builds the standard library.
    Debian,
}

impl Toolchain {
    fn find() -> Self {
        let library = sysroot().join("lib/rustlib").join(TARGET);
        if library.exists() {
            return Self::Own;
        }
        let mut rustup = Command::new("rustup");
        if rustup
            .args(["target", "add", TARGET])
            .status()
            .is_ok_and(|status| status.success())
            && library.exists()
        {
            println!("cargo::warning=installed the target {TARGET} with rustup");
            return Self::Own;
        }
        if debian_is_ready() {
            println!(
                "cargo::warning=using Debian's rustc-web for {TARGET}; the first build takes minutes"
            );
            return Self::Debian;
        }
        fail(NO_TOOLCHAIN)
    }

    /// Builds one workspace and returns the folder of its components.
    fn build(&self, workspace: &Path, target_dir: &Path) -> PathBuf {
        let mut cargo = Command::new(env::var_os("CARGO").expect("cargo sets it"));
        cargo
            .current_dir(workspace)
            .args(["build", "--release", "--locked", "--bins", "--examples"])
            .args(["--target", TARGET])
            // The outer cargo holds the lock of its own target directory, and its
            // flags are for another target.
            .env("CARGO_TARGET_DIR", target_dir)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("RUSTFLAGS")
            .env_remove("RUSTC_WRAPPER")
            .env_remove("RUSTC_WORKSPACE_WRAPPER");
        if let Self::Debian = self {
            let tools = host_tools();
            let path = env::var_os("PATH").unwrap_or_default();
            let paths = [tools.join("gcc-ld")]
                .into_iter()
                .chain(env::split_paths(&path));
            cargo
                .arg("-Zbuild-std=std,panic_abort")
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTC", DEBIAN_RUSTC)
                .env(
                    "CARGO_TARGET_WASM32_WASIP2_LINKER",
                    tools.join("wasm-component-ld"),
                )
                .env(
                    "PATH",
                    env::join_paths(paths).expect("its parts came from PATH"),
                );
        }
        match cargo.status() {
            Ok(status) if status.success() => target_dir.join(TARGET).join("release"),
            Ok(_) => fail(&format!(
                "the guests in {} do not build, see above",
                workspace.display()
            )),
            Err(error) => fail(&format!("cargo does not run: {error}")),
        }
    }
}

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// Returns whether Debian's packages are installed. Links wasi-libc to where their
/// compiler searches for it.
fn debian_is_ready() -> bool {
    let libc = Path::new("/usr/lib/wasm32-wasi");
    let expected = Path::new("/usr/lib/rustlib")
        .join(TARGET)
        .join("lib/self-contained");
    let sources = Path::new("/usr/lib/rustlib/src/rust/library/std/Cargo.toml");
    if !sources.exists() || !Path::new(DEBIAN_RUSTC).exists() || !libc.join("libc.a").exists() {
        return false;
    }
    if fs::create_dir_all(&expected).is_err() {
        return false;
    }
    ["libc.a", "crt1-command.o", "crt1-reactor.o"]
        .iter()
        .all(|name| {
            let link = expected.join(name);
            link.exists() || std::os::unix::fs::symlink(libc.join(name), link).is_ok()
        })
}

/// Returns the folder of the linkers of rustup's toolchain.
fn host_tools() -> PathBuf {
    let host = env::var("HOST").expect("cargo sets it");
    sysroot().join("lib/rustlib").join(host).join("bin")
}

fn sysroot() -> PathBuf {
    let rustc = env::var_os("RUSTC").expect("cargo sets it");
    let output = Command::new(rustc).args(["--print", "sysroot"]).output();
    let output = output.unwrap_or_else(|error| fail(&format!("rustc does not run: {error}")));
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// Returns the file of a guest. It is a program, or a library that exports `run@0.3`;
/// a package can have more than one library only as examples.
fn artifact(artifacts: &Path, name: &str) -> PathBuf {
    let library = format!("examples/{}.wasm", name.replace('-', "_"));
    [format!("{name}.wasm"), library]
        .into_iter()
        .map(|file| artifacts.join(file))
        .find(|path| path.exists())
        .unwrap_or_else(|| fail(&format!("guest {name} was not built")))
}

/// Returns the names of a workspace's guests: its `src/bin/NAME.rs`.
fn binaries(workspace: &Path) -> Vec<String> {
    let entries = fs::read_dir(workspace.join("src/bin")).expect("a guest workspace has src/bin");
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            Some(name.strip_suffix(".rs")?.to_owned())
        })
        .collect();
    names.sort();
    names
}

/// Returns the source of the constants, and of a macro that calls another macro with
/// the name of every guest.
fn listing(guests: &[(String, PathBuf)]) -> String {
    let mut constants = String::new();
    let mut calls = String::new();
    for (name, wasm) in guests {
        let identifier = name.replace('-', "_");
        let constant = identifier.to_uppercase();
        let _ = writeln!(
            constants,
            "    /// `{name}`\n    pub const {constant}: super::Guest = super::Guest {{ name: {name:?}, path: {wasm:?} }};"
        );
        let _ = write!(calls, " $call!({identifier});");
    }
    let list: Vec<String> = guests
        .iter()
        .map(|(name, _)| format!("guests::{}", name.replace('-', "_").to_uppercase()))
        .collect();
    format!(
        "/// The guests, one constant each.\npub mod guests {{\n{constants}}}\n\n\
         /// Every guest.\npub const GUESTS: &[Guest] = &[{}];\n\n\
         /// Calls a macro with the name of every guest, as an identifier.\n\
         #[macro_export]\nmacro_rules! foreach_guest {{\n    ($call:ident) => {{{calls} }};\n}}\n",
        list.join(", ")
    )
}

/// Ends the build with an error of one line.
fn fail(line: &str) -> ! {
    println!("cargo::error={line}");
    process::exit(1)
}

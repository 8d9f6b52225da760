//! The recipes of `capspawn init`, each with the real program: what it allows, and what it refuses.
//!
//! A program that is not installed fails the test if a tier is demanded, as CI does after `tests/programs/install`;
//! otherwise a line states that its recipe did not run.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use capspawn_native::sandbox::Tier;
use tempfile::TempDir;
use test_kit::{Readable, is_root, required_tier, scratch};

use crate::harness::{Outcome, outcome};
use crate::support::{capspawn, exec, root};

/// The user and group of the files in write roots of a host that runs as root.
const NOBODY: u32 = 65534;

/// One recipe, and what a component does with it.
struct Case {
    recipe: &'static str,
    /// Programs that must be installed, or files in the folder of installed programs.
    needs: &'static [&'static str],
    /// Values, in which `$PROGRAMS` and `$TOOLCHAIN` stand for folders.
    set: &'static [&'static str],
    /// Files of the workspace.
    files: &'static [(&'static str, &'static str)],
    /// A script that prepares the workspace, as the user that children have.
    prepare: &'static str,
    /// Requests that succeed, and what each prints.
    allowed: &'static [(&'static [&'static str], &'static str)],
    /// Requests that the grant refuses.
    refused: &'static [&'static [&'static str]],
    /// The message that a language server receives by the first allowed request.
    stdin: &'static str,
}

const NONE: Case = Case {
    recipe: "",
    needs: &[],
    set: &[],
    files: &[],
    prepare: "true",
    allowed: &[],
    refused: &[],
    stdin: "",
};

const REPOSITORY: &str = "export GIT_CONFIG_GLOBAL=/dev/null; git init -q -b main && git add a.txt && \
    git -c user.name=a -c user.email=a@b commit -q -m 'the first commit'";

const INITIALIZE: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\
    \"params\":{\"processId\":null,\"rootUri\":null,\"capabilities\":{},\"workspaceFolders\":null}}";

const CASES: [Case; 12] = [
    Case {
        recipe: "git-read-only",
        needs: &["git"],
        files: &[("a.txt", "one\n")],
        prepare: REPOSITORY,
        allowed: &[
            (
                &[
                    "git",
                    "log",
                    "--no-ext-diff",
                    "--no-textconv",
                    "--oneline",
                    "-5",
                ],
                "the first commit",
            ),
            (
                &[
                    "git",
                    "show",
                    "--no-ext-diff",
                    "--no-textconv",
                    "--stat",
                    "HEAD",
                ],
                "a.txt",
            ),
            (
                &[
                    "git",
                    "diff",
                    "--no-ext-diff",
                    "--no-textconv",
                    "HEAD",
                    "--",
                    "a.txt",
                ],
                "",
            ),
            (&["git", "status", "--short", "--branch"], "## main"),
            (&["git", "blame", "--no-textconv", "--", "a.txt"], "one"),
            (&["git", "ls-files"], "a.txt"),
        ],
        refused: &[
            &["git", "push"],
            &["git", "commit", "-m", "x"],
            &["git", "-c", "core.pager=sh", "log"],
            &["git", "log", "--no-ext-diff", "--no-textconv", "--output=x"],
            &["git", "blame", "--no-textconv", "--", "/etc/passwd"],
        ],
        ..NONE
    },
    Case {
        recipe: "git-commits",
        needs: &["git"],
        set: &["author=Ann"],
        files: &[("a.txt", "one\n"), ("b.txt", "two\n")],
        prepare: REPOSITORY,
        allowed: &[
            (&["git", "switch", "--create", "topic"], ""),
            (&["git", "add", "--", "b.txt"], ""),
            (
                &["git", "commit", "-m", "the second commit"],
                "1 file changed",
            ),
            (&["git", "log", "--oneline", "-1"], "the second commit"),
            (&["git", "status", "--short"], ""),
        ],
        refused: &[
            &["git", "push"],
            &["git", "commit", "--amend"],
            &["git", "commit", "-m", "--amend"],
            &["git", "add", "--", "/etc/passwd"],
            &["git", "config", "core.hooksPath", "x"],
        ],
        ..NONE
    },
    Case {
        recipe: "rustfmt",
        needs: &["$TOOLCHAIN/bin/rustfmt"],
        set: &["toolchain=$TOOLCHAIN"],
        files: &[("a.rs", "fn main( ) { }\n")],
        allowed: &[
            (&["rustfmt", "a.rs"], ""),
            (&["rustfmt", "--check", "a.rs"], ""),
        ],
        refused: &[
            &["rustfmt", "--config-path=/etc"],
            &["rustfmt", "/etc/passwd"],
            &["rustfmt", "--emit=stdout", "a.rs"],
        ],
        ..NONE
    },
    Case {
        recipe: "black",
        needs: &["$PROGRAMS/python/black"],
        set: &["packages=$PROGRAMS/python", "python=/usr/bin/python3"],
        files: &[
            ("a.py", "x = { 'a':1 }\n"),
            (
                "click.py",
                "raise SystemExit('a file of the project was imported')\n",
            ),
        ],
        allowed: &[
            (&["black", "a.py"], "reformatted"),
            (&["black", "--check", "a.py"], "unchanged"),
        ],
        refused: &[
            &["black", "-c", "x = 1"],
            &["black", "/etc/passwd"],
            &["black", "--config", "a.toml", "a.py"],
        ],
        ..NONE
    },
    Case {
        recipe: "ripgrep",
        needs: &["rg"],
        files: &[("a.txt", "one\ntwo\n"), ("b.txt", "--pre\n")],
        allowed: &[
            (&["rg", "-n", "-e", "two", "a.txt"], "2:two"),
            (&["rg", "-l", "-e", "--pre"], "b.txt"),
        ],
        refused: &[
            &["rg", "--pre=sh", "-e", "x"],
            &["rg", "-e", "root", "/etc/passwd"],
            &["rg", "two"],
        ],
        ..NONE
    },
    Case {
        recipe: "gcc-make",
        needs: &["gcc", "make"],
        files: &[
            (
                "a.c",
                "#include <stdio.h>\nint main(void) { puts(\"built\"); return 0; }\n",
            ),
            ("Makefile", "all: a\n\t./a\na: a.c\n\tgcc -o a a.c\n"),
        ],
        allowed: &[
            (&["gcc", "-O2", "-Wall", "a.c", "-o", "b"], ""),
            (&["make", "-j2", "all"], "built"),
        ],
        refused: &[
            &["gcc", "-wrapper", "sh", "a.c"],
            &["gcc", "/etc/passwd"],
            &["make", "SHELL=/bin/sh"],
            &["make", "-f", "x"],
        ],
        ..NONE
    },
    Case {
        recipe: "cargo-build-offline",
        needs: &["$TOOLCHAIN/bin/cargo", "gcc"],
        set: &["toolchain=$TOOLCHAIN"],
        files: &[
            (
                "Cargo.toml",
                "[package]\nname = \"a\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n",
            ),
            ("src/main.rs", "fn main() {}\n#[test]\nfn passes() {}\n"),
        ],
        allowed: &[
            (&["cargo", "build", "--offline"], "Finished"),
            (&["cargo", "test", "--offline", "--quiet"], "1 passed"),
        ],
        refused: &[
            &["cargo", "build"],
            &["cargo", "install", "--offline", "x"],
            &["cargo", "run", "--offline"],
            &["cargo", "build", "--offline", "--config=x"],
        ],
        ..NONE
    },
    Case {
        recipe: "python-venv",
        needs: &["/usr/bin/python3"],
        set: &["python=/usr/bin/python3", "venv=$WORKSPACE/.venv"],
        files: &[(
            "a.py",
            "import sys, own\nprint(sys.argv[1:], own.x, sys.prefix != sys.base_prefix)\n",
        )],
        prepare: "/usr/bin/python3 -m venv --without-pip .venv && echo 'x = 7' > \"$(echo .venv/lib/python3*/site-packages)/own.py\"",
        allowed: &[(&["python", "a.py", "-x", "b"], "['-x', 'b'] 7 True")],
        refused: &[
            &["python", "-c", "print(1)"],
            &["python", "-m", "pip"],
            &["python", "/etc/passwd"],
        ],
        ..NONE
    },
    Case {
        recipe: "npm-test",
        needs: &["npm", "node"],
        files: &[
            (
                "package.json",
                "{ \"name\": \"a\", \"version\": \"1.0.0\", \"scripts\": { \"test\": \"node test.js\", \"lint\": \"echo linted\", \"publish\": \"false\" } }\n",
            ),
            ("test.js", "console.log('tested');\n"),
        ],
        allowed: &[
            (&["npm", "test"], "tested"),
            (&["npm", "--silent", "run", "lint"], "linted"),
        ],
        refused: &[
            &["npm", "install", "x"],
            &["npm", "run", "publish"],
            &["npm", "exec", "x"],
            &["npm", "test", "--script-shell=x"],
        ],
        ..NONE
    },
    Case {
        recipe: "language-server",
        needs: &[
            "node",
            "$PROGRAMS/npm/node_modules/pyright/langserver.index.js",
        ],
        set: &["packages=$PROGRAMS/npm"],
        files: &[("a.py", "x: int = 'text'\n")],
        stdin: INITIALIZE,
        allowed: &[(&["pyright-langserver"], "capabilities")],
        refused: &[&["pyright-langserver", "--stdio"], &["node", "-e", "1"]],
        ..NONE
    },
    Case {
        recipe: "ffmpeg",
        needs: &["ffmpeg"],
        prepare: "head -c 88200 /dev/zero > silence.raw && { printf 'RIFF\\254X\\001\\000WAVEfmt \\020\\000\\000\\000\\001\\000\\001\\000D\\254\\000\\000\\210X\\001\\000\\002\\000\\020\\000data\\210X\\001\\000'; cat silence.raw; } > a.wav",
        allowed: &[(&["ffmpeg", "-i", "file:a.wav", "file:a.flac"], "")],
        refused: &[
            &["ffmpeg", "-i", "a.wav", "file:b.flac"],
            &["ffmpeg", "-i", "file:/etc/passwd", "file:b.flac"],
            &["ffmpeg", "-f", "lavfi", "-i", "sine", "file:b.flac"],
            &["ffmpeg", "-i", "file:a.wav", "file:/tmp/b.flac"],
        ],
        ..NONE
    },
    Case {
        recipe: "shell-script",
        needs: &["sh"],
        files: &[("a.sh", "echo \"hello, $1\"\n")],
        allowed: &[(&["sh", "a.sh", "-you"], "hello, -you")],
        refused: &[&["sh", "-c", "id"], &["sh", "/etc/profile"]],
        ..NONE
    },
];

/// The folders of what Debian does not have, where children can read them.
struct Folders {
    programs: Option<Readable>,
    toolchain: Option<Readable>,
}

impl Folders {
    fn find() -> Self {
        let programs = root().join("target/programs").canonicalize().ok();
        Self {
            programs: programs.and_then(|folder| Readable::folder(&folder).ok()),
            toolchain: Readable::toolchain(),
        }
    }

    /// Replaces the names of folders in a value.
    fn fill(&self, text: &str, workspace: &Path) -> String {
        let shown = |folder: &Option<Readable>| {
            let path = folder.as_ref().map(|it| it.path().to_owned());
            path.unwrap_or_else(|| PathBuf::from("/absent"))
                .display()
                .to_string()
        };
        text.replace("$PROGRAMS", &shown(&self.programs))
            .replace("$TOOLCHAIN", &shown(&self.toolchain))
            .replace("$WORKSPACE", &workspace.display().to_string())
    }
}

/// Returns what of a case is not installed.
fn missing(case: &Case, folders: &Folders) -> Option<String> {
    let is_there = |need: &str| match need.contains('/') {
        true => Path::new(need).exists(),
        false => ["/usr/bin", "/bin"]
            .iter()
            .any(|folder| Path::new(folder).join(need).exists()),
    };
    let mut needs = case
        .needs
        .iter()
        .map(|need| folders.fill(need, Path::new("/absent")));
    needs.find(|need| !is_there(need))
}

fn give(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("the test owns it");
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("root may change the owner");
    }
}

/// Makes the workspace of a case.
fn workspace(case: &Case) -> TempDir {
    let folder = scratch();
    give(folder.path(), 0o755);
    for (name, text) in case.files {
        let path = folder.path().join(name);
        let parent = path.parent().expect("a file is in a folder");
        if !parent.exists() {
            fs::create_dir(parent).expect("the test owns the workspace");
            give(parent, 0o755);
        }
        fs::write(&path, text).expect("the test owns the workspace");
        give(&path, 0o644);
    }
    let mut sh = Command::new("/bin/sh");
    sh.args(["-ec", case.prepare]).current_dir(folder.path());
    sh.env("PATH", "/usr/bin:/bin").env("HOME", folder.path());
    if is_root() {
        use std::os::unix::process::CommandExt as _;
        sh.uid(NOBODY).gid(NOBODY);
    }
    let prepared = sh.output().expect("there is a shell");
    assert!(prepared.status.success(), "{}: {prepared:?}", case.recipe);
    folder
}

/// Runs `capspawn init` for a case, and returns the grant file.
fn init(case: &Case, folders: &Folders, workspace: &Path, folder: &Path) -> PathBuf {
    let mut init = Command::new(capspawn());
    init.args(["init", case.recipe, "--set"])
        .arg(format!("workspace={}", workspace.display()));
    for value in case.set {
        init.arg("--set").arg(folders.fill(value, workspace));
    }
    let printed = outcome(&mut init);
    assert_eq!(
        (printed.code, printed.stderr.as_str()),
        (Some(0), ""),
        "{}",
        case.recipe
    );
    let file = folder.join("grants.toml");
    fs::write(&file, printed.stdout).expect("the folder is ours");
    file
}

fn run(grants: &Path, request: &[&str], stdin: &str) -> Outcome {
    let mut run = Command::new(capspawn());
    run.arg("run").arg("--grants").arg(grants);
    if let Some(tier) = required_tier::<Tier>() {
        run.args(["--tier", &tier.to_string()]);
    }
    run.arg(exec()).arg("--").args(request);
    if stdin.is_empty() {
        return outcome(&mut run);
    }
    use std::io::Write as _;
    run.stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = run.spawn().expect("the command starts");
    let mut pipe = child.stdin.take().expect("it is a pipe");
    let message = format!("Content-Length: {}\r\n\r\n{stdin}", stdin.len());
    pipe.write_all(message.as_bytes())
        .expect("the component reads");
    drop(pipe);
    let output = child
        .wait_with_output()
        .expect("it is a child of this test");
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn check(case: &Case, folders: &Folders) {
    let name = case.recipe;
    if let Some(missing) = missing(case, folders) {
        assert!(
            required_tier::<Tier>().is_none(),
            "{name}: {missing} is missing: run tests/programs/install"
        );
        eprintln!(
            "the recipe {name} was not run: {missing} is missing, see tests/programs/install"
        );
        return;
    }
    let workspace = workspace(case);
    let folder = tempfile::tempdir().expect("/tmp is writable");
    let grants = init(case, folders, workspace.path(), folder.path());
    let checked = outcome(Command::new(capspawn()).arg("check").arg(&grants));
    assert_eq!(checked.code, Some(0), "{name}: {checked:?}");
    assert!(
        !checked.stdout.contains("warning:"),
        "{name}: {}",
        checked.stdout
    );
    for (number, (request, printed)) in case.allowed.iter().enumerate() {
        let stdin = if number == 0 { case.stdin } else { "" };
        let ran = run(&grants, request, stdin);
        // A server ends with an error when its client is gone.
        let is_ended = ran.code == Some(0) || !stdin.is_empty();
        assert!(is_ended, "{name} {request:?}: {ran:?}");
        assert!(
            !ran.stderr.contains("capspawn: "),
            "{name} {request:?}: {ran:?}"
        );
        let all = format!("{}{}", ran.stdout, ran.stderr);
        assert!(all.contains(printed), "{name} {request:?}: {ran:?}");
    }
    for request in case.refused {
        let ran = run(&grants, request, "");
        assert_eq!(ran.code, Some(126), "{name} {request:?}: {ran:?}");
        assert!(ran.stderr.contains("denied"), "{name} {request:?}: {ran:?}");
    }
}

#[test]
fn each_recipe_allows_and_refuses_what_its_row_states() {
    let listed = outcome(Command::new(capspawn()).args(["init", "--list"])).stdout;
    let names: Vec<&str> = listed
        .lines()
        .filter(|line| !line.starts_with(' '))
        .collect();
    assert_eq!(names, CASES.map(|case| case.recipe));
    // By the names of recipes, for a trial of one.
    let folders = Folders::find();
    let wanted = std::env::var("CAPSPAWN_RECIPE").unwrap_or_default();
    CASES
        .iter()
        .filter(|case| case.recipe.contains(&wanted))
        .for_each(|case| check(case, &folders));
}

#[test]
fn a_recipe_denies_secrets_of_the_workspace_and_refuses_a_home() {
    let workspace = scratch();
    fs::write(workspace.path().join(".env"), "KEY=1").expect("the test owns it");
    let init = |workspace: &Path| {
        let mut init = Command::new(capspawn());
        outcome(
            init.args(["init", "shell-script", "--set"])
                .arg(format!("workspace={}", workspace.display())),
        )
    };
    let printed = init(workspace.path());
    assert_eq!(printed.code, Some(0), "{printed:?}");
    assert!(printed.stdout.contains("/.env\"]"), "{}", printed.stdout);
    for home in ["/", "/home"] {
        let refused = init(Path::new(home));
        assert!(
            refused
                .complaint()
                .contains("is not the folder of a project"),
            "{refused:?}"
        );
    }
}

#[test]
fn a_mistyped_recipe_or_value_gets_the_nearest_name() {
    let init = |args: &[&str]| outcome(Command::new(capspawn()).arg("init").args(args));
    assert!(
        init(&["git-readonly"])
            .complaint()
            .contains("did you mean \"git-read-only\"?")
    );
    assert!(
        init(&["rustfmt", "--set", "worksace=."])
            .complaint()
            .contains("did you mean \"workspace\"?")
    );
    assert!(
        init(&["language-server"])
            .complaint()
            .contains("--set packages=DIR")
    );
    assert!(
        init(&["ripgrep", "--set", "rg=absent-program"])
            .complaint()
            .contains("is not installed")
    );
}

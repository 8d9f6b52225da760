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
use crate::recipe_cases::{CASES, Case};
use crate::support::{capspawn, exec, root};

/// The user and group of the files in write roots of a host that runs as root.
const NOBODY: u32 = 65534;

/// The folders of what Debian does not have, where children can read them.
struct Folders {
    programs: Option<Readable>,
    toolchain: Option<Readable>,
}

impl Folders {
    fn find() -> Self {
        let programs = root().join("target/programs").canonicalize().ok();
        let found = Self {
            programs: programs.and_then(|folder| Readable::folder(&folder).ok()),
            toolchain: Readable::toolchain(),
        };
        // A program that everybody could replace is refused, and a folder of links is everybody's.
        for folder in [&found.programs, &found.toolchain].into_iter().flatten() {
            if folder.path().starts_with(std::env::temp_dir()) {
                fs::set_permissions(folder.path(), Permissions::from_mode(0o755))
                    .expect("the test has made it");
            }
        }
        found
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
    let component = if stdin.is_empty() {
        exec()
    } else {
        e2e::guests::LSP.path
    };
    run.args(["--timeout", "5min", "--component", "exec", component, "--"])
        .args(request);
    if stdin.is_empty() {
        return outcome(&mut run);
    }
    use std::io::Write as _;
    run.stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = run.spawn().expect("the command starts");
    let mut pipe = child.stdin.take().expect("it is a pipe");
    pipe.write_all(stdin.as_bytes())
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
        assert_eq!(ran.code, Some(0), "{name} {request:?}: {ran:?}");
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

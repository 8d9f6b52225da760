//! One command of a grant, compiled, and its decision on a request.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use super::any_program::{Found, View};
use super::environment::Environment;
use super::executable::Executable;
use super::matcher::{self, Mismatch};
use super::settings::Cwd;
use crate::command::Command;
use crate::confinement::Confinement;
use crate::error::{Denial, DeniedItem, SpawnError};
use crate::grant::file::document::Verdict;
use crate::grant::file::pattern::{Kind, Pattern};
use crate::grant::paths::{self, Root, is_under};
use crate::grant::suggestion;
use crate::launch::{LaunchError, Plan, Stage, WorkingDirectory};
use crate::limits::{CaptureCaps, Limits};
use crate::streams::Streams;

/// A command with everything resolved that can be before a request.
#[derive(Debug)]
pub(in crate::grant) struct Rule {
    pub(in crate::grant) name: String,
    /// Line and column in the grant's text.
    pub(in crate::grant) place: Option<(usize, usize)>,
    pub(in crate::grant) verdict: Verdict,
    pub(in crate::grant) target: Target,
    /// `argv[0]`, if it is not the program's path, or as the guest wrote that.
    pub(in crate::grant) arg0: Option<String>,
    pub(in crate::grant) fixed: Vec<String>,
    pub(in crate::grant) args: Vec<Pattern>,
    pub(in crate::grant) environment: Environment,
    pub(in crate::grant) cwd: Option<Cwd>,
    pub(in crate::grant) deny: Vec<Root>,
    pub(in crate::grant) limits: Limits,
    pub(in crate::grant) capture: CaptureCaps,
    pub(in crate::grant) confinement: Arc<Confinement>,
    pub(in crate::grant) disclose_pid: bool,
}

/// What a rule starts.
#[derive(Debug)]
pub(in crate::grant) enum Target {
    /// One program, held open.
    File(Executable),
    /// Whatever the guest names in the child's file system.
    Any(View),
    /// Nothing: the rule only refuses.
    Nothing,
}

impl Rule {
    /// Returns the plan for a request of this name that this rule lets pass, and
    /// the files that it starts. A second key decides for the directory that the
    /// first has `entered`.
    pub(in crate::grant) fn plan(
        &self,
        command: &Command,
        entered: Option<&WorkingDirectory>,
    ) -> Result<(Plan, Executable), SpawnError> {
        let cwd = match entered {
            Some(entered) => self.confirm(command.cwd.as_deref(), entered)?,
            None => self.enter(command.cwd.as_deref())?,
        };
        self.match_args(&command.args, &cwd.path)
            .map_err(|mismatch| self.denied_argument(command, &mismatch))?;
        let env = self
            .environment
            .decide(&command.env)
            .map_err(|name| Denial {
                nearest: Some(self.name.clone()),
                would_allow: suggestion::variable(name),
                ..Denial::new(
                    DeniedItem::Environment,
                    format!("{} is not allowed", suggestion::shown(name)),
                )
            })?;
        let (executable, named) = match &self.target {
            Target::File(executable) => (executable.current()?, None),
            Target::Any(view) => {
                let Found { executable, arg0 } = view.find(&command.program)?;
                (executable, Some(arg0))
            }
            Target::Nothing => {
                let reason = "a rule that refuses starts nothing";
                return Err(Denial::new(DeniedItem::Program, reason).into());
            }
        };
        let mut limits = self.limits.clone();
        if let Some(timeout) = command.timeout {
            limits.wall = limits.wall.min(timeout);
        }
        let program = executable.program().clone();
        let arg0 = self.arg0.clone().or(named);
        let mut argv = vec![arg0.unwrap_or_else(|| program.path.to_string_lossy().into_owned())];
        argv.extend(executable.leading());
        argv.extend(self.fixed.iter().chain(&command.args).cloned());
        let plan = Plan {
            name: self.name.clone(),
            request: command.request(),
            streams: Streams {
                stdin: command.stdin.clone(),
                stdout: command.stdout,
                stderr: command.stderr,
            },
            program,
            script: executable.script().cloned(),
            argv,
            env,
            cwd,
            limits,
            capture: self.capture,
            confinement: self.confinement.clone(),
            disclose_pid: self.disclose_pid,
        };
        Ok((plan, executable))
    }

    /// Matches arguments against the patterns, paths as seen from `cwd`.
    pub(in crate::grant) fn match_args(&self, args: &[String], cwd: &Path) -> Result<(), Mismatch> {
        matcher::matches(&self.args, args, |pattern, token| {
            self.accepts(pattern, token, cwd)
        })
    }

    fn accepts(&self, pattern: &Pattern, token: &str, cwd: &Path) -> bool {
        // What a refusing rule does not match, another rule may allow: it matches
        // options too.
        let plain = self.verdict == Verdict::Deny || !token.starts_with(['-', '@']);
        match &pattern.kind {
            Kind::Literal(text) => text == token,
            Kind::Any { dash } => *dash || plain,
            Kind::OneOf(texts) => texts.iter().any(|text| text == token),
            Kind::Int {
                least,
                most,
                prefix,
            } => token
                .strip_prefix(prefix.as_str())
                .and_then(|digits| Some((digits, digits.parse::<i64>().ok()?)))
                // One spelling for each number: no plus, no leading zeros.
                .is_some_and(|(digits, number)| {
                    (*least..=*most).contains(&number) && number.to_string() == digits
                }),
            Kind::Path(path) => token
                .strip_prefix(path.prefix.as_str())
                .is_some_and(|rest| {
                    let plain = self.verdict == Verdict::Deny || !rest.starts_with(['-', '@']);
                    plain && !rest.is_empty() && self.is_inside(rest, &path.real, cwd)
                }),
            Kind::Regex(_, regex) => regex.is_match(token),
        }
    }

    fn is_inside(&self, path: &str, under: &[PathBuf], cwd: &Path) -> bool {
        paths::resolve(cwd, Path::new(path)).is_ok_and(|real| {
            under.iter().any(|root| real.starts_with(root)) && !is_under(&real, &self.deny)
        })
    }

    /// Opens the directory in which the child starts.
    pub(in crate::grant) fn enter(
        &self,
        requested: Option<&str>,
    ) -> Result<WorkingDirectory, SpawnError> {
        let named = self.cwd.is_some();
        let path = match (&self.cwd, requested) {
            (None, None) => PathBuf::from("/"),
            (None, Some(path)) => {
                let reason = format!(
                    "{} is asked for and the grant sets no `cwd`",
                    suggestion::shown(path)
                );
                let path = Path::new(path);
                return Err(self
                    .denied_cwd(reason, Some(path).filter(|path| path.is_absolute()))
                    .into());
            }
            (Some(cwd), None) => cwd.default.real.clone(),
            (Some(cwd), Some(path)) => {
                let real = paths::resolve(&cwd.default.real, Path::new(path))
                    .map_err(|_| SpawnError::WorkingDirectoryNotFound)?;
                if !is_under(&real, &cwd.roots) || is_under(&real, &self.deny) {
                    let reason = format!(
                        "{} leads outside the roots of `cwd`",
                        suggestion::shown(path)
                    );
                    return Err(self.denied_cwd(reason, Some(&real)).into());
                }
                real
            }
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match paths::open_resolved(&path, flags) {
            Ok(dir) => Ok(WorkingDirectory {
                path,
                dir: Arc::new(dir),
                named,
            }),
            Err(errno) if paths::is_host_short(errno) => {
                Err(LaunchError::new(Stage::WorkingDirectory, errno.into()).into())
            }
            Err(_) => Err(SpawnError::WorkingDirectoryNotFound),
        }
    }

    /// Agrees to the directory that another key has opened for the same request.
    fn confirm(
        &self,
        requested: Option<&str>,
        entered: &WorkingDirectory,
    ) -> Result<WorkingDirectory, SpawnError> {
        let outside = match &self.cwd {
            Some(cwd) => !is_under(&entered.path, &cwd.roots),
            None => requested.is_some(),
        };
        if outside || is_under(&entered.path, &self.deny) {
            let reason = format!("{} is not in both keys' `cwd`", entered.path.display());
            return Err(self.denied_cwd(reason, Some(&entered.path)).into());
        }
        Ok(entered.clone())
    }

    fn denied_cwd(&self, reason: String, path: Option<&Path>) -> Denial {
        Denial {
            nearest: Some(self.name.clone()),
            would_allow: path.and_then(suggestion::working_directory),
            ..Denial::new(DeniedItem::WorkingDirectory, reason)
        }
    }

    fn denied_argument(&self, command: &Command, mismatch: &Mismatch) -> Denial {
        let reason = self.explain_mismatch(&command.args, mismatch);
        Denial {
            nearest: Some(self.name.clone()),
            would_allow: suggestion::arguments(&command.args),
            ..Denial::new(DeniedItem::Argument, reason)
        }
    }

    /// Returns the program's path as the grant names it; none for any program.
    pub(in crate::grant) fn program_path(&self) -> Option<&Path> {
        match &self.target {
            Target::File(executable) => Some(executable.path()),
            Target::Any(_) | Target::Nothing => None,
        }
    }

    /// Says which argument no pattern took, and what was expected there.
    pub(in crate::grant) fn explain_mismatch(
        &self,
        args: &[String],
        mismatch: &Mismatch,
    ) -> String {
        let tried: Vec<_> = mismatch
            .tried
            .iter()
            .map(|&number| self.args[number].to_string())
            .collect();
        let expected = match tried.is_empty() {
            true => "no further argument is allowed".to_owned(),
            false => format!("expected {}", tried.join(", or ")),
        };
        match args.get(mismatch.index) {
            Some(token) => {
                let token = suggestion::shown(token);
                format!("argument {} is {token}: {expected}", mismatch.index + 1)
            }
            None => format!("after {} arguments: {expected}", mismatch.index),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::*;
    use crate::grant::testing::{allowed, component, denied, echo, open_to_all, request};

    /// A folder with `work/a`, `work/sub`, `work/.git`, `work/out -> /etc`,
    /// `work/@x` and `other`.
    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().canonicalize().expect("it exists");
        for name in ["work", "work/sub", "work/.git", "other"] {
            fs::create_dir(path.join(name)).expect("an empty folder");
        }
        open_to_all(&path.join("work"));
        fs::write(path.join("work/a"), "").expect("the folder is ours");
        fs::write(path.join("work/@x"), "").expect("the folder is ours");
        symlink("/etc", path.join("work/out")).expect("the folder is ours");
        (folder, path)
    }

    /// A grant of `lines` with the folder's path for `$W`.
    fn grant(path: &Path, lines: &str) -> Arc<crate::grant::Grant> {
        component(&echo(lines).replace("$W", path.to_str().expect("it is UTF-8")))
    }

    const START: &str = r#"cwd = { default = "$W/work", roots = ["$W/work"] }"#;

    fn in_folder(folder: &str) -> Command {
        Command {
            cwd: Some(folder.to_owned()),
            ..request(&[])
        }
    }

    #[test]
    fn without_a_cwd_children_start_at_the_root_and_guests_cannot_choose() {
        let grant = component(&echo(""));
        assert_eq!(allowed(&grant, &request(&[])).cwd.path, Path::new("/"));
        let denial = denied(&grant, &in_folder("/"));
        assert_eq!(denial.item, DeniedItem::WorkingDirectory);
    }

    #[test]
    fn a_working_directory_must_lead_below_a_root() {
        let (_keep, path) = folder();
        let grant = grant(
            &path,
            &format!("{START}\nfs = {{ deny = [\"$W/work/.git\"] }}"),
        );
        assert_eq!(allowed(&grant, &request(&[])).cwd.path, path.join("work"));
        for inside in [
            "sub",
            ".",
            "sub/..",
            &path.join("work/sub").to_string_lossy(),
        ] {
            allowed(&grant, &in_folder(inside));
        }
        for outside in ["out", "..", "../other", "/", "sub/../../other", ".git"] {
            let denial = denied(&grant, &in_folder(outside));
            assert_eq!(denial.item, DeniedItem::WorkingDirectory, "{outside}");
        }
        for absent in ["no", "a"] {
            let result = grant.decide(&in_folder(absent));
            assert!(
                matches!(result, Err(SpawnError::WorkingDirectoryNotFound)),
                "{absent}"
            );
        }
    }

    #[test]
    fn a_folder_that_became_a_link_is_not_entered() {
        let (_keep, path) = folder();
        let grant = grant(&path, START);
        allowed(&grant, &request(&[]));
        fs::rename(path.join("work"), path.join("moved")).expect("the folder is ours");
        symlink("/etc", path.join("work")).expect("the folder is ours");
        let result = grant.decide(&request(&[]));
        assert!(
            matches!(result, Err(SpawnError::WorkingDirectoryNotFound)),
            "{result:?}"
        );
    }

    #[test]
    fn a_path_argument_must_lead_below_a_root() {
        let (_keep, path) = folder();
        let lines = format!(
            "{START}\nfs = {{ read = [\"$W/work\"], deny = [\"$W/work/.git\"] }}
             args = [{{ path = {{ under = [\"$W/work\"] }} }}]"
        );
        let grant = grant(&path, &lines);
        let absolute = path.join("work/a");
        for inside in [
            "a",
            "./a",
            "sub/../a",
            "sub/new/file",
            "./@x",
            &absolute.to_string_lossy(),
        ] {
            let plan = allowed(&grant, &request(&[inside]));
            assert_eq!(plan.argv[1], inside, "it is passed on unchanged");
        }
        for outside in [
            "out/passwd",
            "../other",
            "/etc/passwd",
            "",
            "-a",
            "@x",
            "new/../../a",
            "a/b",
            ".git/hooks/x",
        ] {
            assert_eq!(
                denied(&grant, &request(&[outside])).item,
                DeniedItem::Argument,
                "{outside}"
            );
        }
        // Relative to where this child starts.
        let elsewhere = Command {
            cwd: Some("sub".into()),
            ..request(&["../a"])
        };
        allowed(&grant, &elsewhere);
        denied(
            &grant,
            &Command {
                args: vec!["../../a".into()],
                ..elsewhere
            },
        );
    }

    #[test]
    fn a_path_may_have_a_prefix() {
        let (_keep, path) = folder();
        let lines = format!(
            "{START}\nfs = {{ write = [\"$W/work\"] }}
             args = [{{ path = {{ under = [\"$W/work\"], access = \"write\" }}, prefix = \"--out=\" }}]"
        );
        let grant = grant(&path, &lines);
        allowed(&grant, &request(&["--out=new"]));
        for outside in [
            "new",
            "--out=",
            "--out=../x",
            "--out=-x",
            "--out=/etc/passwd",
        ] {
            denied(&grant, &request(&[outside]));
        }
    }

    #[test]
    fn a_timeout_only_shortens() {
        let grant = component(&echo("limits = { wall = \"10s\" }"));
        let wall = |timeout| {
            let command = Command {
                timeout,
                ..request(&[])
            };
            allowed(&grant, &command).limits.wall
        };
        assert_eq!(wall(None), Duration::from_secs(10));
        assert_eq!(wall(Some(Duration::from_secs(1))), Duration::from_secs(1));
        assert_eq!(wall(Some(Duration::MAX)), Duration::from_secs(10));
    }

    #[test]
    fn the_vector_is_name_fixed_then_the_guests() {
        let grant = component(&echo("fixed = [\"--\"]\nargs = [\"*\"]\narg0 = \"e\""));
        assert_eq!(allowed(&grant, &request(&["x"])).argv, ["e", "--", "x"]);
        let plain = component(&echo(""));
        assert_eq!(allowed(&plain, &request(&[])).argv, ["/bin/echo"]);
    }

    #[test]
    fn a_variable_that_is_not_allowed_is_denied() {
        let grant = component(&echo("env = { allow = [\"A\"], set = { B = \"b\" } }"));
        let with = |name: &str| Command {
            env: vec![(name.into(), "x".into())],
            ..request(&[])
        };
        let env = allowed(&grant, &with("A")).env;
        for expected in [("A", "x"), ("B", "b"), ("LANG", "C.UTF-8")] {
            assert!(
                env.contains(&(expected.0.into(), expected.1.into())),
                "{expected:?}"
            );
        }
        let denial = denied(&grant, &with("B"));
        assert_eq!(denial.item, DeniedItem::Environment);
        assert_eq!(
            denial.would_allow.as_deref(),
            Some("env = { allow = [\"B\"] }")
        );
    }

    #[test]
    fn a_script_is_decided_to_its_interpreter() {
        use std::os::unix::fs::PermissionsExt;
        let (_keep, path) = folder();
        let script = path.join("other/tool");
        fs::write(&script, "#!/bin/sh -e\n").expect("the folder is ours");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let script = script.to_str().expect("it is UTF-8");
        let grant = component(&echo("args = [\"*\"]").replace("/bin/echo", script));
        let plan = allowed(&grant, &request(&["x"]));
        assert_eq!(plan.argv, ["/bin/sh", "-e", script, "x"]);
        assert_eq!(plan.program.path, Path::new("/bin/sh"));
    }
}

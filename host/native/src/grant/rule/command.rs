//! One command of a grant, compiled: its decision on a request.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::Arc;

use rustix::fs::OFlags;

use super::any_program::{ChildFs, Found};
use super::environment::Environment;
use super::executable::Executable;
use super::matcher::{self, Mismatch};
use super::settings::Cwd;
use super::stream_files;
use super::written::written;
use crate::command::Command;
use crate::confinement::{Confinement, FsRoot, FsRules, open_resolved};
use crate::error::{Denial, DeniedItem, SpawnError};
use crate::grant::check::covers;
use crate::grant::file::document::Effect;
use crate::grant::file::pattern::{Pattern, PatternKind};
use crate::grant::lookups::Lookups;
use crate::grant::paths::{self, is_under};
use crate::grant::suggestion;
use crate::launch::{Identity, LaunchError, Plan, Stage, StreamFiles, WorkingDirectory};
use crate::limits::{CaptureCaps, Limits};
use crate::streams::{Stdin, Streams};

/// A command with everything resolved that does not depend on the request.
#[derive(Debug)]
pub(in crate::grant) struct Rule {
    pub(in crate::grant) name: String,
    /// Line and column in the grant's text.
    pub(in crate::grant) place: Option<(usize, usize)>,
    pub(in crate::grant) effect: Effect,
    pub(in crate::grant) target: Target,
    /// `argv[0]`; if none, the program's path, or what the guest wrote for any program.
    pub(in crate::grant) arg0: Option<String>,
    /// The names that the guest may use as `argv[0]`; `*` at the end covers any rest.
    pub(in crate::grant) allow_arg0: Vec<String>,
    pub(in crate::grant) fixed: Vec<String>,
    pub(in crate::grant) args: Vec<Pattern>,
    pub(in crate::grant) environment: Environment,
    pub(in crate::grant) cwd: Option<Cwd>,
    /// The places on the ways to all roots of the rule. A guest's path may lead through them, and
    /// through the roots that it is allowed to name; it is refused at any other place, unseen.
    pub(in crate::grant) ways: BTreeSet<PathBuf>,
    pub(in crate::grant) deny: Vec<FsRoot>,
    pub(in crate::grant) limits: Limits,
    pub(in crate::grant) capture: CaptureCaps,
    /// With the program's files as they were when the grant was loaded.
    pub(in crate::grant) confinement: Arc<Confinement>,
    pub(in crate::grant) disclose_pid: bool,
    pub(in crate::grant) allows_stdin: bool,
    /// Whether the guest may connect standard streams with files below the roots.
    pub(in crate::grant) allows_redirect: bool,
    /// Whether arguments and values of variables need not be UTF-8.
    pub(in crate::grant) allows_bytes: bool,
    /// The user that children run as.
    pub(in crate::grant) identity: Identity,
}

/// What a rule starts.
#[derive(Debug)]
pub(in crate::grant) enum Target {
    /// One program, kept open.
    File(Executable),
    /// Any program that the guest names in the child's file system.
    Any(ChildFs),
    /// Nothing: the rule has `decision = "deny"`.
    Nothing,
}

impl Rule {
    /// Returns the plan for a request of this name, and the files that it starts. Of two
    /// intersected grants the second decides for the directory that the first has
    /// `entered`.
    ///
    /// # Errors
    ///
    /// Why the rule does not allow the request, or what the host lacks.
    pub(in crate::grant) fn plan(
        &self,
        command: &Command,
        entered: Option<&WorkingDirectory>,
        lookups: &Lookups,
    ) -> Result<(Plan, Executable), SpawnError> {
        let cwd = match entered {
            Some(entered) => self.confirm(command.cwd.as_deref(), entered, lookups)?,
            None => self.enter(command.cwd.as_deref(), lookups)?,
        };
        self.match_args(&command.args, &cwd.path, lookups)
            .map_err(|mismatch| self.denied_argument(command, &mismatch, &cwd.path, lookups))?;
        self.check_bytes(command)?;
        self.check_arg0(command.arg0.as_deref())?;
        let env = self
            .environment
            .decide(&command.env)
            .map_err(|name| self.denied_variable(name))?;
        if command.stdin != Stdin::Null && !self.allows_stdin {
            return Err(self.denied_stdin().into());
        }
        let streams = Streams {
            stdin: command.stdin.clone(),
            stdout: command.stdout.clone(),
            stderr: command.stderr.clone(),
        };
        let mut confinement = self.confinement.clone();
        let (executable, named) = match &self.target {
            Target::File(loaded) => {
                let executable = loaded.current()?;
                // A script is read by its path in the child's file system, so the replaced file must be in it.
                if !executable.is_same(loaded) {
                    let settings = self.confinement.as_ref().clone();
                    confinement = Arc::new(executable.readable_in(settings));
                }
                (executable, None)
            }
            Target::Any(view) => {
                let Found { executable, arg0 } = view.find(&command.program, lookups)?;
                (executable, Some(arg0))
            }
            Target::Nothing => {
                let reason = "a rule with decision = \"deny\" starts nothing";
                return Err(Denial::new(DeniedItem::Program, reason).into());
            }
        };
        let mut limits = self.limits.clone();
        if let Some(timeout) = command.timeout {
            limits.wall = limits.wall.min(timeout);
        }
        let program = executable.program().clone();
        let arg0 = command.arg0.clone().or(self.arg0.clone()).or(named);
        let arg0 = arg0.map_or_else(|| program.path.clone().into_os_string(), OsString::from);
        let mut argv = vec![arg0];
        argv.extend(executable.leading().map(OsString::from));
        argv.extend(self.fixed.iter().map(OsString::from));
        argv.extend(command.args.iter().cloned());
        let files = self.files(&streams, &cwd.path, &confinement.fs)?;
        let plan = Plan {
            name: self.name.clone(),
            request: command.request(),
            streams,
            files,
            program,
            script: executable.script().cloned(),
            argv,
            env,
            cwd,
            limits,
            capture: self.capture,
            confinement,
            disclose_pid: self.disclose_pid,
        };
        Ok((plan, executable))
    }

    /// Returns the files of the streams, which must lie below the roots in `fs`.
    pub(in crate::grant) fn files(
        &self,
        streams: &Streams,
        cwd: &Path,
        fs: &FsRules,
    ) -> Result<StreamFiles, Denial> {
        let files = stream_files::decide(streams, cwd, fs, self.identity);
        let denied = |would_allow: Option<String>, reason: String| Denial {
            nearest: Some(self.name.clone()),
            would_allow,
            ..Denial::new(DeniedItem::Stdio, reason)
        };
        let files = files.map_err(|refusal| denied(refusal.would_allow(), refusal.to_string()))?;
        if files != StreamFiles::default() && !self.allows_redirect {
            let reason = "the request names a file for a standard stream, and the command has redirect = false";
            return Err(denied(Some(suggestion::redirect()), reason.to_owned()));
        }
        Ok(files)
    }

    /// Refuses arguments and values that are not UTF-8, unless the rule allows them.
    fn check_bytes(&self, command: &Command) -> Result<(), Denial> {
        if self.allows_bytes {
            return Ok(());
        }
        let denied = |item, what: String| Denial {
            nearest: Some(self.name.clone()),
            would_allow: Some(suggestion::bytes()),
            ..Denial::new(item, format!("{what} is not UTF-8"))
        };
        let is_raw = |text: &OsString| text.to_str().is_none();
        if let Some(place) = command.args.iter().position(is_raw) {
            let what = format!("argument {}", place + 1);
            return Err(denied(DeniedItem::Argument, what));
        }
        match command.env.iter().find(|(_, value)| is_raw(value)) {
            Some((name, _)) => {
                let what = format!("the value of variable {}", suggestion::escaped(name));
                Err(denied(DeniedItem::Environment, what))
            }
            None => Ok(()),
        }
    }

    /// Refuses an `argv[0]` that the rule does not list.
    fn check_arg0(&self, arg0: Option<&str>) -> Result<(), Denial> {
        let Some(arg0) = arg0 else { return Ok(()) };
        if self.allow_arg0.iter().any(|allowed| covers(allowed, arg0)) {
            return Ok(());
        }
        let reason = format!("argv[0] {} is not allowed", suggestion::escaped(arg0));
        Err(Denial {
            nearest: Some(self.name.clone()),
            would_allow: suggestion::arg0(arg0),
            ..Denial::new(DeniedItem::Argument, reason)
        })
    }

    /// Matches arguments against the patterns; relative paths are relative to `cwd`.
    pub(in crate::grant) fn match_args(
        &self,
        args: &[OsString],
        cwd: &Path,
        lookups: &Lookups,
    ) -> Result<(), Mismatch> {
        matcher::matches(&self.args, args, |pattern, token| {
            self.accepts(pattern, token, cwd, lookups)
        })
    }

    fn accepts(&self, pattern: &Pattern, token: &OsStr, cwd: &Path, lookups: &Lookups) -> bool {
        // A rule that refuses matches options too: what it does not match, another rule may
        // allow.
        let plain = |token: &OsStr| {
            self.effect == Effect::Deny || !matches!(token.as_bytes(), [b'-' | b'@', ..])
        };
        match &pattern.kind {
            PatternKind::Literal(text) => token == text.as_str(),
            PatternKind::Any { dash } => *dash || plain(token),
            PatternKind::OneOf(texts) => texts.iter().any(|text| token == text.as_str()),
            PatternKind::Int { min, max, prefix } => token
                .to_str()
                .and_then(|token| token.strip_prefix(prefix.as_str()))
                .and_then(|digits| Some((digits, digits.parse::<i64>().ok()?)))
                // Each number has one spelling: without plus and leading zeros.
                .is_some_and(|(digits, number)| {
                    (*min..=*max).contains(&number) && number.to_string() == digits
                }),
            PatternKind::Path(path) => {
                let rest = token.as_bytes().strip_prefix(path.prefix.as_bytes());
                rest.map(OsStr::from_bytes).is_some_and(|rest| {
                    plain(rest)
                        && !rest.is_empty()
                        && self.is_inside(rest, &path.real, cwd, lookups)
                })
            }
            // An expression says nothing about what is not text: it allows none of it, and
            // refuses all of it.
            PatternKind::Regex(pattern) => match token.to_str() {
                Some(text) => (pattern.dash || plain(token)) && pattern.regex.is_match(text),
                None => self.effect == Effect::Deny,
            },
        }
    }

    /// Returns whether a path leads below one of `under`, and finds it out once for each decision.
    fn is_inside(&self, path: &OsStr, under: &[PathBuf], cwd: &Path, lookups: &Lookups) -> bool {
        let about = (ptr::from_ref(self).addr(), cwd.to_owned(), under.to_vec());
        lookups.once(about, path, || self.leads_inside(path, under, cwd, lookups))
    }

    /// Returns whether a path leads below one of `under`. For a rule that allows, every place on it
    /// lies there too, or on the way there: the answer for any other path depends on nothing that
    /// the host can see and the guest cannot, and the path is not looked up further.
    fn leads_inside(&self, path: &OsStr, under: &[PathBuf], cwd: &Path, lookups: &Lookups) -> bool {
        let path = cwd.join(path);
        let is_below = |real: &Path| under.iter().any(|root| real.starts_with(root));
        let real = match self.effect {
            // What such a rule does not match, another may allow: the path is followed wherever it
            // leads, and one that cannot be followed counts as it is written.
            Effect::Deny if is_below(&paths::without_links(&path)) => return true,
            Effect::Deny => lookups.resolve(cwd, &path),
            Effect::Allow | Effect::Ask => {
                lookups.resolve_within(&path, |place| self.may_pass(place, is_below(place), cwd))
            }
        };
        real.is_ok_and(|real| is_below(&real) && !lookups.is_denied(&real, &self.deny))
    }

    /// Returns whether a guest's path may lead through `place`: it lies in a root that the guest is
    /// allowed to name, or on the way to one or to the directory `cwd`, and it is not denied.
    fn may_pass(&self, place: &Path, is_in_root: bool, cwd: &Path) -> bool {
        let is_shown = is_in_root || cwd.starts_with(place) || self.ways.contains(place);
        let hides = |it: &FsRoot| place.starts_with(&it.real) || place.starts_with(&it.written);
        is_shown && !self.deny.iter().any(hides)
    }

    /// Opens the directory in which the child starts: the requested one if it is allowed.
    pub(in crate::grant) fn enter(
        &self,
        requested: Option<&str>,
        lookups: &Lookups,
    ) -> Result<WorkingDirectory, SpawnError> {
        let named = self.cwd.is_some();
        let path = match (&self.cwd, requested) {
            (None, None) => PathBuf::from("/"),
            (None, Some(path)) => {
                let reason = format!(
                    "{} is requested, but the command has no `cwd`",
                    suggestion::escaped(path)
                );
                let path = Path::new(path);
                return Err(self
                    .denied_cwd(reason, Some(path).filter(|path| path.is_absolute()))
                    .into());
            }
            (Some(cwd), None) => cwd.default.real.clone(),
            (Some(cwd), Some(path)) => {
                let mut left = false;
                let joined = cwd.default.real.join(path);
                let found = lookups.resolve_within(&joined, |place| {
                    let is_in_root = is_under(place, &cwd.roots);
                    left = !self.may_pass(place, is_in_root, &cwd.default.real);
                    !left
                });
                let may =
                    |at: &Path| is_under(at, &cwd.roots) && !lookups.is_denied(at, &self.deny);
                match found {
                    Ok(real) if may(&real) => real,
                    Err(_) if !left => return Err(SpawnError::WorkingDirectoryNotFound),
                    _ => {
                        let reason = format!(
                            "{} leads outside `cwd.roots`, or into `fs.deny`",
                            suggestion::escaped(path)
                        );
                        let written = paths::without_links(&joined);
                        return Err(self.denied_cwd(reason, Some(&written)).into());
                    }
                }
            }
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match open_resolved(&path, flags) {
            Ok(dir) => Ok(WorkingDirectory {
                path,
                dir: Arc::new(dir),
                named,
            }),
            Err(errno) if paths::is_host_exhausted(errno) => {
                Err(LaunchError::new(Stage::WorkingDirectory, errno.into()).into())
            }
            Err(_) => Err(SpawnError::WorkingDirectoryNotFound),
        }
    }

    /// Checks the directory that the first of two grants has opened for the same request.
    fn confirm(
        &self,
        requested: Option<&str>,
        entered: &WorkingDirectory,
        lookups: &Lookups,
    ) -> Result<WorkingDirectory, SpawnError> {
        let outside = match &self.cwd {
            Some(cwd) => !is_under(&entered.path, &cwd.roots),
            None => requested.is_some(),
        };
        if outside || lookups.is_denied(&entered.path, &self.deny) {
            let reason = format!(
                "{} is not in the `cwd.roots` of both grants",
                suggestion::escaped(&entered.path.to_string_lossy())
            );
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

    fn denied_variable(&self, name: &str) -> Denial {
        let mut reason = format!("variable {} is not allowed", suggestion::escaped(name));
        if let Some(danger) = self.environment.danger(name) {
            reason += &format!(": {danger}, and `env.allow` needs its full name");
        }
        Denial {
            nearest: Some(self.name.clone()),
            would_allow: suggestion::variable(name),
            ..Denial::new(DeniedItem::Environment, reason)
        }
    }

    fn denied_stdin(&self) -> Denial {
        Denial {
            nearest: Some(self.name.clone()),
            would_allow: Some(suggestion::stdin()),
            ..Denial::new(
                DeniedItem::Stdio,
                "the request provides standard input, and the command has stdin = false",
            )
        }
    }

    fn denied_argument(
        &self,
        command: &Command,
        mismatch: &Mismatch,
        cwd: &Path,
        lookups: &Lookups,
    ) -> Denial {
        let reason = self.explain_mismatch(&command.args, mismatch);
        Denial {
            nearest: Some(self.name.clone()),
            would_allow: suggestion::with_alternative(
                suggestion::arguments(&command.args),
                self.with_dashes(&command.args, mismatch, cwd, lookups),
            ),
            ..Denial::new(DeniedItem::Argument, reason)
        }
    }

    /// Returns the rule's patterns with `allow-dash` where that is needed to allow the arguments.
    fn with_dashes(
        &self,
        args: &[OsString],
        mismatch: &Mismatch,
        cwd: &Path,
        lookups: &Lookups,
    ) -> Option<String> {
        let mut patterns = self.args.clone();
        let mut mismatch = mismatch.clone();
        // Each turn changes one pattern.
        for _ in 0..self.args.len() {
            if !matches!(args.get(mismatch.index)?.as_bytes(), [b'-' | b'@', ..]) {
                return None;
            }
            let mut tried = mismatch.tried.iter();
            let (number, changed) =
                tried.find_map(|&number| Some((number, patterns[number].with_dash()?)))?;
            patterns[number] = changed;
            let accepts = |pattern: &_, token: &_| self.accepts(pattern, token, cwd, lookups);
            match matcher::matches(&patterns, args, accepts) {
                Ok(()) => return suggestion::patterns(patterns.iter().map(written)),
                Err(next) => mismatch = next,
            }
        }
        None
    }

    /// Returns the program's path as the grant names it; none for any program, and for a
    /// rule that only refuses.
    pub(in crate::grant) fn program_path(&self) -> Option<&Path> {
        match &self.target {
            Target::File(executable) => Some(executable.path()),
            Target::Any(_) | Target::Nothing => None,
        }
    }

    /// Returns the files that the rule starts: the program, or a script and its interpreter. None for
    /// any program.
    pub(in crate::grant) fn program_files(&self) -> impl Iterator<Item = &PathBuf> {
        let executable = match &self.target {
            Target::File(executable) => Some(executable),
            Target::Any(_) | Target::Nothing => None,
        };
        executable.into_iter().flat_map(Executable::paths)
    }

    /// Returns which argument no pattern takes, and what was expected there.
    pub(in crate::grant) fn explain_mismatch(
        &self,
        args: &[OsString],
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
                let token = suggestion::escaped_os(token);
                format!("argument {} is {token}: {expected}", mismatch.index + 1)
            }
            None => format!("after {} arguments: {expected}", mismatch.index),
        }
    }
}

#[cfg(test)]
mod tests;

//! What one component may do: a [`Grant`], and its decision on a request.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::replaceable::replaceable_below;
use super::decision::{Decision, Passed};
use super::file::document::Effect;
use super::file::nearest::nearest;
use super::lookups::Lookups;
use super::quotas::{Detach, Quotas};
use super::rule::command::Rule;
use super::rule::compile::CompiledSection;
use super::{intersect, suggestion};
use crate::command::Command;
use crate::confinement::{Confinement, FsRoot};
use crate::error::{Denial, DeniedItem, SpawnError};
use crate::launch::WorkingDirectory;
use crate::limits::{CaptureCaps, Limits};

/// What one component may do: nothing that no rule allows.
#[derive(Debug, Clone)]
pub struct Grant {
    component: String,
    quotas: Quotas,
    detach: Detach,
    rules: Vec<Arc<Rule>>,
    /// Further grants, each of which must allow a request too.
    intersected: Vec<Arc<Grant>>,
    warnings: Vec<String>,
}

/// One command of a grant, for display.
#[derive(Debug, Clone)]
pub struct CommandSummary {
    /// The name by which the guest requests the command.
    pub name: String,
    /// Line and column in the grant's text.
    pub place: Option<(usize, usize)>,
    /// The program, as the grant names it; none for any program, or for a command
    /// that is always refused.
    pub program: Option<PathBuf>,
    /// The arguments that come before the guest's.
    pub fixed: Vec<String>,
    /// What the guest's arguments must be, one fragment for each pattern.
    pub args: Vec<String>,
    /// `allow`, `ask` or `deny`.
    pub decision: &'static str,
    /// The names that the guest may use as `argv[0]`; `*` at the end covers any rest.
    pub allow_arg0: Vec<String>,
    /// Whether the guest may provide standard input.
    pub stdin: bool,
    /// Whether the guest may connect standard streams with files below the roots.
    pub redirect: bool,
    /// Whether arguments and values of variables need not be UTF-8.
    pub allow_bytes: bool,
    /// Whether the guest may see the process ids of its children.
    pub disclose_pid: bool,
    /// What the child is confined to.
    pub confinement: Arc<Confinement>,
    /// The limits of a child.
    pub limits: Limits,
    /// How much of a child's output is kept.
    pub capture: CaptureCaps,
    /// Where a child starts; none for a private `/tmp` in tier A, otherwise `/`.
    pub cwd: Option<PathBuf>,
    /// Below which directories the guest may choose where a child starts.
    pub cwd_roots: Vec<PathBuf>,
    /// The names of the variables of every child.
    pub env: Vec<String>,
    /// The names of the variables that the guest may set; `*` at the end covers any rest.
    pub allow_env: Vec<String>,
}

impl Grant {
    /// Returns the grant that allows nothing.
    pub fn deny_all(component: &str) -> Arc<Self> {
        Arc::new(Self::new(CompiledSection::empty(component)))
    }

    /// Returns the grant of a compiled section.
    pub(super) fn new(section: CompiledSection) -> Self {
        Self {
            component: section.name,
            quotas: section.quotas,
            detach: section.detach,
            rules: section.rules,
            intersected: Vec::new(),
            warnings: section.warnings,
        }
    }

    /// Returns the name that the host gives the component.
    pub fn component(&self) -> &str {
        &self.component
    }

    /// Returns how many children the component may have.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Returns whether and how long children may outlive their guest.
    pub fn detach(&self) -> Detach {
        self.detach
    }

    /// Returns the commands in the order of the file, for display. A grant that this
    /// one was intersected with is not taken into account.
    pub fn commands(&self) -> impl Iterator<Item = CommandSummary> {
        self.rules.iter().map(|rule| CommandSummary {
            name: rule.name.clone(),
            place: rule.place,
            program: rule.program_path().map(Path::to_owned),
            fixed: rule.fixed.clone(),
            args: rule.args.iter().map(ToString::to_string).collect(),
            decision: rule.effect.name(),
            allow_arg0: rule.allow_arg0.clone(),
            stdin: rule.allows_stdin,
            redirect: rule.allows_redirect,
            allow_bytes: rule.allows_bytes,
            disclose_pid: rule.disclose_pid,
            confinement: rule.confinement.clone(),
            limits: rule.limits.clone(),
            capture: rule.capture,
            cwd: rule.cwd.as_ref().map(|cwd| cwd.default.written.clone()),
            cwd_roots: written(rule.cwd.as_ref().map(|cwd| cwd.roots.as_slice())),
            env: rule.environment.names().map(str::to_owned).collect(),
            allow_env: rule.environment.allowed().map(str::to_owned).collect(),
        })
    }

    /// Returns the warnings for the operator, one line each: settings that are valid
    /// and have a surprising effect, such as a command without a sandbox, or a read
    /// root that the children's user cannot read.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns a program of this grant that who may write everything below `folder` could replace; none if there is
    /// none. An embedder that lets the guest itself write a directory checks it: a guest that replaces
    /// a program has escaped the rules of its command, and commands of other guests run what it wrote.
    ///
    /// # Errors
    ///
    /// `folder`, or the path of a program, cannot be resolved.
    pub fn program_below(&self, folder: &Path) -> io::Result<Option<PathBuf>> {
        let root = FsRoot::resolve(std::path::absolute(folder)?)?;
        for path in self.rules.iter().flat_map(|rule| rule.program_files()) {
            if replaceable_below(path, &root)? {
                return Ok(Some(path.to_owned()));
            }
        }
        for other in &self.intersected {
            if let Some(path) = other.program_below(folder)? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Returns the grant that allows what both this one and `other` allow, with the
    /// stricter limit of each kind.
    ///
    /// This one is the operator's, `other` for example the component's own manifest.
    /// Program, arguments, environment and starting directory come from this one;
    /// `other` can only narrow.
    #[must_use]
    pub fn intersect(&self, other: &Arc<Self>) -> Arc<Self> {
        let mut both = self.clone();
        both.quotas = self.quotas.stricter(other.quotas);
        both.detach = self.detach.stricter(other.detach);
        both.intersected.push(other.clone());
        Arc::new(both)
    }

    /// Decides on one request, from the request and the file system alone.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use capspawn_native::grant::{Decision, Grants};
    /// use capspawn_native::{Command, DeniedItem, SpawnError};
    ///
    /// let text = r#"
    ///     version = 1
    ///     [[component.report.command]]
    ///     name = "list"
    ///     program = "/bin/ls"
    ///     args = ["-l", { one-of = ["/usr", "/etc"] }]
    /// "#;
    /// let grant = Grants::from_toml_str(text, Path::new("/"))?.component("report");
    ///
    /// let allowed = grant.decide(&Command::new("list").args(["-l", "/usr"]))?;
    /// let Decision::Allow(plan) = allowed else { panic!("it does not need approval") };
    /// assert_eq!(plan.argv, ["/bin/ls", "-l", "/usr"]);
    ///
    /// let Err(SpawnError::Denied(denial)) = grant.decide(&Command::new("list").arg("-R")) else {
    ///     panic!("no pattern matches -R")
    /// };
    /// assert_eq!(denial.item, DeniedItem::Argument);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Whatever [`Command::validate`] refuses.
    /// - [`SpawnError::Denied`]: no rule allows the request, or a rule refuses it.
    /// - [`SpawnError::WorkingDirectoryNotFound`]: the working directory does not exist
    ///   or is not a directory.
    /// - [`SpawnError::Shortage`]: the host lacks the descriptors, the memory or the time to
    ///   look at the files.
    /// - [`SpawnError::TooManyLookups`]: the request names too many paths.
    /// - [`SpawnError::NotExecutable`]: the program's file has changed, and what its path
    ///   names now is not executable or has another hash. For a program that the guest
    ///   names: the file is not executable.
    /// - [`SpawnError::NoEntry`]: the program's path no longer names a file. For a program
    ///   that the guest names: there is no such file in the child's file system. A path
    ///   outside of it is denied whether or not it exists.
    pub fn decide(&self, command: &Command) -> Result<Decision, SpawnError> {
        self.pass(command).map(Decision::from)
    }

    /// Decides on a request that [`Command::validate`] has passed, as often as needed: the
    /// file system may change in between, the request does not.
    ///
    /// # Errors
    ///
    /// As [`Grant::decide`].
    pub(crate) fn decide_valid(&self, command: &Command) -> Result<Decision, SpawnError> {
        self.pass_valid(command).map(Decision::from)
    }

    /// Returns the same grant under the name that the host gives the component.
    pub(super) fn renamed(&self, component: &str) -> Self {
        Self {
            component: component.to_owned(),
            ..self.clone()
        }
    }

    /// Decides, and keeps which rule decided.
    pub(super) fn pass(&self, command: &Command) -> Result<Passed, SpawnError> {
        command.validate()?;
        self.pass_valid(command)
    }

    fn pass_valid(&self, command: &Command) -> Result<Passed, SpawnError> {
        let lookups = Lookups::new();
        lookups.finish(self.pass_in(command, None, &lookups))
    }

    fn pass_in(
        &self,
        command: &Command,
        entered: Option<&WorkingDirectory>,
        lookups: &Lookups,
    ) -> Result<Passed, SpawnError> {
        let mut passed = self.strictest(command, entered, lookups)?;
        for other in &self.intersected {
            let theirs = other.pass_in(command, Some(&passed.plan.cwd), lookups)?;
            intersect::narrow(&mut passed, &theirs)?;
        }
        if !self.intersected.is_empty() {
            // The roots may be narrower than those for which the rule decided.
            let plan = &mut passed.plan;
            let fs = &plan.confinement.fs;
            plan.files = passed.rule.files(&plan.streams, &plan.cwd.path, fs)?;
        }
        Ok(passed)
    }

    /// Decides by this grant's own rules. Of several rules that match, `deny` wins over
    /// `ask`, and `ask` over `allow`.
    fn strictest(
        &self,
        command: &Command,
        entered: Option<&WorkingDirectory>,
        lookups: &Lookups,
    ) -> Result<Passed, SpawnError> {
        let mut refusal: Option<SpawnError> = None;
        let mut found: Option<Passed> = None;
        for rule in self.named(&command.program) {
            let needs_approval = match rule.effect {
                Effect::Allow => false,
                Effect::Ask => true,
                Effect::Deny => continue,
            };
            if let Some(found) = &found
                && (found.needs_approval || !needs_approval)
            {
                continue;
            }
            match rule.plan(command, entered, lookups) {
                Ok((plan, executable)) => {
                    found = Some(Passed {
                        rule: rule.clone(),
                        needs_approval,
                        allows_stdin: rule.allows_stdin,
                        plan: Box::new(plan),
                        executable,
                    });
                }
                Err(error) => refusal = Some(nearer(refusal, error)),
            }
        }
        let Some(found) = found else {
            return Err(refusal.unwrap_or_else(|| self.unknown(command).into()));
        };
        // A rule that refuses resolves paths from the directory that the child would start in.
        let refuses = |rule: &&Arc<Rule>| {
            rule.effect == Effect::Deny
                && rule
                    .match_args(&command.args, &found.plan.cwd.path, lookups)
                    .is_ok()
        };
        match self.named(&command.program).find(refuses) {
            Some(rule) => Err(Denial {
                nearest: Some(rule.name.clone()),
                ..Denial::new(
                    DeniedItem::Argument,
                    "a rule with decision = \"deny\" matches",
                )
            }
            .into()),
            None => Ok(found),
        }
    }

    /// Returns the rules in the order of the file.
    pub(in crate::grant) fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.iter()
    }

    /// Returns the rules of a name; if there are none, the rules of any program.
    fn named(&self, name: &str) -> impl Iterator<Item = &Arc<Rule>> {
        let known = self.rules.iter().any(|rule| rule.name == name);
        let name = if known { name } else { "*" };
        self.rules.iter().filter(move |rule| rule.name == name)
    }

    /// Returns the refusal of a name that no rule has.
    fn unknown(&self, command: &Command) -> Denial {
        let names = self.rules.iter().map(|rule| rule.name.as_str());
        let name = suggestion::escaped(&command.program);
        let component = suggestion::escaped(&self.component);
        let reason = format!("component {component} has no command {name}");
        Denial {
            nearest: nearest(&command.program, names).map(str::to_owned),
            would_allow: suggestion::command(&self.component, command),
            ..Denial::new(DeniedItem::Program, reason)
        }
    }
}

/// Returns roots as the grant writes them.
fn written(roots: Option<&[FsRoot]>) -> Vec<PathBuf> {
    let roots = roots.unwrap_or_default().iter();
    roots.map(|root| root.written.clone()).collect()
}

/// Returns the more useful of two refusals by rules of one name: the one that was found
/// later in the order working directory, arguments, everything else.
fn nearer(earlier: Option<SpawnError>, error: SpawnError) -> SpawnError {
    fn distance(error: &SpawnError) -> u8 {
        match error {
            SpawnError::WorkingDirectoryNotFound => 1,
            SpawnError::Denied(denial) => match denial.item {
                DeniedItem::WorkingDirectory => 1,
                DeniedItem::Argument => 2,
                _ => 3,
            },
            _ => 4,
        }
    }
    match earlier {
        Some(earlier) if distance(&earlier) >= distance(&error) => earlier,
        _ => error,
    }
}

#[cfg(test)]
mod tests;

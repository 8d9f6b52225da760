//! From a document to rules: roots are resolved, programs opened, examples tried.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::any_program::ChildFs;
use super::command::{Rule, Target};
use super::environment::Environment;
use super::executable::{Executable, MissingProgram, ProgramPolicy};
use super::root_check::RootCheck;
use super::settings::{Cwd, Settings};
use super::warnings;
use crate::confinement::{Confinement, FsRoot, Sandbox};
use crate::grant::check::cannot_run::{self, Started};
use crate::grant::check::interpreter::{acts_as, interpreter, may_act_as};
use crate::grant::check::replaceable::Children;
use crate::grant::check::{denied, planted, reachable};
use crate::grant::file::diagnostics::Diagnostics;
use crate::grant::file::document::{CommandEntry, Document, Effect, Section, parse_sha256};
use crate::grant::file::pattern::{Pattern, PatternKind};
use crate::grant::lookups::Lookups;
use crate::grant::paths::{is_under, root, ways};
use crate::grant::quotas::{Detach, Quotas};
use crate::launch::Identity;

/// One component's section, compiled.
#[derive(Debug)]
pub(in crate::grant) struct CompiledSection {
    pub(in crate::grant) name: String,
    pub(in crate::grant) quotas: Quotas,
    pub(in crate::grant) detach: Detach,
    pub(in crate::grant) rules: Vec<Arc<Rule>>,
    /// Valid settings with surprising effects, for the operator.
    pub(in crate::grant) warnings: Vec<String>,
}

impl CompiledSection {
    /// Returns a section without commands.
    pub(in crate::grant) fn empty(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            quotas: Quotas::default(),
            detach: Detach::default(),
            rules: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// Compiles every section for children that run as `identity`, and reports every
/// mistake.
pub(in crate::grant) fn compile(
    document: &Document,
    base: &Path,
    identity: Identity,
    missing: MissingProgram,
    out: &mut Diagnostics<'_>,
) -> Vec<CompiledSection> {
    let defaults = Settings::defaults(&document.defaults, base, out);
    // All settings come first: no program may lie below a write root of any component.
    let mut write = defaults.write.clone();
    let mut sections = Vec::new();
    for section in &document.sections {
        let settings = defaults.with(&section.layer, base, out);
        write.extend(settings.write.iter().cloned());
        let mut commands = Vec::new();
        for entry in &section.commands {
            let settings = settings.with(&entry.layer, base, out);
            write.extend(settings.write.iter().cloned());
            commands.push((entry, settings));
        }
        sections.push((section, commands));
    }
    // Each once, although the settings of the defaults are in force for many commands.
    let mut faults = BTreeSet::new();
    let mut hiding = BTreeSet::new();
    for (section, commands) in &sections {
        let confined = |(entry, settings): &&(&CommandEntry, Settings)| {
            settings.sandbox != Sandbox::None && entry.effect != Effect::Deny
        };
        for (entry, settings) in commands.iter().filter(confined) {
            let layers = [&document.defaults, &section.layer, &entry.layer];
            faults.extend(layers.into_iter().flat_map(|layer| {
                let check = RootCheck {
                    base,
                    identity,
                    settings,
                    write: &write,
                };
                check.faults(layer)
            }));
            let roots = || settings.read.iter().chain(&settings.write);
            let holes = settings
                .deny
                .iter()
                .filter(|it| is_under(&it.real, roots()));
            hiding.extend(holes.map(|denied| denied.written.clone()));
        }
    }
    for (at, reason) in faults {
        out.push(at, reason);
    }
    let mut compiler = Compiler {
        base,
        identity,
        missing,
        write: write.into(),
        hiding,
        out,
    };
    sections
        .into_iter()
        .map(|(section, commands)| compiler.section(section, commands))
        .collect()
}

/// What the compilation of every command needs.
struct Compiler<'c, 'o> {
    base: &'c Path,
    identity: Identity,
    missing: MissingProgram,
    /// The write roots of all components.
    write: Arc<[FsRoot]>,
    /// The denied paths, as written, that lie in a root of some command.
    hiding: BTreeSet<PathBuf>,
    out: &'c mut Diagnostics<'o>,
}

impl Compiler<'_, '_> {
    fn section(
        &mut self,
        section: &Section,
        commands: Vec<(&CommandEntry, Settings)>,
    ) -> CompiledSection {
        let mut compiled = CompiledSection {
            quotas: section.quotas,
            detach: section.detach,
            ..CompiledSection::empty(&section.name)
        };
        for (entry, settings) in commands {
            let rule = self.command(entry, &settings, &mut compiled.warnings);
            compiled.rules.extend(rule.map(Arc::new));
        }
        warn_of_any_program(&mut compiled);
        compiled
    }

    fn command(
        &mut self,
        entry: &CommandEntry,
        settings: &Settings,
        warnings: &mut Vec<String>,
    ) -> Option<Rule> {
        let mut args = entry.args.clone();
        for pattern in &mut args {
            self.path_roots(pattern, settings);
        }
        let environment = Environment::new(settings);
        let target = self.target(entry, settings, environment.path())?;
        warnings::of_sandbox(entry, settings, &target, &environment, warnings);
        warnings.extend(warnings::of_arguments(entry));
        warnings.extend(warnings::of_variables(entry, settings));
        self.warn_of_unreadable_roots(settings, warnings);
        self.warn_of_denied(settings, warnings);
        warnings::of_write_roots(settings, warnings);
        let confinement = Arc::new(confinement(settings, &target));
        warnings::of_unlisted(&entry.name, &target, &confinement, warnings);
        if let Target::File(executable) = &target {
            let started = Started {
                name: &entry.name,
                files: executable.paths().collect(),
                directories: settings.cwd.iter().flat_map(Cwd::directories).collect(),
                confinement: &confinement,
                path: environment.has_own_path().then(|| environment.path()),
                identity: self.identity,
            };
            warnings::add_new(cannot_run::faults(&started), warnings);
        }
        if entry.effect != Effect::Deny {
            warnings::of_unwise(&entry.name, settings, &confinement, warnings);
        }
        let rule = Rule {
            name: entry.name.clone(),
            place: self.out.place(entry.at),
            effect: entry.effect,
            target,
            arg0: entry.arg0.clone(),
            allow_arg0: allow_arg0(entry, self.out),
            fixed: entry.fixed.clone(),
            args,
            environment,
            cwd: settings.cwd.clone(),
            ways: self.ways(entry, settings),
            deny: settings.deny.clone(),
            limits: settings.limits.clone(),
            capture: settings.capture,
            confinement,
            disclose_pid: settings.disclose_pid,
            allows_stdin: settings.stdin,
            allows_redirect: settings.redirect,
            allows_bytes: settings.allow_bytes,
            identity: self.identity,
        };
        self.examples(entry, &rule, settings.default_cwd());
        Some(rule)
    }

    /// Returns the places on the ways to all roots of a command, those of its patterns included.
    fn ways(&self, entry: &CommandEntry, settings: &Settings) -> BTreeSet<PathBuf> {
        let of_patterns = entry.args.iter().filter_map(|pattern| match &pattern.kind {
            PatternKind::Path(path) => Some(&path.under),
            _ => None,
        });
        let of_patterns = of_patterns.flatten();
        let named: Vec<_> = of_patterns
            .filter_map(|text| root(self.base, &text.value).ok())
            .collect();
        let cwd = settings.cwd.iter();
        let cwd = cwd.flat_map(|cwd| cwd.roots.iter().chain([&cwd.default]));
        let shown = settings.read.iter().chain(&settings.write);
        ways(shown.chain(cwd).chain(&named))
    }

    /// Resolves the roots of a path pattern, which must lie below the sandbox's roots.
    fn path_roots(&mut self, pattern: &mut Pattern, settings: &Settings) {
        let PatternKind::Path(path) = &mut pattern.kind else {
            return;
        };
        for text in &path.under {
            let root = match root(self.base, &text.value) {
                Ok(root) => root,
                Err(error) => {
                    self.out.push(text.at, format!("{}: {error}", text.value));
                    continue;
                }
            };
            if let Some(reason) = planted::leads_out(&root, &self.write) {
                self.out.push(text.at, reason);
            }
            let readable = !path.write && is_under(&root.real, &settings.read);
            if !readable && !is_under(&root.real, &settings.write) {
                let verb = if path.write { "write" } else { "read" };
                let message = format!(
                    "{:?} is not inside fs.{verb}: children could not {verb} it",
                    text.value
                );
                self.out.push(text.at, message);
            }
            path.real.push(root.real);
        }
    }

    /// Warns of each read root that the user that children run as cannot use.
    fn warn_of_unreadable_roots(&self, settings: &Settings, warnings: &mut Vec<String>) {
        if settings.sandbox == Sandbox::None {
            return;
        }
        for root in &settings.read {
            let line = reachable::unreadable(root, self.identity);
            if let Some(line) = line.filter(|line| !warnings.contains(line)) {
                warnings.push(line);
            }
        }
    }

    /// Warns of each denied path that hides nothing.
    fn warn_of_denied(&self, settings: &Settings, warnings: &mut Vec<String>) {
        if settings.sandbox == Sandbox::None {
            return;
        }
        for denied in &settings.deny {
            let shown = denied.written.display();
            let line = if denied.real.symlink_metadata().is_err() {
                format!(
                    "fs.deny {shown} does not exist: check the spelling. It is hidden once it appears"
                )
            } else if !self.hiding.contains(&denied.written) && !denied.real.starts_with("/proc") {
                format!("fs.deny {shown} hides nothing: it lies in no fs.read or fs.write")
            } else {
                continue;
            };
            if !warnings.contains(&line) {
                warnings.push(line);
            }
        }
    }

    /// Opens what a command starts, unless the command is always refused.
    fn target(
        &mut self,
        entry: &CommandEntry,
        settings: &Settings,
        search: &str,
    ) -> Option<Target> {
        let at = entry.program.at;
        let path = Path::new(&entry.program.value);
        if entry.is_any_program() || entry.name == "*" {
            if !entry.is_any_program() || entry.name != "*" {
                self.out.push(
                    at,
                    "`name = \"*\"` and `program = \"*\"` must be used together",
                );
            }
            if settings.sandbox != Sandbox::Required {
                self.out
                    .push(at, "`program = \"*\"` needs `sandbox = \"required\"`");
            }
            if let Some(pin) = &entry.sha256 {
                self.out
                    .push(pin.at, "`sha256` cannot be used with `program = \"*\"`");
            }
            return Some(Target::Any(ChildFs::new(settings, search, self.identity)));
        }
        if !path.is_absolute() {
            self.out.push(
                at,
                format!("`program` must be an absolute path, not {path:?}"),
            );
            return None;
        }
        let mut pin = None;
        if let Some(text) = &entry.sha256 {
            pin = parse_sha256(&text.value);
            if pin.is_none() {
                self.out
                    .push(text.at, "`sha256` must be 64 hexadecimal digits");
            }
        }
        if entry.effect == Effect::Deny {
            return Some(Target::Nothing);
        }
        let mut allowed = entry.allow_arg0.iter();
        let by_name = || entry.arg0.as_deref().and_then(acts_as);
        let mut by_guest = || allowed.find_map(|name| may_act_as(&name.value));
        if let Some((name, reason)) = interpreter(path).or_else(by_name).or_else(&mut by_guest)
            && !entry.interpreter
            && entry.args.iter().any(Pattern::is_wild)
        {
            let reason = format!(
                "{name} is an interpreter: {reason}. With `*`, `**` or an expression that matches any text it needs `interpreter = true`"
            );
            self.out.push(at, reason);
        }
        let policy = ProgramPolicy {
            search: search.to_owned(),
            children: Children {
                write: self.write.clone(),
                sandbox: settings.sandbox,
                identity: self.identity,
            },
            missing: self.missing,
        };
        match Executable::open(path, pin, &Arc::new(policy)) {
            Ok(executable) => {
                let files = executable
                    .paths()
                    .filter_map(|path| FsRoot::resolve(path).ok());
                let is_confined = settings.sandbox != Sandbox::None;
                for file in files.filter(|_| is_confined) {
                    if let Some(reason) = denied::refused_root(&file, &settings.deny) {
                        self.out.push(at, reason);
                    }
                }
                Some(Target::File(executable))
            }
            Err(reason) => {
                self.out.push(at, reason);
                None
            }
        }
    }

    /// Matches the examples of `match` and `not-match`.
    fn examples(&mut self, entry: &CommandEntry, rule: &Rule, cwd: &Path) {
        for example in &entry.examples {
            match rule.match_args(&example.args, cwd, &Lookups::new()) {
                Ok(()) if !example.matches => {
                    self.out
                        .push(example.at, "this example of `not-match` matches `args`");
                }
                Err(mismatch) if example.matches => {
                    let reason = rule.explain_mismatch(&example.args, &mismatch);
                    self.out.push(
                        example.at,
                        format!("this example of `match` does not match `args`: {reason}"),
                    );
                }
                _ => {}
            }
        }
    }
}

/// Returns the names that the guest may use as `argv[0]`.
fn allow_arg0(entry: &CommandEntry, out: &mut Diagnostics<'_>) -> Vec<String> {
    for name in &entry.allow_arg0 {
        let prefix = name.value.strip_suffix('*').unwrap_or(&name.value);
        if prefix.contains('*') {
            out.push(name.at, "`*` is only allowed at the end of a name");
        }
        if prefix.contains('\0') {
            out.push(name.at, "`allow-arg0` contains a NUL");
        }
    }
    let names = entry.allow_arg0.iter();
    names.map(|name| name.value.clone()).collect()
}

/// Returns what the child is confined to. It can always read the files that it is started
/// from.
fn confinement(settings: &Settings, target: &Target) -> Confinement {
    match target {
        Target::File(executable) => executable.readable_in(settings.confinement()),
        Target::Any(_) | Target::Nothing => settings.confinement(),
    }
}

/// Warns of commands with `ask` or `deny` whose program a guest can start by its path.
fn warn_of_any_program(section: &mut CompiledSection) {
    let allows = |rule: &&Arc<Rule>| rule.name == "*" && rule.effect == Effect::Allow;
    if !section.rules.iter().any(|rule| allows(&rule)) {
        return;
    }
    let restricted = section
        .rules
        .iter()
        .filter(|rule| rule.name != "*" && rule.effect != Effect::Allow);
    let mut lines: Vec<_> = restricted
        .map(|rule| {
            let (name, word) = (&rule.name, rule.effect.name());
            format!("{name}: decision = {word:?} applies to this name only: `*` allows the same program by its path")
        })
        .collect();
    lines.dedup();
    section.warnings.extend(lines);
}

#[cfg(test)]
mod tests;

//! From a document to rules: roots resolved, programs opened, examples tried.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::any_program::View;
use super::command::{Rule, Target};
use super::environment::Environment;
use super::executable::{Executable, Terms};
use super::settings::Settings;
use crate::confinement::{Confinement, Sandbox};
use crate::grant::check::interpreter::interpreter;
use crate::grant::check::reachable;
use crate::grant::component::Grant;
use crate::grant::file::diagnostics::Diagnostics;
use crate::grant::file::document::{CommandEntry, Document, Section, Verdict, parse_sha256};
use crate::grant::file::pattern::{Kind, Pattern};
use crate::grant::paths::{Root, is_under, root};
use crate::launch::Identity;

/// Where a `#!` line's `env` looks if the grant sets no `PATH`.
const DEFAULT_PATH: &str = "/usr/bin:/bin";

/// Compiles every section for children that run as `identity`, noting everything
/// that is wrong.
pub(in crate::grant) fn compile(
    document: &Document,
    base: &Path,
    identity: Identity,
    out: &mut Diagnostics<'_>,
) -> Vec<Arc<Grant>> {
    let defaults = Settings::defaults(&document.defaults, base, out);
    // Settings first, all of them: no program may lie where any component writes.
    let mut write = defaults.write.clone();
    let mut sections = Vec::new();
    // Each once, wherever it counts.
    let mut written = BTreeSet::new();
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
    for (section, commands) in &sections {
        let confined = |(entry, settings): &&(&CommandEntry, Settings)| {
            settings.sandbox != Sandbox::None && entry.verdict != Verdict::Deny
        };
        for (entry, _) in commands.iter().filter(confined) {
            let layers = [&document.defaults, &section.layer, &entry.layer];
            let texts = layers.into_iter().flat_map(|layer| &layer.fs.write);
            written.extend(texts.flatten().map(|text| (text.at, &text.value)));
        }
    }
    for (at, text) in written {
        // A root that leads nowhere is refused, or skipped, elsewhere.
        let root = root(base, text).ok();
        if let Some(reason) = root.and_then(|root| reachable::unwritable(&root, identity)) {
            out.push(at, reason);
        }
    }
    let mut compiler = Compiler {
        base,
        identity,
        write: write.into(),
        out,
    };
    sections
        .into_iter()
        .map(|(section, commands)| Arc::new(compiler.section(section, commands)))
        .collect()
}

/// What every command is compiled against.
struct Compiler<'c, 'o> {
    base: &'c Path,
    identity: Identity,
    /// The write roots of all components.
    write: Arc<[Root]>,
    out: &'c mut Diagnostics<'o>,
}

impl Compiler<'_, '_> {
    fn section(&mut self, section: &Section, commands: Vec<(&CommandEntry, Settings)>) -> Grant {
        let mut grant = Grant {
            component: section.name.clone(),
            quotas: section.quotas,
            detach: section.detach,
            rules: Vec::new(),
            also: Vec::new(),
            advice: Vec::new(),
        };
        for (entry, settings) in commands {
            let rule = self.command(entry, &settings, &mut grant.advice);
            grant.rules.extend(rule.map(Arc::new));
        }
        advise_any(&mut grant);
        grant
    }

    fn command(
        &mut self,
        entry: &CommandEntry,
        settings: &Settings,
        advice: &mut Vec<String>,
    ) -> Option<Rule> {
        let mut args = entry.args.clone();
        for pattern in &mut args {
            self.path_roots(pattern, settings);
        }
        let environment = Environment::new(settings);
        let search = environment.get("PATH").unwrap_or(DEFAULT_PATH).to_owned();
        let target = self.target(entry, settings, &search)?;
        advise(entry, settings, &target, advice);
        self.advise_roots(settings, advice);
        let confinement = Arc::new(confinement(settings, &target));
        let rule = Rule {
            name: entry.name.clone(),
            place: self.out.place(entry.at),
            verdict: entry.verdict,
            target,
            arg0: entry.arg0.clone(),
            fixed: entry.fixed.clone(),
            args,
            environment,
            cwd: settings.cwd.clone(),
            deny: settings.deny.clone(),
            limits: settings.limits.clone(),
            capture: settings.capture,
            confinement,
            disclose_pid: settings.disclose_pid,
        };
        self.examples(entry, &rule, settings.start());
        Some(rule)
    }

    /// Resolves the roots of a path pattern, which must be the sandbox's as well.
    fn path_roots(&mut self, pattern: &mut Pattern, settings: &Settings) {
        let Kind::Path(path) = &mut pattern.kind else {
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
            let readable = !path.write && is_under(&root.real, &settings.read);
            if !readable && !is_under(&root.real, &settings.write) {
                let list = if path.write { "fs.write" } else { "fs.read" };
                self.out
                    .push(text.at, format!("{:?} is not inside {list}", text.value));
            }
            path.real.push(root.real);
        }
    }

    /// Says which read roots are closed to whom children run as, each once.
    fn advise_roots(&self, settings: &Settings, advice: &mut Vec<String>) {
        if settings.sandbox == Sandbox::None {
            return;
        }
        for root in &settings.read {
            let line = reachable::unreadable(root, self.identity);
            if let Some(line) = line.filter(|line| !advice.contains(line)) {
                advice.push(line);
            }
        }
    }

    /// Opens what a command starts, if it may be started.
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
                self.out
                    .push(at, "`name = \"*\"` and `program = \"*\"` go together");
            }
            if settings.sandbox != Sandbox::Required {
                self.out
                    .push(at, "any program needs `sandbox = \"required\"`");
            }
            if let Some(pin) = &entry.sha256 {
                self.out.push(pin.at, "a pin cannot hold for any program");
            }
            return Some(Target::Any(View::new(settings, search)));
        }
        if !path.is_absolute() {
            self.out
                .push(at, format!("`program` is an absolute path, not {path:?}"));
            return None;
        }
        let mut pin = None;
        if let Some(text) = &entry.sha256 {
            pin = parse_sha256(&text.value);
            if pin.is_none() {
                self.out.push(text.at, "`sha256` is 64 hexadecimal digits");
            }
        }
        if entry.verdict == Verdict::Deny {
            return Some(Target::Nothing);
        }
        if let Some(name) = interpreter(path)
            && !entry.interpreter
            && entry.args.iter().any(Pattern::is_wild)
        {
            let reason = format!(
                "{name} runs what its arguments say: with `*` or `**` the command needs `interpreter = true`"
            );
            self.out.push(at, reason);
        }
        let terms = Terms {
            search: search.to_owned(),
            write: self.write.clone(),
            sandbox: settings.sandbox,
        };
        match Executable::open(path, pin, &Arc::new(terms)) {
            Ok(executable) => Some(Target::File(executable)),
            Err(reason) => {
                self.out.push(at, reason);
                None
            }
        }
    }

    /// Tries the vectors of `match` and `not-match`.
    fn examples(&mut self, entry: &CommandEntry, rule: &Rule, cwd: &Path) {
        for example in &entry.examples {
            match rule.match_args(&example.args, cwd) {
                Ok(()) if !example.matches => {
                    self.out
                        .push(example.at, "this vector of `not-match` matches `args`");
                }
                Err(mismatch) if example.matches => {
                    let reason = rule.explain_mismatch(&example.args, &mismatch);
                    self.out.push(
                        example.at,
                        format!("this vector of `match` does not: {reason}"),
                    );
                }
                _ => {}
            }
        }
    }
}

/// Adds what is no error and still not what one may think.
fn advise(entry: &CommandEntry, settings: &Settings, target: &Target, advice: &mut Vec<String>) {
    let name = &entry.name;
    if settings.sandbox == Sandbox::None {
        advice.push(format!(
            "{name}: sandbox = \"none\": the child can do all that the host can"
        ));
        if entry
            .args
            .iter()
            .any(|pattern| matches!(pattern.kind, Kind::Path(_)))
        {
            advice.push(format!(
                "{name}: path arguments are advisory without a sandbox"
            ));
        }
        return;
    }
    if let Target::Any(view) = target {
        advice.extend(view.skipped().map(|folder| {
            format!("{name}: no name is looked up in {folder:?} of PATH: a sandboxed child does not see it")
        }));
    }
}

/// What the child is confined to. It can read what it was started from, wherever that lies.
fn confinement(settings: &Settings, target: &Target) -> Confinement {
    let mut confinement = settings.confinement();
    if let Target::File(executable) = target {
        let outside = executable
            .paths()
            .filter_map(|path| Root::resolve(path).ok())
            .filter(|root| !is_under(&root.real, settings.read.iter().chain(&settings.write)));
        confinement.fs.read.extend(outside);
    }
    confinement
}

/// Says of what asks or refuses that any program goes around it.
fn advise_any(grant: &mut Grant) {
    let allows = |rule: &&Arc<Rule>| rule.name == "*" && rule.verdict == Verdict::Allow;
    if !grant.rules.iter().any(|rule| allows(&rule)) {
        return;
    }
    let held = grant
        .rules
        .iter()
        .filter(|rule| rule.name != "*" && rule.verdict != Verdict::Allow);
    let mut lines: Vec<_> = held
        .map(|rule| {
            let (name, word) = (&rule.name, rule.verdict.word());
            format!("{name}: decision = {word:?} holds for this name: `*` starts the same program by its path")
        })
        .collect();
    lines.dedup();
    grant.advice.extend(lines);
}

#[cfg(test)]
mod tests {
    use crate::grant::testing::{component, echo, load, refused};

    #[test]
    fn examples_are_tried() {
        load(&echo(
            "args = [\"a\", \"*\"]\nmatch = [[\"a\", \"b\"]]\nnot-match = [[\"b\"], []]",
        ))
        .expect("all examples hold");
        let wrong = refused(&echo(
            "args = [\"a\"]\nmatch = [[\"a\"],\n [\"b\"]]\nnot-match = [[\"a\"]]",
        ));
        assert!(
            wrong.contains(":7:2: this vector of `match` does not: argument 1"),
            "{wrong}"
        );
        assert!(
            wrong.contains(":8:14: this vector of `not-match` matches"),
            "{wrong}"
        );
    }

    #[test]
    fn an_interpreter_with_a_wildcard_is_written_out() {
        let sh = |lines: &str| echo(lines).replace("/bin/echo", "/bin/sh");
        assert!(refused(&sh("args = [\"-c\", \"*\"]")).contains("interpreter = true"));
        assert!(refused(&sh("args = [\"**\"]")).contains("interpreter = true"));
        load(&sh("args = [\"-c\", \"*\"]\ninterpreter = true")).expect("it is written out");
        load(&sh("args = [\"-c\", \"true\"]")).expect("it has no wildcard");
    }

    #[test]
    fn programs_are_absolute_executable_files() {
        let program = |path: &str| refused(&echo("").replace("/bin/echo", path));
        assert!(program("echo").contains(":4:11: `program` is an absolute path"));
        assert!(program("/bin").contains("no regular file"));
        assert!(program("/etc/passwd").contains("not executable"));
        assert!(program("/bin/absent").contains("No such file"));
        load(&echo("")).expect("it is one");
    }

    #[test]
    fn a_pin_is_checked() {
        let pin = |hex: &str| refused(&echo(&format!("sha256 = \"{hex}\"")));
        assert!(pin("abc").contains("64 hexadecimal digits"));
        let message = pin(&"0".repeat(64));
        let found = message
            .rsplit(' ')
            .next()
            .expect("the message ends with the hash");
        load(&echo(&format!("sha256 = \"{found}\""))).expect("that is its hash");
    }

    #[test]
    fn no_program_lies_where_any_component_writes() {
        let other = "[component.other]\nfs = { write = [\"/usr/bin\"] }\n";
        assert!(refused(&format!("{other}{}", echo(""))).contains("could be replaced"));
        let elsewhere = other.replace("/usr/bin", "/tmp");
        load(&format!("{elsewhere}{}", echo(""))).expect("it lies elsewhere");
    }

    #[test]
    fn path_roots_are_the_sandboxes_too() {
        let path = |root: &str, access: &str| {
            echo(&format!(
                "args = [{{ path = {{ under = [\"{root}\"], access = \"{access}\" }} }}]"
            ))
        };
        load(&path("/usr/bin", "read")).expect("the default roots have it");
        assert!(refused(&path("/tmp", "read")).contains("not inside fs.read"));
        assert!(refused(&path("/usr/bin", "write")).contains("not inside fs.write"));
        assert!(refused(&path("/absent", "read")).contains("No such file"));
        let writable = "fs = { write = [\"/tmp\"] }\n";
        for access in ["read", "write"] {
            load(&format!("{}{writable}", path("/tmp", access))).expect("a write root has it");
        }
    }

    #[test]
    fn missing_roots_are_skipped_in_the_defaults_alone() {
        let defaults = "[defaults]\nfs = { read = [\"/usr\", \"/absent\"] }\n";
        load(&format!("{defaults}{}", echo(""))).expect("a missing default is skipped");
        let message = refused(&echo("fs = { read = [\"/absent\"] }"));
        assert!(
            message.contains(":5:16: /absent: No such file"),
            "{message}"
        );
    }

    #[test]
    fn any_program_is_written_out_with_a_sandbox() {
        let any = "[[component.c.command]]\nname = \"*\"\nprogram = \"*\"\n";
        load(any).expect("it is written out");
        for wrong in [
            any.replace("name = \"*\"", "name = \"x\""),
            any.replace("program = \"*\"", "program = \"/bin/echo\""),
            format!("{any}sandbox = \"best-effort\"\n"),
            format!("{any}sha256 = \"{}\"\n", "0".repeat(64)),
        ] {
            refused(&wrong);
        }
    }

    #[test]
    fn advice_is_given_where_nothing_is_wrong() {
        assert!(component(&echo("")).advice().is_empty());
        let none = component(&echo(
            "sandbox = \"none\"\nargs = [{ path = { under = [\"/usr\"] } }]",
        ));
        assert!(none.advice().iter().any(|line| line.contains("advisory")));
    }
}

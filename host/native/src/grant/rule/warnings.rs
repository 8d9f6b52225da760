//! What `check` says of one command: arguments and variables that the grant admits, and by which its program runs
//! something else.

use std::path::Path;

use super::command::Target;
use super::environment::Environment;
use super::settings::Settings;
use crate::confinement::{Confinement, Sandbox};
use crate::escape::quoted;
use crate::grant::check::dangerous_argument::{Danger, Position, dangers};
use crate::grant::check::dangerous_variable::danger;
use crate::grant::check::{unlisted, unwise, write_roots};
use crate::grant::file::document::{CommandEntry, Effect};
use crate::grant::file::pattern::{Pattern, PatternKind};
use crate::grant::paths::is_under;

/// Returns a line that names the arguments which the patterns of a command admit, and by which its
/// program runs another one; none if there are none.
pub(super) fn of_arguments(entry: &CommandEntry) -> Option<String> {
    // `interpreter = true` is how a grant says that it knows.
    if entry.effect == Effect::Deny || entry.interpreter || entry.is_any_program() {
        return None;
    }
    let (program, dangers) = dangers(Path::new(&entry.program.value))?;
    let admitted = dangers.iter().filter(|danger| admits(entry, danger));
    let admitted: Vec<_> = admitted.map(|(_, shown, _)| *shown).collect();
    if admitted.is_empty() {
        return None;
    }
    Some(format!(
        "{}: {program} runs other programs by arguments that `args` admits: {}. List the arguments that are needed, or \
         write `interpreter = true` if the guest may run what the child can reach",
        entry.name,
        admitted.join("; ")
    ))
}

/// Returns whether some pattern takes the argument without listing it, or lists it before one that
/// takes any text.
fn admits(entry: &CommandEntry, (sample, _, position): &Danger) -> bool {
    let args = &entry.args;
    let is_first =
        |index: usize| entry.fixed.is_empty() && args[..index].iter().all(|it| it.min == 0);
    let takes = |index: usize| match position {
        Position::First => is_first(index) && takes(&args[index], sample),
        Position::Any => takes(&args[index], sample),
    };
    let is_wild = |index: usize| args.get(index).is_some_and(Pattern::is_wild);
    let by_fixed = entry.fixed.last().is_some_and(|text| text == sample) && is_wild(0);
    by_fixed
        || (0..args.len())
            .any(|index| takes(index) || (lists(&args[index], sample) && is_wild(index + 1)))
}

fn takes(pattern: &Pattern, sample: &str) -> bool {
    let is_option = sample.starts_with(['-', '@']);
    match &pattern.kind {
        PatternKind::Any { dash } => *dash || !is_option,
        // A narrow expression lists its texts; one that takes this option by chance does not.
        PatternKind::Regex(regex) if is_option => regex.dash && regex.regex.is_match(sample),
        PatternKind::Regex(_) => pattern.is_wild(),
        _ => false,
    }
}

fn lists(pattern: &Pattern, sample: &str) -> bool {
    match &pattern.kind {
        PatternKind::Literal(text) => text == sample,
        PatternKind::OneOf(texts) => texts.iter().any(|text| text == sample),
        _ => false,
    }
}

/// Returns a line for each dangerous variable that the guest may set.
pub(super) fn of_variables(entry: &CommandEntry, settings: &Settings) -> Vec<String> {
    if entry.effect == Effect::Deny {
        return Vec::new();
    }
    let named = settings
        .allow
        .iter()
        .filter_map(|name| Some((name, danger(name)?)));
    let line = |(name, reason): (&String, &str)| {
        format!(
            "{}: env.allow has {}: {reason}. Write it into env.set if one value will do",
            entry.name,
            quoted(name)
        )
    };
    named.map(line).collect()
}

/// Warns of write roots with which programs do not work as outside.
pub(super) fn of_write_roots(settings: &Settings, warnings: &mut Vec<String>) {
    if settings.sandbox == Sandbox::None {
        return;
    }
    add_new(
        write_roots::surprises(&settings.read, &settings.write),
        warnings,
    );
}

/// Adds the lines that another command of the component has not added.
pub(super) fn add_new(lines: Vec<String>, warnings: &mut Vec<String>) {
    for line in lines {
        if !warnings.contains(&line) {
            warnings.push(line);
        }
    }
}

/// Warns of settings that few operators would choose knowingly.
pub(super) fn of_unwise(
    name: &str,
    settings: &Settings,
    confinement: &Confinement,
    warnings: &mut Vec<String>,
) {
    add_new(unwise::inherited(name, &settings.inherit), warnings);
    add_new(unwise::unlimited(name, &settings.limits), warnings);
    if settings.sandbox != Sandbox::None {
        add_new(unwise::secrets(&confinement.fs), warnings);
    }
}

/// Warns of settings of one command that are valid and have a surprising effect.
pub(super) fn of_sandbox(
    entry: &CommandEntry,
    settings: &Settings,
    target: &Target,
    environment: &Environment,
    warnings: &mut Vec<String>,
) {
    let name = &entry.name;
    if settings.sandbox == Sandbox::None {
        warnings.push(format!(
            "{name}: sandbox = \"none\": the child is not confined and can do whatever its user can"
        ));
        if entry
            .args
            .iter()
            .any(|pattern| matches!(pattern.kind, PatternKind::Path(_)))
        {
            warnings.push(format!(
                "{name}: without a sandbox the paths in `args` are checked but not enforced"
            ));
        }
        return;
    }
    // The folders of the default are not the grant's, and need not exist.
    if let Target::Any(view) = target
        && environment.has_own_path()
    {
        warnings.extend(view.skipped().map(|folder| {
            format!("{name}: {folder:?} in PATH is not searched: a sandboxed child does not see it")
        }));
    }
}

/// Warns of each file at which the program stops in tier B because the grant does not list it.
pub(super) fn of_unlisted(
    name: &str,
    target: &Target,
    confinement: &Confinement,
    warnings: &mut Vec<String>,
) {
    let Target::File(executable) = target else {
        return;
    };
    if confinement.sandbox == Sandbox::None {
        return;
    }
    let fs = &confinement.fs;
    let is_unlisted = |file: &Path| {
        let real = file.canonicalize();
        real.is_ok_and(|real| !is_under(&real, fs.read.iter().chain(&fs.write)))
    };
    for path in executable.paths() {
        warnings.extend(unlisted::stops(path, is_unlisted).map(|(program, file)| {
            let file = file.display();
            format!("{name}: {program} needs {file}, which fs.read does not list: in tier B it gets EACCES and stops")
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use crate::grant::testing::{echo, load, refused};

    /// The text of a grant for a program of this name.
    fn text(name: &str, lines: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let all = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), all.clone()).expect("it is ours");
        let program = folder.path().join(name);
        fs::write(&program, "\u{7f}ELF").expect("an empty folder");
        fs::set_permissions(&program, all).expect("it is ours");
        let text = echo(lines).replace("/bin/echo", program.to_str().expect("UTF-8"));
        (folder, text)
    }

    fn warnings(name: &str, lines: &str) -> Vec<String> {
        let (_keep, text) = text(name, lines);
        let grants = load(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let all = grants.component("c").warnings().to_vec();
        all.into_iter()
            .filter(|line| line.contains("`args` admits") || line.contains("env.allow"))
            .collect()
    }

    #[test]
    fn a_program_that_is_dangerous_by_some_argument_is_a_warning_that_names_it() {
        for (name, argument) in [
            ("git", "-c NAME=VALUE"),
            ("tar", "--checkpoint-action=exec=COMMAND"),
            ("rsync", "--rsh=COMMAND"),
            ("vim", "+COMMAND"),
            ("gdb", "-ex COMMAND"),
            ("make", "SHELL"),
            ("gcc", "-wrapper COMMAND"),
            ("ssh", "ProxyCommand"),
            ("docker", "run"),
            ("sqlite3", ".shell COMMAND"),
            ("npm", "exec"),
            ("java", "-jar FILE"),
            ("flock", "-c COMMAND"),
            ("script", "-c COMMAND"),
            ("watch", "the command"),
            ("stdbuf", "the program"),
        ] {
            let wide = "args = [{ rest = true, allow-dash = true }]";
            let found = warnings(name, wide);
            assert!(
                found.iter().any(|line| line.contains(argument)),
                "{name}: {found:?}"
            );
            // What the grant lists, and what it says it knows, is no surprise.
            assert_eq!(warnings(name, "args = [\"--version\"]"), [""; 0], "{name}");
            assert_eq!(
                warnings(name, &format!("{wide}\ninterpreter = true")),
                [""; 0],
                "{name}"
            );
        }
    }

    #[test]
    fn only_arguments_that_the_patterns_admit_are_named() {
        assert_eq!(
            warnings("git", "args = [\"log\", { one-of = [\"-1\"] }, \"*\"]").len(),
            1
        );
        assert!(warnings("git", "args = [\"log\", \"*\"]")[0].contains("ext::COMMAND"));
        assert_eq!(warnings("tar", "args = [\"-tf\", \"*\"]"), [""; 0]);
        assert_eq!(warnings("tar", "args = [\"*\"]").len(), 1);
        assert_eq!(
            warnings("tar", "fixed = [\"-tf\"]\nargs = [\"*\"]"),
            [""; 0]
        );
        // Listed, and followed by any text.
        assert!(
            warnings("git", "args = [\"-c\", \"*\"]")
                .iter()
                .any(|line| line.contains("-c NAME"))
        );
        assert!(
            warnings("git", "fixed = [\"-c\"]\nargs = [\"*\"]")
                .iter()
                .any(|line| line.contains("-c NAME"))
        );
        let literal = "args = [\"-c\", \"core.pager=cat\", \"log\"]";
        assert_eq!(warnings("git", literal), [""; 0]);
        // An expression that matches any text counts as any.
        assert_eq!(warnings("watch", "args = [{ re = \".+\" }]").len(), 1);
        assert_eq!(warnings("watch", "args = [{ re = \"[a-z]+\" }]"), [""; 0]);
        assert_eq!(
            warnings("cat", "args = [{ rest = true, allow-dash = true }]"),
            [""; 0]
        );
        assert_eq!(
            warnings("git", "args = [\"**\"]\ndecision = \"deny\""),
            [""; 0]
        );
    }

    #[test]
    fn an_interpreter_with_an_expression_that_matches_any_text_needs_the_flag() {
        for (name, reason) in [
            ("zsh-5.9", "commands"),
            ("R", "code"),
            ("strace", "program"),
        ] {
            let (_keep, wild) = text(name, "args = [{ re = \".*\" }]");
            let error = refused(&wild);
            assert!(
                error.contains("`interpreter = true`") && error.contains(reason),
                "{error}"
            );
            let (_keep, narrow) = text(name, "args = [{ re = \"[a-z]+\" }]");
            load(&narrow).expect("the expression lists what it allows");
        }
    }

    #[test]
    fn a_dangerous_variable_that_is_written_in_full_is_a_warning() {
        let found = warnings(
            "cat",
            "env = { allow = [\"GIT_PAGER\", \"TITLE\", \"LC_*\"] }",
        );
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("\"GIT_PAGER\""), "{found:?}");
    }
}

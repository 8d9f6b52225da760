//! From a document to rules: programs opened, roots resolved, examples tried.

use std::path::Path;
use std::sync::Arc;

use super::authority::Grant;
use super::document::{CommandEntry, Document, Section, Verdict, parse_sha256};
use super::environment::Environment;
use super::error::Diagnostics;
use super::program::Executable;
use super::rule::Rule;
use super::settings::Settings;

/// Compiles every section, noting everything that is wrong.
pub(super) fn compile(
    document: &Document,
    base: &Path,
    out: &mut Diagnostics<'_>,
) -> Vec<Arc<Grant>> {
    let defaults = Settings::defaults(&document.defaults, base, out);
    document
        .sections
        .iter()
        .map(|section| Arc::new(compile_section(section, &defaults, base, out)))
        .collect()
}

fn compile_section(
    section: &Section,
    defaults: &Settings,
    base: &Path,
    out: &mut Diagnostics<'_>,
) -> Grant {
    let settings = defaults.with(&section.layer, base, out);
    let rules = section
        .commands
        .iter()
        .filter_map(|entry| compile_command(entry, &settings, base, out))
        .map(Arc::new)
        .collect();
    Grant {
        component: section.name.clone(),
        quotas: section.quotas,
        detach: section.detach,
        rules,
    }
}

fn compile_command(
    entry: &CommandEntry,
    settings: &Settings,
    base: &Path,
    out: &mut Diagnostics<'_>,
) -> Option<Rule> {
    let settings = settings.with(&entry.layer, base, out);
    let path = Path::new(&entry.program.value);
    let mut program = None;
    if !path.is_absolute() {
        out.push(entry.program.at, format!("`program` is an absolute path, not {path:?}"));
    } else if entry.verdict != Verdict::Deny {
        let pin = entry.sha256.as_ref().and_then(|text| {
            let pin = parse_sha256(&text.value);
            if pin.is_none() {
                out.push(text.at, "`sha256` is 64 hexadecimal digits");
            }
            pin
        });
        match Executable::open(path, pin) {
            Ok(executable) => program = Some(executable),
            Err(reason) => out.push(entry.program.at, reason),
        }
    }
    Some(Rule {
        name: entry.name.clone(),
        verdict: entry.verdict,
        program,
        arg0: entry.arg0.clone().unwrap_or_else(|| entry.program.value.clone()),
        fixed: entry.fixed.clone(),
        args: entry.args.clone(),
        environment: Environment::new(&settings),
        cwd: settings.cwd.clone(),
        deny: settings.deny.clone(),
        limits: settings.limits.clone(),
        capture: settings.capture,
        confinement: Arc::new(settings.confinement()),
    })
}

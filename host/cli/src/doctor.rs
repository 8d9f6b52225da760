//! `capspawn doctor`: what this host's sandbox enforces.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use capspawn_native::launch::{Launcher as _, RunAs};
use capspawn_native::sandbox::{Confinement, Dimension, Enforced, Enforcement, Sandbox, Tier};
use serde_json::{Map, Value, json};

use crate::args::DoctorArgs;
use crate::launcher::launcher;
use crate::output;

/// Exit code if this host cannot enforce `required`.
const UNMET: u8 = 1;

/// The version of the JSON that `doctor` prints.
const JSON_VERSION: u32 = 1;

/// Probes the sandbox and prints the report.
pub(crate) fn doctor(args: &DoctorArgs) -> Result<u8> {
    let launcher = launcher(&args.sandbox, None)?;
    let (report, run_as) = (
        launcher.enforcement(&Confinement::default()),
        launcher.run_as(),
    );
    if let Some(shortage) = report.shortage() {
        bail!("the sandbox of this host cannot be tested now: {shortage}");
    }
    match args.json {
        true => output::print_json(&object(&report, run_as))?,
        false => output::print(&table(&report, run_as)?)?,
    }
    Ok(if report.admits(Sandbox::Required) {
        0
    } else {
        UNMET
    })
}

fn table(report: &Enforcement, run_as: RunAs) -> Result<String, std::fmt::Error> {
    let mut text = match report.tier() {
        Some(tier) => format!("tier {tier}: {}\n\n", meaning(tier)),
        None => "no tier: this host cannot confine children\n\n".to_owned(),
    };
    for (dimension, level) in report.dimensions() {
        let name = dimension.name();
        match level {
            Enforced::Full { mechanism } => writeln!(text, "{name:<14} enforced  {mechanism}")?,
            Enforced::Partial { mechanism, gap } => {
                writeln!(text, "{name:<14} partial   {mechanism}; gap: {gap}")?;
            }
            Enforced::None { reason, hint } => {
                writeln!(text, "{name:<14} none      {reason}; {hint}")?;
            }
        }
    }
    writeln!(text, "\nChildren run as {run_as}.")?;
    if report.admits(Sandbox::Required) {
        text.push_str("This host can enforce sandbox = \"required\".\n");
    } else {
        writeln!(
            text,
            "This host cannot enforce sandbox = \"required\": {}",
            report.unmet()
        )?;
    }
    Ok(text)
}

/// Returns the mechanisms of a tier.
fn meaning(tier: Tier) -> &'static str {
    match tier {
        Tier::A => {
            "namespaces and a private root for each guest, Landlock and seccomp on each child"
        }
        Tier::B => "Landlock and seccomp on each child, in the host's own namespaces",
        Tier::C => "seccomp on each child; files are not confined",
    }
}

/// Returns the report as JSON.
fn object(report: &Enforcement, run_as: RunAs) -> Value {
    let level = |(dimension, level): &(Dimension, Enforced)| {
        let value = match level {
            Enforced::Full { mechanism } => json!({ "level": "enforced", "mechanism": mechanism }),
            Enforced::Partial { mechanism, gap } => {
                json!({ "level": "partial", "mechanism": mechanism, "gap": gap })
            }
            Enforced::None { reason, hint } => {
                json!({ "level": "none", "reason": reason, "hint": hint })
            }
        };
        (dimension.name().to_owned(), value)
    };
    let dimensions: Map<String, Value> = report.dimensions().iter().map(level).collect();
    json!({
        "version": JSON_VERSION,
        "tier": report.tier().map(|tier| tier.to_string()),
        "run-as": run_as.to_string(),
        "required": report.admits(Sandbox::Required),
        "dimensions": dimensions,
    })
}

//! The JSON schemas of what the command prints with `--json` and writes with `--events`.

use anyhow::{Result, bail};

use crate::{output, similar};

/// The schemas, by the name of the output.
const SCHEMAS: [(&str, &str, &str); 5] = [
    (
        "check",
        "`capspawn check --json`",
        include_str!("../schemas/check.json"),
    ),
    (
        "against",
        "`capspawn check --against OLD --json`",
        include_str!("../schemas/against.json"),
    ),
    (
        "explain",
        "`capspawn explain --json`",
        include_str!("../schemas/explain.json"),
    ),
    (
        "doctor",
        "`capspawn doctor --json`",
        include_str!("../schemas/doctor.json"),
    ),
    (
        "grants",
        "a grant file (host/native/grants.schema.json)",
        "",
    ),
];

/// Prints a schema, or the list of them.
pub(crate) fn print(name: Option<&str>) -> Result<()> {
    let Some(name) = name else {
        let line = |(name, what, _): &(&str, &str, &str)| format!("{name:<9} {what}\n");
        let lines: String = SCHEMAS.iter().map(line).collect();
        return output::print(&format!(
            "{lines}\n`capspawn help json NAME` prints a schema (draft 2020-12).\n"
        ));
    };
    match SCHEMAS.iter().find(|(known, ..)| *known == name) {
        Some(("grants", ..)) => output::print_json(&capspawn_native::grant::schema()),
        Some((_, _, text)) => output::print(text),
        None => {
            let hint = similar::did_you_mean(name, SCHEMAS.iter().map(|(known, ..)| *known));
            bail!("there is no schema {name:?}{hint}. `capspawn help json` lists them")
        }
    }
}

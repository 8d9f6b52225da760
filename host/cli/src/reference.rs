//! `capspawn help grants`: every key of a grant file, for the terminal and as the tables of `host/GRANTS.md`.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use capspawn_native::grant::{Absent, Key, KeyTable, keys};

use crate::{output, similar};

/// The tables of the reference, with their titles.
const TABLES: [(KeyTable, &str, &str); 5] = [
    (KeyTable::File, "the file", "In the file"),
    (
        KeyTable::Settings,
        "settings",
        "In [defaults], [component.NAME] and [[component.NAME.command]]",
    ),
    (KeyTable::Component, "component", "In [component.NAME]"),
    (
        KeyTable::Command,
        "command",
        "In [[component.NAME.command]]",
    ),
    (
        KeyTable::Pattern,
        "pattern",
        "In a pattern, an inline table in `args`",
    ),
];

/// The width of a text on the terminal.
const WIDTH: usize = 96;

/// Prints the keys whose names are `wanted` or below it, or all keys.
pub(crate) fn print(wanted: Option<&str>, markdown: bool) -> Result<()> {
    if markdown {
        return output::print(&tables());
    }
    let mut text = String::new();
    for (table, _, title) in TABLES {
        let of_table = keys().filter(|key| key.table == table);
        let found: Vec<_> = of_table.filter(|key| is_wanted(key, wanted)).collect();
        if !found.is_empty() {
            writeln!(text, "{title}:\n")?;
        }
        found.into_iter().for_each(|key| text += &entry(key));
    }
    if text.is_empty() {
        let wanted = wanted.unwrap_or_default();
        let parts = keys().flat_map(|key| key.name.split('.'));
        let hint = similar::did_you_mean(wanted, keys().map(|key| key.name).chain(parts));
        bail!("no key of a grant is called {wanted:?}{hint}. `capspawn help grants` lists all");
    }
    if wanted.is_none() {
        text += "Times have a unit: ms, s, min, h, d; sizes too: B, KiB, MiB, GiB, TiB.\n";
    }
    output::print(&text)
}

fn is_wanted(key: &Key, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| {
        let below = key
            .name
            .strip_prefix(wanted)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let last = key.name.rsplit('.').next();
        below || last == Some(wanted)
    })
}

/// Returns the paragraph of a key.
fn entry(key: &Key) -> String {
    let mut text = format!("  {}\n", key.name);
    let absent = match key.absent {
        Absent::Value(value) => format!("{value} if absent"),
        Absent::Words(words) => format!("if absent: {}", without_marks(words)),
    };
    for (label, words) in [
        ("type", format!("{}; {absent}", without_marks(key.kind))),
        ("example", format!("{} = {}", key.name, key.example)),
        ("does", without_marks(key.meaning)),
        ("why", without_marks(key.reason)),
    ] {
        for (index, line) in output::wrapped(&words, WIDTH).into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            text += &format!("      {label:<9}{line}\n");
        }
    }
    text + "\n"
}

fn without_marks(text: &str) -> String {
    Key::plain(text)
}

/// Returns all keys as tables of Markdown, each between two comments with its name.
fn tables() -> String {
    let mut text = String::new();
    for (table, name, _) in TABLES {
        text += &format!("<!-- keys of {name}: `capspawn help grants --markdown` -->\n\n");
        text +=
            "| Key | Type | If absent | Example | What it does, and why |\n|---|---|---|---|---|\n";
        for key in keys().filter(|key| key.table == table) {
            let absent = match key.absent {
                Absent::Value(value) => format!("`{value}`"),
                Absent::Words(words) => words.to_owned(),
            };
            text += &format!(
                "| `{}` | {} | {absent} | `{}` | {}. *Why:* {} |\n",
                key.name, key.kind, key.example, key.meaning, key.reason
            );
        }
        text += &format!("\n<!-- end of {name} -->\n\n");
    }
    text
}

//! Every key of a grant: what it does, its type, its default, an example, and why it exists.
//!
//! `capspawn help grants`, the tables of `host/GRANTS.md` and the descriptions of the JSON schema are
//! written from this one table. Rejected: doc comments on the schema's types, which have no room for a
//! default, an example and a reason that a test can check.

mod command;
mod component;
mod pattern;
mod settings;

/// The table of a grant file in which a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyTable {
    /// The file itself.
    File,
    /// `[defaults]`, a component or a command.
    Settings,
    /// `[component.NAME]` alone.
    Component,
    /// `[[component.NAME.command]]` alone.
    Command,
    /// A pattern: an inline table in `args`.
    Pattern,
}

/// What holds where a key is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// The same as this value, as TOML.
    Value(&'static str),
    /// What these words say.
    Words(&'static str),
}

/// One key of a grant. The texts are Markdown; links lead from `host/GRANTS.md`.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The table in which it stands.
    pub table: KeyTable,
    /// Its name, with dots for a table inside the table, such as `limits.wall`.
    pub name: &'static str,
    /// The type of its value, with the unit.
    pub kind: &'static str,
    /// What holds where it is absent.
    pub absent: Absent,
    /// An example of its value, as TOML.
    pub example: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// Why it exists, or why its default is what it is.
    pub reason: &'static str,
}

/// The only key of the file itself that is not a table.
const FILE: [Key; 1] = [Key {
    table: KeyTable::File,
    name: "version",
    kind: "integer",
    absent: Absent::Words("an error"),
    example: "1",
    meaning: "The version of the format: 1",
    reason: "A later capspawn reads an old file as it was meant, or refuses it",
}];

/// Returns every key, table by table, in the order of the documents.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    let settings = settings::KEYS.iter();
    let own = component::KEYS.iter().chain(&command::KEYS);
    FILE.iter().chain(settings).chain(own).chain(&pattern::KEYS)
}

impl Key {
    /// Returns a text of a [`Key`] without Markdown's links and code marks, for a terminal.
    pub fn plain(text: &str) -> String {
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('[') {
            plain += before;
            let link = after.split_once("](");
            let link = link.and_then(|(shown, target)| Some((shown, target.split_once(')')?.1)));
            match link {
                Some((shown, end)) if !shown.contains(['[', ']']) => {
                    plain += shown;
                    rest = end;
                }
                _ => {
                    plain.push('[');
                    rest = after;
                }
            }
        }
        plain + rest
    }
}

#[cfg(test)]
mod tests;

//! One key of a grant.

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

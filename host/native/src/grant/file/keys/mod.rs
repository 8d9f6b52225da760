//! Every key of a grant: what it does, its type, its default, an example, and why it exists.
//!
//! `capspawn help grants`, the tables of `host/GRANTS.md` and the descriptions of the JSON schema are
//! written from this one table. Rejected: doc comments on the schema's types, which have no room for a
//! default, an example and a reason that a test can check.

mod command;
mod component;
mod key;
mod pattern;
mod settings;

pub use self::key::{Absent, Key, KeyTable};

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

#[cfg(test)]
mod tests;

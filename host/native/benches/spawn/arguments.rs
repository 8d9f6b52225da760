//! The command line.

use std::path::PathBuf;

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// Where the figures go as JSON.
    pub(crate) json: Option<PathBuf>,
    /// Part of the name of the figures to measure; all without it.
    pub(crate) figure: Option<String>,
}

impl Arguments {
    pub(crate) fn parse(mut from: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self::default();
        while let Some(argument) = from.next() {
            match argument.as_str() {
                // Cargo says this to every benchmark.
                "--bench" => {}
                "--json" => {
                    let path = from.next().ok_or("--json needs a file")?;
                    arguments.json = Some(path.into());
                }
                other if other.starts_with('-') => return Err(format!("unknown option {other}")),
                _ if arguments.figure.is_some() => return Err("one figure at a time".into()),
                _ => arguments.figure = Some(argument),
            }
        }
        Ok(arguments)
    }

    pub(crate) fn wants(&self, name: &str) -> bool {
        self.figure
            .as_ref()
            .is_none_or(|part| name.contains(part.as_str()))
    }
}

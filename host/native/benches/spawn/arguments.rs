//! The command line.

use std::path::PathBuf;

/// The parsed arguments.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    /// The file to which the figures are written as JSON.
    pub(crate) json: Option<PathBuf>,
    /// The figure to measure, or a part of its name; without it all are measured.
    pub(crate) figure: Option<String>,
}

impl Arguments {
    pub(crate) fn parse(mut from: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self::default();
        while let Some(argument) = from.next() {
            match argument.as_str() {
                // Cargo passes this to every benchmark.
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

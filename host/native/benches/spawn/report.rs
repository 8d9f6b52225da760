//! The figures: printed at once, and kept for the JSON file.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::forms::Form;
use crate::statistics::{Pair, Summary};

/// Every figure measured so far.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Value>);

/// The name of a figure, and its target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure<'a> {
    pub(crate) name: &'a str,
    /// The baseline.
    pub(crate) baseline: &'a str,
    /// The target in words; nothing checks it.
    pub(crate) target: &'a str,
}

impl Report {
    pub(crate) fn pair(&mut self, form: &Form, figure: Figure<'_>, pair: &Pair) {
        let Figure {
            name,
            baseline,
            target,
        } = figure;
        let Pair { ours, baseline: b } = pair;
        let ratio = ours.median / b.median;
        println!(
            "{name} [{form}]: {ratio:.2}, target {target}; {ours}, {baseline} {b}",
            form = form.name
        );
        self.0.push(json!({
            "figure": name, "form": form.name, "target": target, "ratio": ratio,
            "ours": ours, "baseline-name": baseline, "baseline": b,
        }));
    }

    pub(crate) fn single(&mut self, form: &Form, name: &str, target: &str, value: &Summary) {
        println!("{name} [{}]: {value}, target {target}", form.name);
        self.0.push(json!({
            "figure": name, "form": form.name, "target": target, "ours": value,
        }));
    }

    pub(crate) fn not_measured(&mut self, form: &str, name: &str, reason: &str) {
        println!("{name} [{form}]: not measured: {reason}");
        self.0.push(json!({
            "figure": name, "form": form, "not-measured": reason,
        }));
    }

    /// Adds figures that another process has measured and printed.
    pub(crate) fn read(&mut self, path: &Path) -> io::Result<()> {
        let lines: Vec<Value> = serde_json::from_slice(&fs::read(path)?)?;
        self.0.extend(lines);
        Ok(())
    }

    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(&self.0)?;
        text.push(b'\n');
        fs::write(path, text)
    }
}

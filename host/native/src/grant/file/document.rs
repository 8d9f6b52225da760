//! A grant file as it is written: syntax and keys are checked, no file is opened yet.

use std::ffi::OsString;

use super::diagnostics::{Diagnostics, Offset};
use super::layer::Layer;
use super::pattern::Pattern;
use super::table::{self, Fields, Text};
use super::tree::{Node, NodeValue};
use super::units;
use crate::grant::quotas::{Detach, Quotas};

/// The only version of the format.
const VERSION: u64 = 1;

#[derive(Debug, Clone, Default)]
pub(in crate::grant) struct Document {
    pub(in crate::grant) defaults: Layer,
    pub(in crate::grant) sections: Vec<Section>,
}

/// One `[component."x"]`.
#[derive(Debug, Clone)]
pub(in crate::grant) struct Section {
    pub(in crate::grant) name: String,
    pub(in crate::grant) quotas: Quotas,
    pub(in crate::grant) detach: Detach,
    pub(in crate::grant) layer: Layer,
    pub(in crate::grant) commands: Vec<CommandEntry>,
}

/// What a rule does with the requests that it matches: the words of `decision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::grant) enum Effect {
    #[default]
    Allow,
    Ask,
    Deny,
}

impl Effect {
    pub(in crate::grant) const ALL: [Self; 3] = [Self::Allow, Self::Ask, Self::Deny];

    /// Returns the word that grants use.
    pub(in crate::grant) const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// One `[[component."x".command]]`.
#[derive(Debug, Clone)]
pub(in crate::grant) struct CommandEntry {
    pub(in crate::grant) at: Offset,
    pub(in crate::grant) name: String,
    pub(in crate::grant) program: Text,
    pub(in crate::grant) sha256: Option<Text>,
    pub(in crate::grant) arg0: Option<String>,
    pub(in crate::grant) allow_arg0: Vec<Text>,
    pub(in crate::grant) fixed: Vec<String>,
    pub(in crate::grant) args: Vec<Pattern>,
    pub(in crate::grant) effect: Effect,
    pub(in crate::grant) interpreter: bool,
    /// Argument vectors that must match, and those that must not.
    pub(in crate::grant) examples: Vec<Example>,
    pub(in crate::grant) layer: Layer,
}

/// An argument vector in `match` or `not-match`.
#[derive(Debug, Clone)]
pub(in crate::grant) struct Example {
    pub(in crate::grant) at: Offset,
    pub(in crate::grant) args: Vec<OsString>,
    pub(in crate::grant) matches: bool,
}

impl Document {
    pub(in crate::grant) fn read(node: &Node, out: &mut Diagnostics<'_>) -> Self {
        let mut document = Self::default();
        let Some(mut fields) = Fields::open(node, "a grant", out) else {
            return document;
        };
        let version = fields.take("version");
        match version.map(|node| &node.value) {
            Some(NodeValue::Integer(1)) => {}
            Some(_) => out.push(
                version.and_then(|node| node.at),
                format!("`version` must be {VERSION}, the only version that this capspawn reads"),
            ),
            None => out.push(node.at, format!("`version = {VERSION}` is missing")),
        }
        if let Some(node) = fields.take("defaults")
            && let Some(mut fields) = Fields::open(node, "[defaults]", out)
        {
            document.defaults = Layer::take(&mut fields, out);
            fields.finish("[defaults]", out);
        }
        if let Some(node) = fields.take("component")
            && let Some(components) = Fields::open(node, "[component]", out)
        {
            document.sections = components
                .entries()
                .filter_map(|(key, node)| Section::read(&key.name, key.at, node, out))
                .collect();
        }
        fields.finish("a grant", out);
        document
    }
}

impl Section {
    fn read(name: &str, at: Offset, node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        let title = format!("[component.{name:?}]");
        if name
            .strip_prefix("sha256:")
            .is_some_and(|hex| parse_sha256(hex).is_none())
        {
            out.push(at, "`sha256:` must be followed by 64 hexadecimal digits");
        }
        let mut fields = Fields::open(node, &title, out)?;
        let mut quotas = Quotas::default();
        if let Some(count) = fields.count("max-live", out) {
            quotas.max_live = u32::try_from(count).unwrap_or(u32::MAX);
        }
        if let Some(count) = fields.count("max-total", out) {
            quotas.max_total = count;
        }
        quotas.rate = fields.with_unit("rate", units::rate, out);
        quotas.max_held_children = Quotas::held_children_for(quotas.max_live);
        if let Some(count) = fields.count("max-held-children", out) {
            quotas.max_held_children = u32::try_from(count).unwrap_or(u32::MAX);
        }
        if let Some(bytes) = fields.with_unit("max-held-memory", units::bytes, out) {
            quotas.max_held_bytes = bytes;
        }
        if let Some(count) = fields.count("max-held-descriptors", out) {
            quotas.max_held_descriptors = u32::try_from(count).unwrap_or(u32::MAX);
        }
        let detach = read_detach(&mut fields, out);
        let layer = Layer::take(&mut fields, out);
        let commands = match fields.take("command") {
            Some(node) => table::array(node, "command", out)
                .unwrap_or_default()
                .iter()
                .filter_map(|node| CommandEntry::read(node, out))
                .collect(),
            None => Vec::new(),
        };
        fields.finish(&title, out);
        Some(Self {
            name: name.to_owned(),
            quotas,
            detach,
            layer,
            commands,
        })
    }
}

fn read_detach(fields: &mut Fields<'_>, out: &mut Diagnostics<'_>) -> Detach {
    let inner = fields
        .take("detach")
        .and_then(|node| Fields::open(node, "`detach`", out));
    let Some(mut inner) = inner else {
        return Detach::default();
    };
    let mut detach = Detach {
        allow: inner.flag("allow", out),
        ..Detach::default()
    };
    if let Some(max_life) = inner.duration("max-life", out) {
        detach.max_life = max_life;
    }
    inner.finish("`detach`", out);
    detach
}

impl CommandEntry {
    /// Returns whether the guest names the program itself (`program = "*"`).
    pub(in crate::grant) fn is_any_program(&self) -> bool {
        self.program.value == "*"
    }

    fn read(node: &Node, out: &mut Diagnostics<'_>) -> Option<Self> {
        let mut fields = Fields::open(node, "a command", out)?;
        let name = fields.string("name", out);
        let program = fields.string("program", out);
        for (key, value) in [("name", &name), ("program", &program)] {
            if value.as_ref().is_none_or(|text| text.value.is_empty()) {
                out.push(node.at, format!("a command needs a `{key}`"));
            }
        }
        let values = |texts: Option<Vec<Text>>| {
            texts
                .unwrap_or_default()
                .into_iter()
                .map(|text| text.value)
                .collect()
        };
        let sha256 = fields.string("sha256", out);
        let arg0 = fields.string("arg0", out).map(|text| text.value);
        let allow_arg0 = fields.strings("allow-arg0", out).unwrap_or_default();
        let fixed = values(fields.strings("fixed", out));
        let has_args = fields.has("args");
        let mut args = Pattern::take_all(&mut fields, "args", out);
        let effect = fields
            .word("decision", Effect::ALL.map(|it| (it.name(), it)), out)
            .unwrap_or_default();
        if effect == Effect::Deny && !has_args {
            // Who denies a name and lists no arguments means all of them.
            args = vec![Pattern::anything(node.at)];
        }
        let interpreter = fields.flag("interpreter", out);
        let mut examples = read_examples(&mut fields, "match", out);
        examples.extend(read_examples(&mut fields, "not-match", out));
        let layer = Layer::take(&mut fields, out);
        fields.finish("a command", out);
        Some(Self {
            at: node.at,
            name: name?.value,
            program: program?,
            sha256,
            arg0,
            allow_arg0,
            fixed,
            args,
            effect,
            interpreter,
            examples,
            layer,
        })
    }
}

fn read_examples(
    fields: &mut Fields<'_>,
    key: &'static str,
    out: &mut Diagnostics<'_>,
) -> Vec<Example> {
    let Some(items) = fields
        .take(key)
        .and_then(|node| table::array(node, key, out))
    else {
        return Vec::new();
    };
    let mut examples = Vec::new();
    for item in items {
        let tokens = table::array(item, key, out).unwrap_or_default();
        let args = tokens
            .iter()
            .filter_map(|token| table::string(token, key, out))
            .map(|text| text.value.into())
            .collect();
        examples.push(Example {
            at: item.at,
            args,
            matches: key == "match",
        });
    }
    examples
}

/// Parses a SHA-256: 64 hexadecimal digits of either case.
pub(in crate::grant) fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).ok()?;
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sha256_is_64_hexadecimal_digits() {
        assert_eq!(parse_sha256(&"aB".repeat(32)), Some([0xab; 32]));
        for wrong in ["", "+1", " 1", "g0", "é", "abc"] {
            assert_eq!(parse_sha256(&wrong.repeat(32)), None, "{wrong}");
        }
    }
}

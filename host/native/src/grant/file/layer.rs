//! The settings that the defaults, a component and a command can each have.

use std::collections::BTreeMap;
use std::time::Duration;

use super::diagnostics::{Diagnostics, Offset};
use super::table::{Fields, Text};
use super::units;
use crate::confinement::{Network, Sandbox};

/// The settings of the defaults, of a component or of a command; `None` where the key is
/// absent.
#[derive(Debug, Clone, Default)]
pub(in crate::grant) struct Layer {
    pub(in crate::grant) sandbox: Option<Sandbox>,
    pub(in crate::grant) network: Option<Network>,
    pub(in crate::grant) disclose_pid: Option<bool>,
    pub(in crate::grant) stdin: Option<bool>,
    pub(in crate::grant) redirect: Option<bool>,
    pub(in crate::grant) allow_bytes: Option<bool>,
    pub(in crate::grant) env: EnvLayer,
    pub(in crate::grant) fs: FsLayer,
    pub(in crate::grant) limits: LimitsLayer,
    pub(in crate::grant) capture: CaptureLayer,
    pub(in crate::grant) cwd: Option<CwdLayer>,
}

#[derive(Debug, Clone, Default)]
pub(in crate::grant) struct EnvLayer {
    pub(in crate::grant) set: Option<BTreeMap<String, Text>>,
    pub(in crate::grant) inherit: Option<Vec<Text>>,
    pub(in crate::grant) allow: Option<Vec<Text>>,
}

#[derive(Debug, Clone, Default)]
pub(in crate::grant) struct FsLayer {
    pub(in crate::grant) read: Option<Vec<Text>>,
    pub(in crate::grant) write: Option<Vec<Text>>,
    pub(in crate::grant) deny: Option<Vec<Text>>,
}

/// The outer option is `None` where the key is absent, the inner one for `"unlimited"`.
#[derive(Debug, Clone, Default)]
pub(in crate::grant) struct LimitsLayer {
    pub(in crate::grant) wall: Option<Duration>,
    pub(in crate::grant) cpu: Option<Option<Duration>>,
    pub(in crate::grant) memory: Option<Option<u64>>,
    pub(in crate::grant) processes: Option<Option<u64>>,
    pub(in crate::grant) open_files: Option<Option<u64>>,
    pub(in crate::grant) file_size: Option<Option<u64>>,
    pub(in crate::grant) tmpfs: Option<u64>,
    pub(in crate::grant) output: Option<Option<u64>>,
}

#[derive(Debug, Clone, Default)]
pub(in crate::grant) struct CaptureLayer {
    pub(in crate::grant) stdout: Option<u64>,
    pub(in crate::grant) stderr: Option<u64>,
}

#[derive(Debug, Clone, Default)]
pub(in crate::grant) struct CwdLayer {
    pub(in crate::grant) at: Offset,
    pub(in crate::grant) default: Option<Text>,
    pub(in crate::grant) roots: Vec<Text>,
}

impl Layer {
    /// Takes the keys of a layer out of a table.
    pub(in crate::grant) fn take(fields: &mut Fields<'_>, out: &mut Diagnostics<'_>) -> Self {
        fields.know("cwd");
        Self {
            sandbox: fields.word("sandbox", Sandbox::ALL.map(|it| (it.name(), it)), out),
            network: fields.word("network", Network::ALL.map(|it| (it.name(), it)), out),
            disclose_pid: fields.boolean("disclose-pid", out),
            stdin: fields.boolean("stdin", out),
            redirect: fields.boolean("redirect", out),
            allow_bytes: fields.boolean("allow-bytes", out),
            env: table(fields, "env", out, EnvLayer::take),
            fs: table(fields, "fs", out, FsLayer::take),
            limits: table(fields, "limits", out, LimitsLayer::take),
            capture: table(fields, "capture", out, CaptureLayer::take),
            cwd: fields
                .has("cwd")
                .then(|| table(fields, "cwd", out, CwdLayer::take)),
        }
    }
}

/// Takes a table; returns the default if it is absent or not a table.
fn table<T: Default>(
    fields: &mut Fields<'_>,
    key: &'static str,
    out: &mut Diagnostics<'_>,
    take: fn(&mut Fields<'_>, &mut Diagnostics<'_>) -> T,
) -> T {
    let name = format!("`{key}`");
    let Some(mut inner) = fields
        .take(key)
        .and_then(|node| Fields::open(node, &name, out))
    else {
        return T::default();
    };
    let value = take(&mut inner, out);
    inner.finish(&name, out);
    value
}

impl EnvLayer {
    fn take(fields: &mut Fields<'_>, out: &mut Diagnostics<'_>) -> Self {
        Self {
            set: fields.string_map("set", out),
            inherit: fields.strings("inherit", out),
            allow: fields.strings("allow", out),
        }
    }
}

impl FsLayer {
    fn take(fields: &mut Fields<'_>, out: &mut Diagnostics<'_>) -> Self {
        Self {
            read: fields.strings("read", out),
            write: fields.strings("write", out),
            deny: fields.strings("deny", out),
        }
    }
}

impl LimitsLayer {
    fn take(fields: &mut Fields<'_>, out: &mut Diagnostics<'_>) -> Self {
        let time = |text: &str| units::or_unlimited(text, units::duration);
        let size = |text: &str| units::or_unlimited(text, units::bytes);
        Self {
            wall: fields.duration("wall", out),
            cpu: fields.with_unit("cpu", time, out),
            memory: fields.with_unit("memory", size, out),
            processes: fields.count_or_unlimited("processes", out),
            open_files: fields.count_or_unlimited("open-files", out),
            file_size: fields.with_unit("file-size", size, out),
            tmpfs: fields.with_unit("tmpfs", units::bytes, out),
            output: fields.with_unit("output", size, out),
        }
    }
}

impl CaptureLayer {
    fn take(fields: &mut Fields<'_>, out: &mut Diagnostics<'_>) -> Self {
        Self {
            stdout: fields.with_unit("stdout", units::bytes, out),
            stderr: fields.with_unit("stderr", units::bytes, out),
        }
    }
}

impl CwdLayer {
    fn take(fields: &mut Fields<'_>, out: &mut Diagnostics<'_>) -> Self {
        Self {
            at: fields.at(),
            default: fields.string("default", out),
            roots: fields.strings("roots", out).unwrap_or_default(),
        }
    }
}

//! Opens the files that a plan names for standard streams.

use std::os::fd::OwnedFd;
use std::path::Path;

use crate::confinement::{Confinement, Sandbox};
use crate::error::{Denial, DeniedItem, SpawnError};
use crate::grant::{escaped_os, is_denied};
use crate::launch::{ChildStdio, FileAccess, LaunchError, Plan, Stage, StreamFile};
use crate::sandbox::sys::{FileFault, open_stream_file};

/// Returns whether `plan` has any file to open.
pub(super) fn are_named(plan: &Plan) -> bool {
    let files = [&plan.files.stdin, &plan.files.stdout, &plan.files.stderr];
    files.into_iter().any(Option::is_some)
}

/// Opens the files of `plan`. A file that is written is created, or truncated, by this.
///
/// # Errors
///
/// [`SpawnError::Denied`] for a file that the children's user may not open so, that is not regular,
/// or that leads out of its root; [`SpawnError::NoEntry`] for one that does not exist; what the host
/// lacks.
pub(super) fn open(plan: &Plan) -> Result<ChildStdio, SpawnError> {
    let open = |file: &Option<StreamFile>| file.as_ref().map(|it| open_one(it, plan)).transpose();
    // Standard input first: where it is missing, no other file is changed.
    Ok(ChildStdio {
        stdin: open(&plan.files.stdin)?,
        stdout: open(&plan.files.stdout)?,
        stderr: open(&plan.files.stderr)?,
    })
}

fn open_one(file: &StreamFile, plan: &Plan) -> Result<OwnedFd, SpawnError> {
    let refusal = |place: &Path| refusal(place, file, &plan.confinement);
    open_stream_file(file, refusal).map_err(|fault| match fault {
        FileFault::Refused(reason) => Denial {
            nearest: Some(plan.name.clone()),
            ..Denial::new(
                DeniedItem::Stdio,
                format!("the file {} {reason}", escaped_os(file.path().as_os_str())),
            )
        }
        .into(),
        FileFault::Missing => SpawnError::NoEntry,
        FileFault::System(error) => LaunchError::new(Stage::OpenFile, error).into(),
    })
}

/// What a session has of its own: a path there names another file to the host than to the child.
const OWN: [&str; 5] = ["/dev", "/proc", "/tmp", "/etc/hosts", "/etc/hostname"];

/// Returns why the file at `place` cannot be the stream, though it is below the root of `file`.
fn refusal(place: &Path, file: &StreamFile, confinement: &Confinement) -> Option<&'static str> {
    let fs = &confinement.fs;
    if is_denied(place, &fs.deny) {
        return Some("is in fs.deny");
    }
    // A link may lead from a write root into a read root inside it.
    let around = fs.read.iter().chain(&fs.write);
    let around = around.filter(|root| place.starts_with(&root.real));
    let innermost = around.max_by_key(|root| root.real.components().count());
    let is_written = file.access != FileAccess::Read;
    if is_written && !innermost.is_some_and(|root| fs.write.contains(root)) {
        return Some("is in no root of fs.write");
    }
    let hides = |own: &str| place.starts_with(own) && !file.root.real.starts_with(own);
    let is_confined = confinement.sandbox != Sandbox::None;
    let is_own = is_confined && OWN.iter().any(|own| hides(own));
    is_own.then_some("is one that the child has of its own")
}

//! A session's child against the same isolation by bubblewrap.

use std::io::ErrorKind;

use crate::baseline::quiet;
use crate::forms::{self, Form, nothing, settle, spawn_and_wait};
use crate::report::{Figure, Report};
use crate::statistics::{Unit, by_turns, seconds};

const NAME: &str = "spawn and wait, against bubblewrap";

/// Read access to the system, no write access, no network, no capability, and a
/// process namespace.
const OPTIONS: &str = "--unshare-all --die-with-parent --new-session --cap-drop ALL --clearenv \
    --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
    --proc /proc --dev /dev /bin/true";

pub(crate) fn measure(form: &Form, report: &mut Report) {
    let mut bubblewrap = quiet("bwrap");
    bubblewrap.args(OPTIONS.split_whitespace());
    let reason = match bubblewrap.status() {
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("bubblewrap does not work here: {status}")),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Some("bubblewrap is not installed".into())
        }
        Err(error) => Some(format!("bubblewrap does not start: {error}")),
    };
    if let Some(reason) = reason {
        report.not_measured(form.name, NAME, &reason);
        return;
    }
    let registry = forms::build(form.registry());
    let guest = forms::guest(&registry, None);
    let command = nothing();
    let pair = by_turns(
        Unit::Seconds,
        200,
        || {
            seconds(|| {
                bubblewrap.status().expect("it started before");
            })
        },
        || {
            let time = seconds(|| drop(spawn_and_wait(&guest, &command)));
            settle(&registry, 0);
            time
        },
    );
    let figure = Figure {
        name: NAME,
        baseline: "bwrap",
        target: "0.2",
    };
    report.pair(form, figure, &pair);
}

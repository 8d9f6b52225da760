//! Reports why a process of the session failed, and exits.

use super::descriptor::Descriptor;
use super::socket;
use capspawn_raw::step::Step;
use capspawn_raw::syscall::exit;
use capspawn_raw::wire::Report;

/// Reports on the control socket that `step` failed, in making the root at the operation
/// with the index `operation`, and exits.
pub(super) fn fail(control: &Descriptor, step: Step, errno: i32, operation: u32) -> ! {
    let report = Report::Failed {
        step,
        errno,
        operation,
    };
    let _ = socket::send(control, &report, None);
    exit(127)
}

//! Whether an attempt got through: refused by whom, and admitted beside it.

use capspawn_native::launch::Exit;
use capspawn_native::sandbox::Sandbox;

use crate::probe::{DENIED, OPEN};
use crate::support::Spec;

pub(crate) const EPERM: i32 = 1;
pub(crate) const ENOENT: i32 = 2;
pub(crate) const ESRCH: i32 = 3;
pub(crate) const EBADF: i32 = 9;
pub(crate) const EACCES: i32 = 13;
pub(crate) const EXDEV: i32 = 18;
pub(crate) const EROFS: i32 = 30;
pub(crate) const ENOSYS: i32 = 38;

#[track_caller]
pub(crate) fn refused(spec: &Spec, errno: i32) {
    let run = spec.run();
    let name = &spec.env["CAPSPAWN_PROBE"];
    assert_eq!(
        run.exit,
        Exit::Code(DENIED),
        "{name} got through: {}",
        run.output
    );
    assert!(
        run.output.contains(&format!("errno={errno}\n")),
        "{name}: {}",
        run.output
    );
}

#[track_caller]
pub(crate) fn admitted(spec: &Spec) {
    let run = spec.run();
    let name = &spec.env["CAPSPAWN_PROBE"];
    assert_eq!(
        run.exit,
        Exit::Code(OPEN),
        "{name} was refused: {}",
        run.output
    );
}

/// Refused when confined, and done by the same probe when not, or not offered by the machine: there the bare attempt
/// fails with one of `absent`.
#[track_caller]
pub(crate) fn refused_where_offered(spec: &Spec, errno: i32, absent: &[i32]) {
    refused(spec, errno);
    let run = spec.clone().sandbox(Sandbox::None).run();
    let name = &spec.env["CAPSPAWN_PROBE"];
    let missing = |errno: &i32| run.output.contains(&format!("errno={errno}\n"));
    if run.exit == Exit::Code(DENIED) && absent.iter().any(missing) {
        println!("{name}: this machine does not offer it");
    } else {
        assert_eq!(run.exit, Exit::Code(OPEN), "{name}: {}", run.output);
    }
}

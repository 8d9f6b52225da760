//! The only folder that the grants under fuzzing refer to.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A fixed path, so that the inputs that the fuzzer has found stay valid.
pub(crate) const BASE: &str = "/tmp/capspawn-fuzz";

/// Creates `tool` (a binary by its first bytes), `script` (whose interpreter is `tool`) and
/// the folders `work` and `work/out`. None of them is ever started.
pub(crate) fn make() {
    let base = Path::new(BASE);
    fs::create_dir_all(base.join("work/out")).expect("/tmp can be written");
    let script = format!("#!{BASE}/tool -x\n");
    for (name, bytes) in [
        ("tool", b"\x7fELF\x02".as_slice()),
        ("script", script.as_bytes()),
    ] {
        let path = base.join(name);
        if fs::read(&path).is_ok_and(|found| found == bytes) {
            continue;
        }
        fs::write(&path, bytes).expect("the folder is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
}

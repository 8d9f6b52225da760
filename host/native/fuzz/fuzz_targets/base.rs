//! The one folder that grants under fuzzing lead into.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A fixed name, so that what the fuzzer learns of it stays true.
pub(crate) const BASE: &str = "/tmp/capspawn-fuzz";

/// Makes `tool` (a binary by its first bytes), `script` (run by `tool`) and
/// the folders `work` and `work/out`. Nothing here is ever started.
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

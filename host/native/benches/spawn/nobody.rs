//! Runs this program again as user 65534: the forms of an unprivileged host cannot
//! be measured as root.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::arguments::Arguments;
use crate::report::Report;

pub(crate) fn measure(arguments: &Arguments, report: &mut Report) {
    if let Err(reason) = try_measure(arguments, report) {
        report.not_measured("unprivileged", "all", &reason);
    }
}

fn try_measure(arguments: &Arguments, report: &mut Report) -> Result<(), String> {
    let failed = |what: &str, error: std::io::Error| format!("{what}: {error}");
    // The other user may have no access to the checkout, and must be able to write the figures.
    let folder = tempfile::tempdir_in("/tmp").map_err(|e| failed("a folder", e))?;
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(folder.path(), open).map_err(|e| failed("a folder", e))?;
    let (copy, json) = (folder.path().join("spawn"), folder.path().join("json"));
    let own = std::env::current_exe().map_err(|e| failed("this program", e))?;
    fs::copy(own, &copy).map_err(|e| failed("a copy of this program", e))?;
    let status = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(&copy)
        .args([Path::new("--json"), &json])
        .args(&arguments.figure)
        .current_dir("/")
        .status()
        .map_err(|e| failed("setpriv", e))?;
    if !status.success() {
        return Err(format!("setpriv: {status}"));
    }
    report
        .read(&json)
        .map_err(|e| failed("the figures of user 65534", e))
}

//! Which processes of others the host's `/proc` shows.

use std::fs;

/// The error with which a confined child fails to open files of a process that
/// is not in its sandbox, in the host's `/proc`.
///
/// Landlock refuses to open them. With the mount option `hidepid` the kernel
/// refuses earlier, since a confined child may not trace such a process.
pub(crate) fn errno_of_foreign_files() -> i32 {
    match hidepid().as_deref() {
        None | Some("0" | "off") => libc::EACCES,
        Some("1" | "noaccess") => libc::EPERM,
        Some(_) => libc::ENOENT,
    }
}

/// The errors with which a child of another user than the host's fails to list
/// the host's folder in `/proc` without a sandbox.
pub(crate) fn errors_of_another_user() -> &'static [i32] {
    match hidepid().as_deref() {
        _ if !test_kit::is_root() => &[],
        None | Some("0" | "off") => &[],
        Some("1" | "noaccess") => &[libc::EPERM],
        Some(_) => &[libc::ENOENT],
    }
}

/// The value of the mount option `hidepid`, if `/proc` has it.
fn hidepid() -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    // The fifth word is where it is mounted, the last one its options. The last
    // mount in one place hides the others.
    let last = mounts
        .lines()
        .rfind(|line| line.split(' ').nth(4) == Some("/proc"))?;
    let options = last.rsplit(' ').next()?;
    let value = options
        .split(',')
        .find_map(|option| option.strip_prefix("hidepid="))?;
    Some(value.to_owned())
}

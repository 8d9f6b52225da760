//! The descriptors that come along with a request, checked.
//!
//! A child of a session must get no descriptor of a directory: through its `..` the child could leave
//! the root. So the standard streams are pipes, sockets or the null device, and the program is a
//! regular file. (The files of its cgroup are closed when it executes.)
//!
//! The output may also be a regular file, in a root that the child may write. The input may not: the
//! descriptor is of the host's mount, and through `/proc/self/fd` a child could open a file of a
//! read root for writing, which its own mount of the root prevents.

use super::descriptor::{CHARACTERS, Descriptor, PIPE, REGULAR, SOCKET};
use capspawn_raw::wire::SpawnFiles;

/// The device number of `/dev/null`.
const NULL_DEVICE: u64 = 0x103;

/// Whether a child, `in_session` or alone, may get the streams and execute the program.
pub(super) fn are_allowed(files: &SpawnFiles<Descriptor>, in_session: bool) -> bool {
    let [input, output, error] = &files.streams;
    let is_output = |file: &Descriptor| is_stream(file) || has_format(file, REGULAR);
    let are_streams = || input.iter().all(is_stream) && output.iter().chain(error).all(is_output);
    (!in_session || are_streams()) && has_format(&files.program, REGULAR)
}

fn is_stream(file: &Descriptor) -> bool {
    file.stat().is_ok_and(|stat| {
        let is_null = stat.format == CHARACTERS && stat.special == NULL_DEVICE;
        is_null || stat.format == PIPE || stat.format == SOCKET
    })
}

fn has_format(file: &Descriptor, format: u32) -> bool {
    file.stat().is_ok_and(|stat| stat.format == format)
}

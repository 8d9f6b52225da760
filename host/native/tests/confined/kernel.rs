//! Interfaces of the kernel that no ordinary program needs.

use std::fs;

use capspawn_native::launch::Exit;
use capspawn_native::sandbox::Sandbox;

use crate::probe::OPEN;
use crate::support::probe;
use crate::table::Answer::Refused;
use crate::table::{Attack, Bare, holds, row};
use crate::verdict::{ENOSYS, EPERM, refused_where_offered};

const DENIED: crate::table::Answer = Refused(EPERM);
const ABSENT: crate::table::Answer = Refused(ENOSYS);

#[rustfmt::skip]
const CALLS: &[Attack] = &[
    row("memfd_create", |w| w.probe("memfd"), DENIED, DENIED),
    row("execute a memfd", |w| w.probe("memfd-execute"), DENIED, DENIED),
    row("add_key", |w| w.probe("key"), DENIED, DENIED),
    row("personality", |w| w.probe("personality"), DENIED, DENIED),
    row("shmget", |w| w.probe("shm"), DENIED, DENIED),
    row("shmat of the host's segment", |w| w.at("attach", w.segment.to_string()), DENIED, DENIED),
    row("mq_open", |w| w.probe("mq"), DENIED, DENIED),
    row("userfaultfd", |w| w.probe("userfaultfd"), DENIED, DENIED).bare(Bare::WorksUnless(&[ENOSYS, EPERM])),
    row("unshare of the user", |w| w.probe("fork-unshare-user"), DENIED, DENIED).bare(Bare::WorksUnless(&[EPERM, libc::ENOSPC])),
    row("setsid", |w| w.probe("fork-setsid"), DENIED, DENIED),
    row("setpgid", |w| w.probe("fork-setpgid"), DENIED, DENIED),
    row("mount", |w| w.at("mount", w.inside.path()), DENIED, DENIED).bare(Bare::Forbidden),
    row("umount", |w| w.at("umount", "/tmp"), DENIED, DENIED).bare(Bare::Forbidden),
    row("pivot_root", |w| w.at("pivot-root", w.inside.path()), DENIED, DENIED).bare(Bare::Forbidden),
    row("chroot", |w| w.at("chroot", w.inside.path()), DENIED, DENIED).bare(Bare::Forbidden),
    row("open_tree", |w| w.at("open-tree", w.inside.path()), DENIED, DENIED).bare(Bare::Forbidden),
    row("clone of each namespace", |w| w.probe("clone-namespaces"), DENIED, DENIED).bare(Bare::Forbidden),
    row("unshare of each namespace", |w| w.probe("unshare-namespaces"), DENIED, DENIED).bare(Bare::Forbidden),
    row("clone3", |w| w.probe("clone3"), ABSENT, ABSENT).bare(Bare::Forbidden),
    row("openat2", |w| w.probe("openat2"), ABSENT, ABSENT).bare(Bare::Forbidden),
    row("x32", |w| w.probe("x32"), ABSENT, ABSENT).bare(Bare::Forbidden),
    // Denied and not executed: an x32 call meets the end of the known numbers, whatever its own.
    row("socket of x32", |w| w.probe("x32-socket"), ABSENT, ABSENT).bare(Bare::Forbidden),
    row("a call of the future", |w| w.probe("future"), ABSENT, ABSENT).bare(Bare::Forbidden),
];

#[test]
fn kernel_interfaces_are_closed() {
    holds(CALLS, &[|w| w.probe("nothing")]);
    // Absent where the kernel has none, or is told to have none.
    let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    let disabled = disabled.is_ok_and(|text| text.trim() != "0");
    let absent = if disabled { EPERM } else { ENOSYS };
    refused_where_offered(&probe("io-uring"), EPERM, &[absent]);
}

#[test]
fn a_call_of_the_32_bit_abi_ends_the_process() {
    const SIGSYS: u8 = 31;
    const SIGSEGV: u8 = 11;
    let spec = probe("ia32");
    let run = spec.run();
    assert_eq!(run.exit, Exit::Signal(SIGSYS), "{}", run.output);
    let run = spec.sandbox(Sandbox::None).run();
    if run.exit == Exit::Signal(SIGSEGV) {
        println!("ia32: this machine does not offer it");
    } else {
        assert_eq!(run.exit, Exit::Code(OPEN), "{}", run.output);
    }
}

//! Names of the calls that a filter may deny.

macro_rules! names {
    ($($name:ident = $call:ident),+ $(,)?) => {
        &[$((stringify!($name), libc::$call)),+]
    };
}

#[rustfmt::skip]
const NAMES: &[(&str, libc::c_long)] = names![
    process_vm_readv = SYS_process_vm_readv, process_vm_writev = SYS_process_vm_writev,
    pidfd_getfd = SYS_pidfd_getfd, process_madvise = SYS_process_madvise, process_mrelease = SYS_process_mrelease,
    kcmp = SYS_kcmp, move_pages = SYS_move_pages, migrate_pages = SYS_migrate_pages,
    io_uring_setup = SYS_io_uring_setup, io_uring_enter = SYS_io_uring_enter,
    io_uring_register = SYS_io_uring_register, add_key = SYS_add_key, request_key = SYS_request_key,
    keyctl = SYS_keyctl, bpf = SYS_bpf, perf_event_open = SYS_perf_event_open, userfaultfd = SYS_userfaultfd,
    fanotify_init = SYS_fanotify_init, fanotify_mark = SYS_fanotify_mark, memfd_secret = SYS_memfd_secret,
    open_by_handle_at = SYS_open_by_handle_at, modify_ldt = SYS_modify_ldt, setns = SYS_setns,
    unshare = SYS_unshare, mount = SYS_mount, umount2 = SYS_umount2, pivot_root = SYS_pivot_root, chroot = SYS_chroot,
    move_mount = SYS_move_mount, open_tree = SYS_open_tree, fsopen = SYS_fsopen, fsconfig = SYS_fsconfig,
    fsmount = SYS_fsmount, fspick = SYS_fspick, mount_setattr = SYS_mount_setattr, swapon = SYS_swapon,
    swapoff = SYS_swapoff, quotactl = SYS_quotactl, acct = SYS_acct, reboot = SYS_reboot,
    kexec_load = SYS_kexec_load, init_module = SYS_init_module, finit_module = SYS_finit_module,
    delete_module = SYS_delete_module, iopl = SYS_iopl, ioperm = SYS_ioperm, settimeofday = SYS_settimeofday,
    clock_settime = SYS_clock_settime, sethostname = SYS_sethostname, setdomainname = SYS_setdomainname,
    syslog = SYS_syslog, vhangup = SYS_vhangup, shmget = SYS_shmget, shmat = SYS_shmat, shmctl = SYS_shmctl,
    shmdt = SYS_shmdt, semget = SYS_semget, semop = SYS_semop, semctl = SYS_semctl, msgget = SYS_msgget,
    msgsnd = SYS_msgsnd, msgrcv = SYS_msgrcv, msgctl = SYS_msgctl, memfd_create = SYS_memfd_create,
    mq_open = SYS_mq_open, mq_unlink = SYS_mq_unlink, ptrace = SYS_ptrace, setrlimit = SYS_setrlimit,
    prlimit64 = SYS_prlimit64, clone = SYS_clone, fcntl = SYS_fcntl, personality = SYS_personality, open = SYS_open,
    openat = SYS_openat, creat = SYS_creat, chmod = SYS_chmod, fchmod = SYS_fchmod, fchmodat = SYS_fchmodat,
    mknod = SYS_mknod, mknodat = SYS_mknodat, sched_setparam = SYS_sched_setparam,
    sched_setscheduler = SYS_sched_setscheduler, sched_setaffinity = SYS_sched_setaffinity,
    sched_setattr = SYS_sched_setattr, setpriority = SYS_setpriority, ioprio_set = SYS_ioprio_set,
    socket = SYS_socket, socketpair = SYS_socketpair, bind = SYS_bind, connect = SYS_connect, accept = SYS_accept,
    accept4 = SYS_accept4, listen = SYS_listen, ioctl = SYS_ioctl, setsockopt = SYS_setsockopt,
];

/// Returns the name of the call `number`, or its number.
pub(super) fn name(number: u32) -> String {
    let call = libc::c_long::from(number);
    match NAMES.iter().find(|(_, known)| *known == call) {
        Some((name, _)) => (*name).to_owned(),
        None => format!("system call {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_its_name_or_its_number() {
        let of = |call: libc::c_long| name(u32::try_from(call).expect("a call"));
        assert_eq!(of(libc::SYS_mount), "mount");
        assert_eq!(of(libc::SYS_socket), "socket");
        assert_eq!(name(9999), "system call 9999");
    }
}

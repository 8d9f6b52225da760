//! The numbers of the system calls on x86_64, from the kernel's `syscall_64.tbl`.
//! Only those that the vfork child and `capspawn-init` make.

/// `read(2)`
pub const READ: usize = 0;
/// `write(2)`
pub const WRITE: usize = 1;
/// `close(2)`
pub const CLOSE: usize = 3;
/// `fstat(2)`
pub const FSTAT: usize = 5;
/// `mmap(2)`
pub const MMAP: usize = 9;
/// `mprotect(2)`
pub const MPROTECT: usize = 10;
/// `munmap(2)`
pub const MUNMAP: usize = 11;
/// `rt_sigaction(2)`
pub const RT_SIGACTION: usize = 13;
/// `rt_sigprocmask(2)`
pub const RT_SIGPROCMASK: usize = 14;
/// `ioctl(2)`
pub const IOCTL: usize = 16;
/// `pread64(2)`
pub const PREAD64: usize = 17;
/// `shmctl(2)`
pub const SHMCTL: usize = 31;
/// `getpid(2)`
pub const GETPID: usize = 39;
/// `socket(2)`
pub const SOCKET: usize = 41;
/// `sendto(2)`
pub const SENDTO: usize = 44;
/// `sendmsg(2)`
pub const SENDMSG: usize = 46;
/// `recvmsg(2)`
pub const RECVMSG: usize = 47;
/// `socketpair(2)`
pub const SOCKETPAIR: usize = 53;
/// `clone(2)`
pub const CLONE: usize = 56;
/// `getppid(2)`
pub const GETPPID: usize = 110;
/// `clone3(2)`.
pub const CLONE3: usize = 435;
/// `kill(2)`
pub const KILL: usize = 62;
/// `semctl(2)`
pub const SEMCTL: usize = 66;
/// `msgctl(2)`
pub const MSGCTL: usize = 71;
/// `fcntl(2)`
pub const FCNTL: usize = 72;
/// `chdir(2)`
pub const CHDIR: usize = 80;
/// `fchdir(2)`
pub const FCHDIR: usize = 81;
/// `umask(2)`
pub const UMASK: usize = 95;
/// `setpgid(2)`
pub const SETPGID: usize = 109;
/// `setsid(2)`
pub const SETSID: usize = 112;
/// `setgroups(2)`
pub const SETGROUPS: usize = 116;
/// `setresuid(2)`
pub const SETRESUID: usize = 117;
/// `setresgid(2)`
pub const SETRESGID: usize = 119;
/// `getpgid(2)`
pub const GETPGID: usize = 121;
/// `getsid(2)`
pub const GETSID: usize = 124;
/// `capget(2)`
pub const CAPGET: usize = 125;
/// `capset(2)`
pub const CAPSET: usize = 126;
/// `personality(2)`
pub const PERSONALITY: usize = 135;
/// `fstatfs(2)`
pub const FSTATFS: usize = 138;
/// `setpriority(2)`
pub const SETPRIORITY: usize = 141;
/// `sched_setscheduler(2)`
pub const SCHED_SETSCHEDULER: usize = 144;
/// `sched_getscheduler(2)`
pub const SCHED_GETSCHEDULER: usize = 145;
/// `pivot_root(2)`
pub const PIVOT_ROOT: usize = 155;
/// `prctl(2)`
pub const PRCTL: usize = 157;
/// `umount2(2)`
pub const UMOUNT2: usize = 166;
/// `sethostname(2)`
pub const SETHOSTNAME: usize = 170;
/// `modify_ldt(2)`
pub const MODIFY_LDT: usize = 154;
/// `sched_setaffinity(2)`
pub const SCHED_SETAFFINITY: usize = 203;
/// `sched_getaffinity(2)`
pub const SCHED_GETAFFINITY: usize = 204;
/// `exit_group(2)`
pub const EXIT_GROUP: usize = 231;
/// `waitid(2)`
pub const WAITID: usize = 247;
/// `ioprio_set(2)`
pub const IOPRIO_SET: usize = 251;
/// `ioprio_get(2)`
pub const IOPRIO_GET: usize = 252;
/// `openat(2)`
pub const OPENAT: usize = 257;
/// `mkdirat(2)`
pub const MKDIRAT: usize = 258;
/// `mknodat(2)`
pub const MKNODAT: usize = 259;
/// `unlinkat(2)`
pub const UNLINKAT: usize = 263;
/// `symlinkat(2)`
pub const SYMLINKAT: usize = 266;
/// `unshare(2)`
pub const UNSHARE: usize = 272;
/// `dup3(2)`
pub const DUP3: usize = 292;
/// `prlimit64(2)`
pub const PRLIMIT64: usize = 302;
/// `setns(2)`
pub const SETNS: usize = 308;
/// `getcpu(2)`
pub const GETCPU: usize = 309;
/// `seccomp(2)`
pub const SECCOMP: usize = 317;
/// `execveat(2)`
pub const EXECVEAT: usize = 322;
/// `open_tree(2)`
pub const OPEN_TREE: usize = 428;
/// `move_mount(2)`
pub const MOVE_MOUNT: usize = 429;
/// `fsopen(2)`
pub const FSOPEN: usize = 430;
/// `fsconfig(2)`
pub const FSCONFIG: usize = 431;
/// `fsmount(2)`
pub const FSMOUNT: usize = 432;
/// `close_range(2)`
pub const CLOSE_RANGE: usize = 436;
/// `openat2(2)`
pub const OPENAT2: usize = 437;
/// `mount_setattr(2)`
pub const MOUNT_SETATTR: usize = 442;
/// `landlock_create_ruleset(2)`
pub const LANDLOCK_CREATE_RULESET: usize = 444;
/// `landlock_add_rule(2)`
pub const LANDLOCK_ADD_RULE: usize = 445;
/// `landlock_restrict_self(2)`
pub const LANDLOCK_RESTRICT_SELF: usize = 446;

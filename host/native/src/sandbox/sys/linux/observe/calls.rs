//! The calls that are reported, and what their arguments mean.

use crate::launch::Access;

/// A path among the arguments of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PathArg {
    /// The descriptor of the directory from which it leads.
    pub(super) dir: i32,
    /// Where it is in the caller's memory.
    pub(super) address: u64,
    /// What the call does with it.
    pub(super) access: Access,
    /// Whether a symbolic link at its end is followed.
    pub(super) follows: bool,
}

const HERE: i32 = libc::AT_FDCWD;

/// The calls that are reported although the filter allows them.
#[rustfmt::skip]
pub(super) const OBSERVED: &[libc::c_long] = &[
    libc::SYS_open, libc::SYS_openat, libc::SYS_creat, libc::SYS_stat, libc::SYS_lstat, libc::SYS_newfstatat,
    libc::SYS_statx, libc::SYS_access, libc::SYS_faccessat, libc::SYS_faccessat2, libc::SYS_readlink,
    libc::SYS_readlinkat, libc::SYS_execve, libc::SYS_execveat, libc::SYS_chdir, libc::SYS_mkdir, libc::SYS_mkdirat,
    libc::SYS_rmdir, libc::SYS_unlink, libc::SYS_unlinkat, libc::SYS_rename, libc::SYS_renameat,
    libc::SYS_renameat2, libc::SYS_link, libc::SYS_linkat, libc::SYS_symlink, libc::SYS_symlinkat,
    libc::SYS_truncate, libc::SYS_chmod, libc::SYS_fchmodat, libc::SYS_fchmodat2, libc::SYS_chown, libc::SYS_lchown,
    libc::SYS_fchownat, libc::SYS_mknod, libc::SYS_mknodat, libc::SYS_utime, libc::SYS_utimes,
    libc::SYS_futimesat, libc::SYS_utimensat, libc::SYS_inotify_add_watch, libc::SYS_statfs,
    // Connections.
    libc::SYS_connect,
    // New tasks, which the limit on them may refuse.
    libc::SYS_clone, libc::SYS_fork, libc::SYS_vfork,
];

/// Returns the paths among `args` of the call `number`.
pub(super) fn paths(number: u32, args: [u64; 6]) -> Vec<PathArg> {
    let [a, b, c, d, e, _] = args;
    let at = |dir: u64, address: u64, access: Access, follows: bool| PathArg {
        dir: int(dir),
        address,
        access,
        follows,
    };
    let here = |address: u64, access: Access| PathArg {
        dir: HERE,
        address,
        access,
        follows: true,
    };
    let link = |path: PathArg| PathArg {
        follows: false,
        ..path
    };
    let nofollow = |flags: u64| int(flags) & libc::AT_SYMLINK_NOFOLLOW == 0;
    match libc::c_long::from(number) {
        libc::SYS_open => vec![opened(HERE, a, b)],
        libc::SYS_openat => vec![opened(int(a), b, c)],
        libc::SYS_creat => vec![here(a, Access::Create)],
        libc::SYS_stat | libc::SYS_access | libc::SYS_chdir | libc::SYS_statfs => {
            vec![here(a, Access::Look)]
        }
        libc::SYS_lstat | libc::SYS_readlink => vec![link(here(a, Access::Look))],
        libc::SYS_newfstatat => vec![at(a, b, Access::Look, nofollow(d))],
        libc::SYS_statx => vec![at(a, b, Access::Look, nofollow(c))],
        libc::SYS_faccessat => vec![at(a, b, Access::Look, true)],
        libc::SYS_faccessat2 => vec![at(a, b, Access::Look, nofollow(d))],
        libc::SYS_readlinkat => vec![at(a, b, Access::Look, false)],
        libc::SYS_inotify_add_watch => vec![here(b, Access::Look)],
        libc::SYS_execve => vec![here(a, Access::Execute)],
        libc::SYS_execveat => vec![at(a, b, Access::Execute, nofollow(e))],
        libc::SYS_mkdir => vec![link(here(a, Access::Create))],
        libc::SYS_mkdirat => vec![at(a, b, Access::Create, false)],
        libc::SYS_mknod => vec![link(here(a, Access::Create))],
        libc::SYS_mknodat => vec![at(a, b, Access::Create, false)],
        libc::SYS_rmdir | libc::SYS_unlink => vec![link(here(a, Access::Remove))],
        libc::SYS_unlinkat => vec![at(a, b, Access::Remove, false)],
        libc::SYS_rename => vec![link(here(a, Access::Remove)), link(here(b, Access::Create))],
        libc::SYS_renameat | libc::SYS_renameat2 => vec![
            at(a, b, Access::Remove, false),
            at(c, d, Access::Create, false),
        ],
        libc::SYS_link => vec![link(here(a, Access::Write)), link(here(b, Access::Create))],
        libc::SYS_linkat => vec![
            at(a, b, Access::Write, false),
            at(c, d, Access::Create, false),
        ],
        libc::SYS_symlink => vec![link(here(b, Access::Create))],
        libc::SYS_symlinkat => vec![at(b, c, Access::Create, false)],
        libc::SYS_truncate
        | libc::SYS_chmod
        | libc::SYS_chown
        | libc::SYS_utime
        | libc::SYS_utimes => vec![here(a, Access::Write)],
        libc::SYS_lchown => vec![link(here(a, Access::Write))],
        libc::SYS_fchmodat | libc::SYS_fchmodat2 | libc::SYS_futimesat => {
            vec![at(a, b, Access::Write, true)]
        }
        libc::SYS_fchownat => vec![at(a, b, Access::Write, nofollow(e))],
        libc::SYS_utimensat => vec![at(a, b, Access::Write, nofollow(d))],
        _ => Vec::new(),
    }
}

/// Returns the path of `open(2)` with `flags`.
fn opened(dir: i32, address: u64, flags: u64) -> PathArg {
    let flags = int(flags);
    let has = |bits: i32| flags & bits == bits;
    let access = if has(libc::O_PATH) {
        Access::Look
    } else if has(libc::O_CREAT) || has(libc::O_TMPFILE) {
        Access::Create
    } else if flags & libc::O_ACCMODE != libc::O_RDONLY || has(libc::O_TRUNC) {
        Access::Write
    } else {
        Access::Read
    };
    PathArg {
        dir,
        address,
        access,
        follows: !(has(libc::O_NOFOLLOW) || has(libc::O_CREAT) && has(libc::O_EXCL)),
    }
}

/// Whether the call takes a new descriptor for a path.
pub(super) fn opens(number: u32) -> bool {
    let opening = [libc::SYS_open, libc::SYS_openat, libc::SYS_creat];
    opening.contains(&libc::c_long::from(number))
}

/// Whether the call makes a new task.
pub(super) fn makes_task(number: u32) -> bool {
    let making = [libc::SYS_clone, libc::SYS_fork, libc::SYS_vfork];
    making.contains(&libc::c_long::from(number))
}

/// The low 32 bits of an argument, which the kernel takes for an `int`.
#[expect(clippy::cast_possible_truncation, reason = "the kernel does the same")]
pub(super) const fn int(arg: u64) -> i32 {
    arg as u32 as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(number: libc::c_long, args: [u64; 6]) -> PathArg {
        let number = u32::try_from(number).expect("a call");
        let [path] = paths(number, args)[..] else {
            panic!("not one path")
        };
        path
    }

    #[test]
    fn flags_of_open_tell_reading_from_writing_and_creating() {
        let of = |flags: i32| {
            only(
                libc::SYS_open,
                [7, flags.cast_unsigned().into(), 0, 0, 0, 0],
            )
        };
        assert_eq!(of(libc::O_RDONLY | libc::O_CLOEXEC).access, Access::Read);
        assert_eq!(of(libc::O_RDWR).access, Access::Write);
        assert_eq!(of(libc::O_WRONLY | libc::O_TRUNC).access, Access::Write);
        assert_eq!(of(libc::O_WRONLY | libc::O_CREAT).access, Access::Create);
        assert_eq!(of(libc::O_PATH).access, Access::Look);
        assert_eq!(of(libc::O_DIRECTORY).access, Access::Read);
        assert!(!of(libc::O_NOFOLLOW).follows);
        assert_eq!(of(0).address, 7);
        assert_eq!(of(0).dir, libc::AT_FDCWD);
    }

    #[test]
    fn every_observed_call_with_a_path_has_one() {
        let without = [
            libc::SYS_connect,
            libc::SYS_clone,
            libc::SYS_fork,
            libc::SYS_vfork,
        ];
        for call in OBSERVED.iter().filter(|call| !without.contains(call)) {
            let number = u32::try_from(*call).expect("a call");
            assert!(!paths(number, [1, 2, 3, 4, 5, 6]).is_empty(), "{call}");
        }
    }

    #[test]
    fn a_rename_removes_one_path_and_creates_another() {
        let number = u32::try_from(libc::SYS_renameat2).expect("a call");
        let [from, to] = paths(number, [3, 10, 4, 20, 0, 0])[..] else {
            panic!("not two paths")
        };
        assert_eq!(
            (from.dir, from.address, from.access),
            (3, 10, Access::Remove)
        );
        assert_eq!((to.dir, to.address, to.access), (4, 20, Access::Create));
    }
}

//! How a child ended and what it used, while it is still to be reaped.

#![allow(
    unsafe_code,
    reason = "rustix and libc leave out the usage that waitid returns"
)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use crate::launch::Exit;

/// Returns how the child ended, and the processor time of the child and of what it has reaped;
/// none while it runs. It can be called again. Similar to `waitid` with
/// `WEXITED | WNOWAIT | WNOHANG`.
///
/// # Errors
///
/// The system's error: `ECHILD` where other code has reaped the child.
pub(crate) fn peek(pidfd: BorrowedFd<'_>) -> io::Result<Option<(Exit, Duration)>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    let result = loop {
        // SAFETY: the kernel writes at most a `siginfo_t` and a `rusage` into the two places, which
        // live during the call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_waitid,
                libc::P_PIDFD,
                pidfd.as_raw_fd(),
                info.as_mut_ptr(),
                libc::WEXITED | libc::WNOWAIT | libc::WNOHANG,
                usage.as_mut_ptr(),
            )
        };
        let is_interrupted =
            result < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted;
        if !is_interrupted {
            break result;
        }
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: every byte was set to zero, which is a valid value of each field.
    let info = unsafe { info.assume_init() };
    // SAFETY: as above.
    let usage = unsafe { usage.assume_init() };
    // SAFETY: after a successful waitid the fields of a child's state are set, or are zero.
    let pid = unsafe { info.si_pid() };
    if pid == 0 {
        return Ok(None);
    }
    // SAFETY: as above.
    let status = unsafe { info.si_status() };
    let exit = match info.si_code {
        libc::CLD_EXITED => Some(Exit::Code(status)),
        _ => u8::try_from(status).ok().map(Exit::Signal),
    };
    let cpu = duration(usage.ru_utime).saturating_add(duration(usage.ru_stime));
    Ok(exit.map(|exit| (exit, cpu)))
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros))
}

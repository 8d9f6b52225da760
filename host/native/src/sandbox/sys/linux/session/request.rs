//! Datagrams to the helper.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::MemfdFlags;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::super::steps::Fault;
use super::super::{helper, limits};
use super::wire::{MAX_INLINE, RELEASE, SIGNAL, SPAWN, SPAWN_DESCRIPTORS};
use crate::launch::Plan;

/// A datagram, and the strings that were too large for it.
pub(super) struct Request {
    bytes: Vec<u8>,
    strings: Option<OwnedFd>,
}

impl Request {
    /// To start what `plan` says, as the child number `child`.
    pub(super) fn spawn(child: u32, plan: &Plan, fault: Fault) -> io::Result<Self> {
        let strings = strings(plan)?;
        let shared = strings.len() > MAX_INLINE;
        let mut limits = Vec::new();
        for limit in limits::resources(&plan.limits) {
            limits.extend(u64::from(limit.resource).to_ne_bytes());
            limits.extend(limit.values.iter().flat_map(|value| value.to_ne_bytes()));
        }
        let mut words = vec![SPAWN, child];
        for count in [plan.argv.len(), plan.env.len()] {
            words
                .push(u32::try_from(count).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?);
        }
        words.extend([fault.step, fault.errno.cast_unsigned()]);
        words.push(u32::try_from(limits.len()).map_err(io::Error::other)?);
        let mut request = Self::of(&words);
        request.bytes.extend(limits);
        request.bytes.extend(u32::from(shared).to_ne_bytes());
        if shared {
            request.strings = Some(helper::sealed(
                "capspawn-strings",
                &strings,
                MemfdFlags::empty(),
            )?);
        } else {
            request.bytes.extend(strings);
        }
        Ok(request)
    }

    /// To send a signal to a child's leader, or to all of its group.
    pub(super) fn signal(child: u32, signal: u8, all: bool) -> Self {
        Self::of(&[SIGNAL, child, signal.into(), all.into()])
    }

    /// To kill what is left of a child, and forget it.
    pub(super) fn release(child: u32) -> Self {
        Self::of(&[RELEASE, child])
    }

    fn of(words: &[u32]) -> Self {
        Self {
            bytes: words.iter().flat_map(|word| word.to_ne_bytes()).collect(),
            strings: None,
        }
    }

    /// Sends the request with `descriptors`.
    pub(super) fn send(
        &self,
        control: &OwnedFd,
        descriptors: &[BorrowedFd<'_>],
        flags: SendFlags,
    ) -> io::Result<()> {
        const ROOM: usize = rustix::cmsg_space!(ScmRights(SPAWN_DESCRIPTORS + 1));
        let mut all = descriptors.to_vec();
        all.extend(self.strings.as_ref().map(AsFd::as_fd));
        let mut room = [const { MaybeUninit::uninit() }; ROOM];
        let mut ancillary = SendAncillaryBuffer::new(&mut room);
        if !all.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&all)) {
            return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
        }
        let parts = [IoSlice::new(&self.bytes)];
        loop {
            match sendmsg(control, &parts, &mut ancillary, flags | SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// The working directory, the program's path, the arguments and the environment.
fn strings(plan: &Plan) -> io::Result<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt;

    let mut strings = Vec::new();
    let mut push = |parts: &[&[u8]]| {
        for part in parts {
            if part.contains(&0) {
                return Err(io::Error::from_raw_os_error(libc::EINVAL));
            }
            strings.extend_from_slice(part);
        }
        strings.push(0);
        Ok(())
    };
    // A directory that nobody named is the session's own.
    let cwd = match plan.cwd.named {
        true => plan.cwd.path.as_os_str().as_bytes(),
        false => b"/tmp",
    };
    push(&[cwd])?;
    push(&[plan.program.path.as_os_str().as_bytes()])?;
    for argument in &plan.argv {
        push(&[argument.as_bytes()])?;
    }
    for (name, value) in &plan.env {
        push(&[name.as_bytes(), b"=", value.as_bytes()])?;
    }
    Ok(strings)
}

//! What the server is asked: a datagram with descriptors.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::MemfdFlags;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::super::steps::Fault;
use super::super::{helper, limits};
use super::answers::Answers;
use super::wire::{MAX_INLINE, SPAWN_DESCRIPTORS};
use crate::launch::{ChildStdio, Plan};

/// A datagram, and the strings that were too large for it.
pub(super) struct Request {
    bytes: Vec<u8>,
    strings: Option<OwnedFd>,
}

impl Request {
    /// To start what `plan` says on the processors `affinity` with the streams `stdio`,
    /// answered at `answers`.
    pub(super) fn new(
        plan: &Plan,
        affinity: &[u8],
        stdio: &ChildStdio,
        answers: &Answers<'_>,
        fault: Fault,
    ) -> io::Result<Self> {
        let strings = strings(plan)?;
        let shared = strings.len() > MAX_INLINE;
        let mut limits = Vec::new();
        for limit in limits::resources(&plan.limits) {
            limits.extend(u64::from(limit.resource).to_ne_bytes());
            limits.extend(limit.values.iter().flat_map(|value| value.to_ne_bytes()));
        }
        let word =
            |count| u32::try_from(count).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG));
        let words = [
            word(plan.argv.len())?,
            word(plan.env.len())?,
            fault.step,
            fault.errno.cast_unsigned(),
        ];
        let mut request = Self {
            bytes: words.iter().flat_map(|word| word.to_ne_bytes()).collect(),
            strings: None,
        };
        for block in [affinity, &limits] {
            request.bytes.extend(word(block.len())?.to_ne_bytes());
            request.bytes.extend(block);
        }
        let streams = [&stdio.stderr, &stdio.stdout, &stdio.stdin];
        let streams = streams.map(|stream| u32::from(stream.is_some()));
        let streams = streams.iter().fold(0, |bits, bit| bits << 1 | bit);
        let apart = answers.far_end().is_some();
        for word in [streams, u32::from(apart), u32::from(shared)] {
            request.bytes.extend(word.to_ne_bytes());
        }
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

    /// Sends the request with `descriptors`.
    pub(super) fn send(&self, control: &OwnedFd, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        const ROOM: usize = rustix::cmsg_space!(ScmRights(SPAWN_DESCRIPTORS));
        let mut all = descriptors.to_vec();
        all.extend(self.strings.as_ref().map(AsFd::as_fd));
        let mut room = [const { MaybeUninit::uninit() }; ROOM];
        let mut ancillary = SendAncillaryBuffer::new(&mut room);
        if !ancillary.push(SendAncillaryMessage::ScmRights(&all)) {
            return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
        }
        let parts = [IoSlice::new(&self.bytes)];
        loop {
            match sendmsg(control, &parts, &mut ancillary, SendFlags::NOSIGNAL) {
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
        false => b"",
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

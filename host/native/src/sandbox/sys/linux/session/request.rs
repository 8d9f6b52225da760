//! What the server is asked: a datagram with descriptors.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use capspawn_raw::child::Affinity;
use capspawn_raw::steps::Fault;
use capspawn_raw::wire::{MAX_INLINE, SPAWN_DESCRIPTORS, STREAMS};
use rustix::fs::MemfdFlags;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use super::reply_slot::ReplySlot;
use crate::launch::{ChildStdio, Plan};
use crate::sandbox::sys::linux::fd::memfd;
use crate::sandbox::sys::linux::spawner::rlimits;

/// A datagram, what goes along with it, and the strings that were too large for it.
pub(crate) struct Request<'a> {
    bytes: Vec<u8>,
    descriptors: Vec<BorrowedFd<'a>>,
    strings: Option<OwnedFd>,
}

impl<'a> Request<'a> {
    /// To start what `plan` says on the processors `affinity` with the streams `stdio`,
    /// answered at `answers`.
    pub(crate) fn new(
        plan: &'a Plan,
        affinity: Option<&Affinity>,
        stdio: &'a ChildStdio,
        answers: &'a ReplySlot<'_>,
        fault: Fault,
    ) -> io::Result<Self> {
        let strings = strings(plan)?;
        let shared = strings.len() > MAX_INLINE;
        let mut limits = Vec::new();
        for limit in rlimits::resources(&plan.limits) {
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
            descriptors: Vec::with_capacity(SPAWN_DESCRIPTORS),
            strings: None,
        };
        for block in [affinity.map_or(&[][..], |affinity| affinity), &limits] {
            request.bytes.extend(word(block.len())?.to_ne_bytes());
            request.bytes.extend(block);
        }
        let mut streams = 0;
        for (bit, stream) in STREAMS
            .iter()
            .zip([&stdio.stdin, &stdio.stdout, &stdio.stderr])
        {
            if let Some(stream) = stream {
                streams |= bit;
                request.descriptors.push(stream.as_fd());
            }
        }
        request.descriptors.push(plan.program.file.as_fd());
        let apart = answers.far_end();
        for word in [streams, u32::from(apart.is_some()), u32::from(shared)] {
            request.bytes.extend(word.to_ne_bytes());
        }
        request.descriptors.extend(apart);
        if shared {
            request.strings = Some(memfd::sealed(
                "capspawn-strings",
                &strings,
                MemfdFlags::empty(),
            )?);
        } else {
            request.bytes.extend(strings);
        }
        Ok(request)
    }

    /// Sends the request.
    pub(crate) fn send(&self, control: &OwnedFd) -> io::Result<()> {
        const ROOM: usize = rustix::cmsg_space!(ScmRights(SPAWN_DESCRIPTORS));
        let mut all = self.descriptors.clone();
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

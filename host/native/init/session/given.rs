//! What comes along with a request to start a child.

use super::descriptor::{Descriptor, SOCKET};
use super::socket::MAX_DESCRIPTORS;
use capspawn_raw::wire::{STREAMS, Spawn};

/// What comes along with a request.
pub(super) struct Given {
    pub(super) files: Files,
    /// The socket for the answer, where that is not the control socket.
    pub(super) answer: Option<Descriptor>,
}

/// What the child needs of it.
pub(super) struct Files {
    pub(super) streams: [Option<Descriptor>; 3],
    pub(super) program: Descriptor,
    pub(super) strings: Option<Descriptor>,
}

impl Given {
    /// None unless there are exactly as many descriptors as the request says.
    pub(super) fn take(
        request: &Spawn<'_>,
        descriptors: [Option<Descriptor>; MAX_DESCRIPTORS],
    ) -> Option<Self> {
        let mut descriptors = descriptors.into_iter().flatten();
        let mut next = |comes: bool| match comes {
            true => descriptors.next().map(Some),
            false => Some(None),
        };
        let [stdin, stdout, stderr] = STREAMS.map(|bit| next(request.streams & bit != 0));
        let streams = [stdin?, stdout?, stderr?];
        let program = next(true)??;
        let answer = next(request.apart)?;
        if answer
            .as_ref()
            .is_some_and(|answer| !has_format(answer, &[SOCKET]))
        {
            return None;
        }
        let strings = next(request.strings.is_none())?;
        let files = Files {
            streams,
            program,
            strings,
        };
        descriptors
            .next()
            .is_none()
            .then_some(Self { files, answer })
    }
}

pub(super) fn has_format(file: &Descriptor, formats: &[u32]) -> bool {
    file.stat().is_ok_and(|stat| formats.contains(&stat.format))
}

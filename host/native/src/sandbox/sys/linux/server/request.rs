//! A request to the server: a datagram with descriptors.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use capspawn_raw::affinity::Affinity;
use capspawn_raw::limit::LimitList;
use capspawn_raw::step::Fault;
use capspawn_raw::user::ChildUser;
use capspawn_raw::wire::{
    Alone, CgroupEntry, MAX_CGROUP_FILES, MAX_HEAD, MAX_INLINE, SPAWN_DESCRIPTORS, ServerRequest,
    SpawnFiles, SpawnRequest,
};
use rustix::fs::MemfdFlags;
use rustix::net::sockopt::Timeout;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::launch::{ChildStdio, Plan};
use crate::sandbox::sys::linux::cgroup::Entry;
use crate::sandbox::sys::linux::deadline::retry_in_time;
use crate::sandbox::sys::linux::fd::memfd;
use crate::sandbox::sys::linux::observe::Watched;

/// A request, and the descriptors that come along with it.
pub(crate) struct Request<'a> {
    alone: Option<AloneFiles<'a>>,
    watched: Option<&'a Watched>,
    head: Vec<u8>,
    /// Behind the head in the datagram, or in a memfd where they are many.
    strings: Strings,
    streams: [Option<BorrowedFd<'a>>; 3],
    program: BorrowedFd<'a>,
    cgroup: [Option<BorrowedFd<'a>>; MAX_CGROUP_FILES as usize],
}

/// What a child outside a session gets in addition.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AloneFiles<'a> {
    /// A variable of the environment in addition to those of the plan.
    pub(crate) variable: Option<(&'a str, &'a str)>,
    /// The working directory.
    pub(crate) cwd: BorrowedFd<'a>,
    /// The Landlock ruleset.
    pub(crate) ruleset: Option<BorrowedFd<'a>>,
    /// A sealed file with the seccomp filter.
    pub(crate) filter: Option<BorrowedFd<'a>>,
}

/// How a child outside a session changes its user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AloneUser {
    /// The user that the child becomes; none for the host's.
    pub(crate) user: Option<ChildUser>,
    /// Whether it locks its securebits.
    pub(crate) lock_securebits: bool,
}

enum Strings {
    Inline(Vec<u8>),
    Shared(OwnedFd),
}

impl<'a> Request<'a> {
    /// Returns a request to start `plan`, in the session of the server or `alone`, on the processors `affinity` with the streams
    /// `stdio`, and the resource limits `limits`. The child enters its cgroup by `cgroup`. If it is
    /// `watched`, its filter reports to the observer.
    ///
    /// # Errors
    ///
    /// `EINVAL` if a string contains a NUL, `E2BIG` if there are too many, or the error of the
    /// memfd for large ones.
    #[expect(clippy::too_many_arguments, reason = "a request has as many parts")]
    pub(crate) fn new(
        plan: &'a Plan,
        affinity: Option<&Affinity>,
        stdio: &'a ChildStdio,
        limits: LimitList,
        cgroup: Option<&'a Entry>,
        alone: Option<(AloneFiles<'a>, AloneUser)>,
        watched: Option<&'a Watched>,
        fault: Fault,
    ) -> io::Result<Self> {
        let cwd = match (&alone, plan.cwd.named) {
            // A directory that the request does not name is the session's own.
            (Some(_), _) | (None, false) => b"",
            (None, true) => plan.cwd.path.as_os_str().as_bytes(),
        };
        let variable = alone.as_ref().and_then(|(files, _)| files.variable);
        let strings = match strings(plan, cwd, variable)? {
            strings if strings.len() <= MAX_INLINE => Strings::Inline(strings),
            strings => Strings::Shared(memfd::sealed(
                "capspawn-strings",
                &strings,
                MemfdFlags::empty(),
            )?),
        };
        let streams = [&stdio.stdin, &stdio.stdout, &stdio.stderr];
        let streams = streams.map(|stream| stream.as_ref().map(AsFd::as_fd));
        let cgroup_entry = match cgroup {
            None => CgroupEntry::None,
            Some(Entry::Write(files)) => CgroupEntry::Write(count(files)?),
            Some(Entry::Clone(_)) => CgroupEntry::Clone,
        };
        let passed: &[OwnedFd] = match cgroup {
            None => &[],
            Some(Entry::Write(files)) => files,
            Some(Entry::Clone(directory)) => std::slice::from_ref(directory),
        };
        let request = SpawnRequest {
            arguments: count(&plan.argv)?,
            variables: count(&plan.env)?.saturating_add(u32::from(variable.is_some())),
            fault,
            affinity,
            limits,
            streams: streams.map(|stream| stream.is_some()),
            cgroup: cgroup_entry,
            alone: alone.map(|(files, user)| Alone {
                user: user.user,
                lock_securebits: user.lock_securebits,
                has_ruleset: files.ruleset.is_some(),
                has_filter: files.filter.is_some(),
            }),
            observed: watched.is_some(),
            strings: match &strings {
                Strings::Inline(strings) => Some(strings),
                Strings::Shared(_) => None,
            },
        };
        let mut head = Vec::with_capacity(MAX_HEAD);
        ServerRequest::Spawn(request).write_head(|part| head.extend_from_slice(part));
        Ok(Self {
            alone: alone.map(|(files, _)| files),
            watched,
            head,
            strings,
            streams,
            program: plan.program.file.as_fd(),
            cgroup: std::array::from_fn(|index| passed.get(index).map(AsFd::as_fd)),
        })
    }

    /// Sends the request.
    pub(crate) fn send(&self, control: &OwnedFd) -> io::Result<()> {
        const ROOM: usize = rustix::cmsg_space!(ScmRights(SPAWN_DESCRIPTORS));
        let (strings, shared): (&[u8], _) = match &self.strings {
            Strings::Inline(strings) => (strings, None),
            Strings::Shared(file) => (&[], Some(file.as_fd())),
        };
        let files = SpawnFiles {
            streams: self.streams,
            program: self.program,
            cgroup: self.cgroup,
            cwd: self.alone.map(|files| files.cwd),
            ruleset: self.alone.and_then(|files| files.ruleset),
            filter: match self.watched {
                Some(watched) => Some(watched.filter().as_fd()),
                None => self.alone.and_then(|files| files.filter),
            },
            observer: self.watched.map(|watched| watched.socket().as_fd()),
            strings: shared,
        };
        let passed: Vec<_> = files.into_passed().collect();
        let mut room = [const { MaybeUninit::uninit() }; ROOM];
        let mut ancillary = SendAncillaryBuffer::new(&mut room);
        if !ancillary.push(SendAncillaryMessage::ScmRights(&passed)) {
            return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
        }
        let parts = [IoSlice::new(&self.head), IoSlice::new(strings)];
        retry_in_time(control, Timeout::Send, || {
            sendmsg(control, &parts, &mut ancillary, SendFlags::NOSIGNAL)
        })?;
        Ok(())
    }
}

fn count<T>(strings: &[T]) -> io::Result<u32> {
    u32::try_from(strings.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))
}

/// Returns the working directory, the program's path, the arguments and the environment.
fn strings(plan: &Plan, cwd: &[u8], variable: Option<(&str, &str)>) -> io::Result<Vec<u8>> {
    let program = plan.program.path.as_os_str().as_bytes();
    let arguments: usize = plan.argv.iter().map(|it| it.len() + 1).sum();
    let variables = plan
        .env
        .iter()
        .map(|(name, value)| name.len() + value.len() + 2);
    let length = cwd.len() + program.len() + 2 + arguments + variables.sum::<usize>();
    let mut strings = Vec::with_capacity(length);
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
    push(&[cwd])?;
    push(&[program])?;
    for argument in &plan.argv {
        push(&[argument.as_bytes()])?;
    }
    for (name, value) in &plan.env {
        push(&[name.as_bytes(), b"=", value.as_bytes()])?;
    }
    if let Some((name, value)) = variable {
        push(&[name.as_bytes(), b"=", value.as_bytes()])?;
    }
    Ok(strings)
}

//! The private root.
//!
//! The root is a small tmpfs, or the host's `/` if the grant shows all of it. It is mounted on
//! top of the host's root, which stays the process's root until the end: absolute paths still
//! lead to the host, and paths from the new root's descriptor lead into the new root.
//! Directories to mount on are made only in the session's own file systems, never in a
//! granted one.

use core::ffi::CStr;

use super::descriptor::{DIRECTORY, Descriptor};
use super::mount::{self, NODEV, NOEXEC, NOSUID, RDONLY};
use capspawn_raw::syscall::{call, number};
use capspawn_raw::wire::{Configuration, Malformed, Operation};

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EACCES: i32 = 13;
const ENOTDIR: i32 = 20;
const EINVAL: i32 = 22;
const EROFS: i32 = 30;
const ENAMETOOLONG: i32 = 36;
const ELOOP: i32 = 40;

const DEVICES: [(&CStr, &CStr); 5] = [
    (c"/dev/null", c"null"),
    (c"/dev/zero", c"zero"),
    (c"/dev/full", c"full"),
    (c"/dev/random", c"random"),
    (c"/dev/urandom", c"urandom"),
];
/// The controlling terminal of whoever opens it. Children have none of the host's.
const OWN_TERMINAL: (&CStr, &CStr) = (c"/dev/tty", c"tty");
/// The terminals of a session, as many as there are programs with one at once. A terminal is kernel memory that no limit
/// of a process counts, about 50 KiB when its buffers are full.
const TERMINALS: &CStr = c"64";
/// What the kernel shows of the machine and not of the session: its command line, its swap files, the keys of its users.
const HIDDEN_IN_PROC: [&CStr; 4] = [c"cmdline", c"swaps", c"keys", c"key-users"];
const LINKS: [(&CStr, &CStr); 4] = [
    (c"fd", c"/proc/self/fd"),
    (c"stdin", c"/proc/self/fd/0"),
    (c"stdout", c"/proc/self/fd/1"),
    (c"stderr", c"/proc/self/fd/2"),
];

/// An error number, and the index of the operation that failed.
type OperationFailure = (i32, u32);

/// A root that is being made.
struct NewRoot<'a> {
    root: Descriptor,
    /// The file system of the session's message queues.
    queues: Option<&'a Descriptor>,
    /// The device numbers of the session's own file systems: the root, `/dev`, `/tmp` and `/dev/shm`.
    own: [Option<u64>; 4],
    dev: Option<Descriptor>,
    /// The empty file without permissions that is mounted over hidden files.
    nothing: Option<Descriptor>,
    /// The empty file that everybody may read.
    empty: Option<Descriptor>,
}

/// Makes the root by the operations of the configuration, and makes it the process's root.
pub(super) fn make(
    configuration: &Configuration<'_>,
    queues: Option<&Descriptor>,
) -> Result<(), OperationFailure> {
    let first = configuration.operations().next();
    let whole = matches!(first, Some(Ok(Operation::Bind { path, .. })) if path == c"/");
    let old = umask(0);
    let root = mount::detach_propagation().and_then(|()| NewRoot::new(whole, first, queues));
    let mut root = root.map_err(|errno| (errno, 0))?;
    for (index, operation) in (0..).zip(configuration.operations()) {
        let operation = operation.map_err(|Malformed| (EINVAL, index))?;
        if !(whole && index == 0) {
            root.apply(&operation).map_err(|errno| (errno, index))?;
        }
    }
    root.finish().map_err(|errno| (errno, u32::MAX))?;
    umask(old);
    Ok(())
}

/// Closes the mounts that the host has made, in the process that does not make the root.
pub(super) fn close_mounts(configuration: &Configuration<'_>) {
    for operation in configuration.operations() {
        if let Ok(Operation::Bind {
            mount: Some(mount), ..
        }) = operation
        {
            drop(Descriptor(mount));
        }
    }
}

fn umask(mask: usize) -> usize {
    // SAFETY: the call takes no pointer.
    unsafe { call(number::UMASK, [mask, 0, 0, 0, 0, 0]) }.unwrap_or(0o22)
}

impl<'a> NewRoot<'a> {
    fn new(
        whole: bool,
        first: Option<Result<Operation<'_>, Malformed>>,
        queues: Option<&'a Descriptor>,
    ) -> Result<Self, i32> {
        let mut own = [None; 4];
        let top = mount::exactly(mount::AT_FDCWD, c"/")?;
        let root = if whole {
            // Copied before anything is mounted on it.
            let root = match first {
                Some(Ok(Operation::Bind {
                    mount: Some(mount), ..
                })) => Descriptor(mount),
                _ => mount::copy(&top)?,
            };
            let writable = matches!(first, Some(Ok(Operation::Bind { writable: true, .. })));
            mount::restrict(&root, attributes(writable), true)?;
            root
        } else {
            let options = [(c"mode", c"755"), (c"size", c"1M"), (c"nr_inodes", c"4096")];
            let root = mount::new(c"tmpfs", &options, NOSUID | NODEV)?;
            let [first, ..] = &mut own;
            *first = Some(root.stat()?.device);
            root
        };
        mount::attach(&root, &top)?;
        Ok(Self {
            root,
            queues,
            own,
            dev: None,
            nothing: None,
            empty: None,
        })
    }

    fn apply(&mut self, operation: &Operation<'_>) -> Result<(), i32> {
        match operation {
            Operation::Bind {
                mount,
                path,
                writable,
                required,
            } => match self.bind(path, *mount, *writable) {
                Err(ENOENT | ENOTDIR) if !required => Ok(()),
                result => result,
            },
            Operation::Dev { bytes } => self.dev(*bytes),
            Operation::Proc => self.proc(),
            Operation::Tmp { bytes } => self.tmp(*bytes),
            Operation::File {
                path,
                replaces,
                contents,
            } => self.file(path, *replaces, contents),
            Operation::Pin { path } => {
                let place = mount::below(&self.root, path)?;
                mount::attach(&mount::copy(&place)?, &place)
            }
            Operation::Mask { path, required } => self.mask(path, *required),
            Operation::Alias { path, at } => self.alias(path, at),
        }
    }

    fn bind(&self, path: &CStr, made: Option<i32>, writable: bool) -> Result<(), i32> {
        let copy = match made {
            Some(mount) => Descriptor(mount),
            None => mount::copy(&mount::exactly(mount::AT_FDCWD, path)?)?,
        };
        let directory = copy.stat()?.format == DIRECTORY;
        mount::restrict(&copy, attributes(writable), true)?;
        mount::attach(&copy, &self.place(path, directory)?)
    }

    /// Shows at `at` what is at `path`, including what is hidden there. If a symbolic link in a
    /// granted directory leads there already, there is nothing to do.
    fn alias(&self, path: &CStr, at: &CStr) -> Result<(), i32> {
        let source = match mount::below(&self.root, path) {
            // An optional root that does not exist was left out.
            Err(ENOENT) => return Ok(()),
            source => source?,
        };
        let directory = source.stat()?.format == DIRECTORY;
        match self.place(at, directory) {
            Err(ELOOP | ENOTDIR | ENOENT | EROFS) => Ok(()),
            place => mount::attach(&mount::copy(&source)?, &place?),
        }
    }

    fn tmp(&mut self, bytes: u64) -> Result<(), i32> {
        let tmp = sized(bytes)?;
        let [_, _, own, _] = &mut self.own;
        *own = Some(tmp.stat()?.device);
        mount::attach(&tmp, &self.place(c"/tmp", true)?)
    }

    /// Shows a file of the session's own at `path`. A granted directory that has no such file, or has a symbolic link
    /// there, stays as it is: nothing is made in it.
    fn file(&self, path: &CStr, replaces: bool, contents: &[u8]) -> Result<(), i32> {
        let dev = self.dev.as_ref().ok_or(ENOENT)?;
        let place = match mount::below(&self.root, path) {
            Ok(_) if !replaces => return Ok(()),
            Err(ENOENT) => self.place(path, false),
            place => place,
        };
        let place = match place {
            Err(ENOENT | ENOTDIR | ELOOP) => return Ok(()),
            place => place?,
        };
        if place.stat()?.format == DIRECTORY {
            return Ok(());
        }
        mount::file_with(dev, c"own", contents)?;
        let own = mount::copy(&mount::exactly(dev.arg(), c"own")?)?;
        mount::restrict(&own, RDONLY | NOSUID | NODEV | NOEXEC, false)?;
        mount::attach(&own, &place)?;
        // The mount keeps the file; a file without a name could not have been mounted.
        mount::unlink(dev, c"own")
    }

    fn dev(&mut self, bytes: u64) -> Result<(), i32> {
        let options = [(c"mode", c"755"), (c"size", c"64k"), (c"nr_inodes", c"64")];
        let dev = mount::new(c"tmpfs", &options, NOSUID | NOEXEC)?;
        mount::attach(&dev, &self.place(c"/dev", true)?)?;
        for device in DEVICES {
            show_device(&dev, device)?;
        }
        match show_device(&dev, OWN_TERMINAL) {
            // A container may have none.
            Ok(()) | Err(ENOENT) => {}
            failed => return failed,
        }
        show_terminals(&dev)?;
        mount::directory(&dev, c"mqueue", 0o755)?;
        if let Some(queues) = self.queues {
            mount::attach(queues, &mount::exactly(dev.arg(), c"mqueue")?)?;
        }
        for (name, target) in LINKS {
            mount::link(&dev, name, target)?;
        }
        mount::directory(&dev, c"shm", 0o755)?;
        let memory = sized(bytes)?;
        mount::attach(&memory, &mount::exactly(dev.arg(), c"shm")?)?;
        mount::file(&dev, c"nothing", 0)?;
        self.nothing = Some(mount::exactly(dev.arg(), c"nothing")?);
        mount::file(&dev, c"empty", 0o444)?;
        self.empty = Some(mount::exactly(dev.arg(), c"empty")?);
        let [_, own, _, own_memory] = &mut self.own;
        *own = Some(dev.stat()?.device);
        *own_memory = Some(memory.stat()?.device);
        self.dev = Some(dev);
        Ok(())
    }

    /// Mounts a fresh `/proc`, in which a child cannot raise its protection from the kernel's killer (`oom_score_adj`),
    /// nor change the host's settings if it has root's id. The kernel refuses it where parts of the host's `/proc` are covered, as in a
    /// container; the session then has an empty one, rather than the host's.
    fn proc(&self) -> Result<(), i32> {
        let place = self.place(c"/proc", true)?;
        match mount::new(c"proc", &[], RDONLY | NOSUID | NODEV | NOEXEC) {
            Ok(proc) => {
                mount::attach(&proc, &place)?;
                self.hide_machine(&proc)
            }
            // If the root is all of the host's, this covers the host's `/proc`.
            Err(EPERM) => mount::attach(&emptiness()?, &place),
            Err(errno) => Err(errno),
        }
    }

    /// Mounts an empty file over what `/proc` shows of the machine. What this kernel does not show needs no cover.
    fn hide_machine(&self, proc: &Descriptor) -> Result<(), i32> {
        let empty = self.empty.as_ref().ok_or(ENOENT)?;
        for name in HIDDEN_IN_PROC {
            let place = match mount::exactly(proc.arg(), name) {
                Err(ENOENT) => continue,
                place => place?,
            };
            // Kernels before 6.15 copy no mount that is not attached yet.
            let cover = mount::copy(empty)?;
            mount::restrict(&cover, RDONLY | NOSUID | NODEV | NOEXEC, false)?;
            mount::attach(&cover, &place)?;
        }
        Ok(())
    }

    fn mask(&self, path: &CStr, required: bool) -> Result<(), i32> {
        let mut buffer = [0u8; 4097];
        let bytes = path.to_bytes();
        let (text, _) = buffer
            .split_at_mut_checked(bytes.len())
            .ok_or(ENAMETOOLONG)?;
        text.copy_from_slice(bytes);
        let mut length = bytes.len();
        let place = loop {
            let path = buffer.get(..=length).ok_or(ENAMETOOLONG)?;
            let path = CStr::from_bytes_until_nul(path).map_err(|_| ENAMETOOLONG)?;
            match mount::below(&self.root, path) {
                Err(ENOENT | ENOTDIR) if !required => return Ok(()),
                // The session's user cannot enter the parent either, as long as its mode stays: hide the parent.
                Err(EACCES) if !required => {
                    let parent = path.to_bytes().iter().rposition(|byte| *byte == b'/');
                    length = parent.filter(|at| *at > 0).ok_or(EACCES)?;
                    if let Some(end) = buffer.get_mut(length) {
                        *end = 0;
                    }
                }
                place => break place?,
            }
        };
        if place.stat()?.format == DIRECTORY {
            return mount::attach(&emptiness()?, &place);
        }
        let nothing = mount::copy(self.nothing.as_ref().ok_or(ENOENT)?)?;
        mount::restrict(&nothing, RDONLY | NOSUID | NODEV | NOEXEC, false)?;
        mount::attach(&nothing, &place)
    }

    /// Opens `path` below the root. Directories that are missing are made, in the session's own
    /// file systems.
    fn place(&self, path: &CStr, directory: bool) -> Result<Descriptor, i32> {
        match mount::below(&self.root, path) {
            Err(ENOENT) => {}
            place => return place,
        }
        let mut at = mount::below(&self.root, c"/")?;
        let mut names = path.to_bytes().split(|byte| *byte == b'/').peekable();
        while let Some(name) = names.next() {
            if name.is_empty() {
                continue;
            }
            let mut buffer = [0u8; 256];
            let room = buffer.get_mut(..name.len()).filter(|_| name.len() < 256);
            room.ok_or(ENAMETOOLONG)?.copy_from_slice(name);
            let text = CStr::from_bytes_until_nul(&buffer).map_err(|_| ENAMETOOLONG)?;
            let next = match mount::exactly(at.arg(), text) {
                Err(ENOENT) if self.own.contains(&Some(at.stat()?.device)) => {
                    if directory || names.peek().is_some() {
                        mount::directory(&at, text, 0o755)?;
                    } else {
                        mount::file(&at, text, 0o444)?;
                    }
                    mount::exactly(at.arg(), text)?
                }
                next => next?,
            };
            at = next;
        }
        Ok(at)
    }

    fn finish(self) -> Result<(), i32> {
        if let Some(dev) = &self.dev {
            mount::unlink(dev, c"nothing")?;
            mount::unlink(dev, c"empty")?;
            mount::restrict(dev, RDONLY, false)?;
        }
        mount::pivot(&self.root)?;
        match self.own {
            [Some(_), ..] => mount::restrict(&self.root, RDONLY, false),
            [None, ..] => Ok(()),
        }
    }
}

/// Shows a device of the host in the session's `/dev`.
fn show_device(dev: &Descriptor, (path, name): (&CStr, &CStr)) -> Result<(), i32> {
    let copy = mount::copy(&mount::exactly(mount::AT_FDCWD, path)?)?;
    mount::restrict(&copy, RDONLY | NOSUID | NOEXEC, true)?;
    mount::file(dev, name, 0o666)?;
    mount::attach(&copy, &mount::exactly(dev.arg(), name)?)
}

/// Makes the session's own pseudo-terminals: an instance of their file system shows those that were made in it, and no others.
/// Where the kernel refuses it, there are none.
fn show_terminals(dev: &Descriptor) -> Result<(), i32> {
    mount::directory(dev, c"pts", 0o755)?;
    let options = [
        (c"ptmxmode", c"666"),
        (c"mode", c"620"),
        (c"max", TERMINALS),
    ];
    let Ok(terminals) = mount::new(c"devpts", &options, NOSUID | NOEXEC) else {
        return Ok(());
    };
    mount::attach(&terminals, &mount::exactly(dev.arg(), c"pts")?)?;
    mount::link(dev, c"ptmx", c"pts/ptmx")
}

fn attributes(writable: bool) -> usize {
    NOSUID | NODEV | if writable { 0 } else { RDONLY }
}

/// Makes an empty directory that nobody may open.
fn emptiness() -> Result<Descriptor, i32> {
    let options = [(c"mode", c"000"), (c"size", c"4k"), (c"nr_inodes", c"2")];
    mount::new(c"tmpfs", &options, RDONLY | NOSUID | NODEV | NOEXEC)
}

/// Makes a directory for everybody's files with a size of `bytes`. An empty file takes memory
/// too, some hundred bytes, so the number of files is limited: one for each KiB of the size.
fn sized(bytes: u64) -> Result<Descriptor, i32> {
    // To tmpfs 0 means no limit.
    let bytes = bytes.max(1);
    let (mut size, mut files) = ([0u8; 21], [0u8; 21]);
    let options = [
        (c"mode", c"1777"),
        (c"size", decimal(bytes, &mut size)?),
        (c"nr_inodes", decimal((bytes / 1024).max(64), &mut files)?),
    ];
    mount::new(c"tmpfs", &options, NOSUID | NODEV)
}

/// Writes a number as a C string into the end of `digits`.
fn decimal(mut number: u64, digits: &mut [u8; 21]) -> Result<&CStr, i32> {
    let mut start = digits.len() - 1;
    while number > 0 {
        start -= 1;
        if let Some(digit) = digits.get_mut(start) {
            *digit = b'0' + (number % 10) as u8;
        }
        number /= 10;
    }
    let text = digits.get(start..).unwrap_or(&[]);
    CStr::from_bytes_with_nul(text).map_err(|_| EINVAL)
}

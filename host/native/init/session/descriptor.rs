//! Owned descriptors and mapped memory.

use core::ptr;

use capspawn_raw::syscall::{call, descriptor, number};

/// A descriptor, closed when dropped.
pub(super) struct Descriptor(pub(super) i32);

impl Descriptor {
    /// Takes ownership of the descriptor that a call returned.
    pub(super) fn new(result: Result<usize, i32>) -> Result<Self, i32> {
        result.map(|fd| Self(fd as i32))
    }

    /// Returns the descriptor's number.
    pub(super) fn number(&self) -> i32 {
        self.0
    }

    /// Returns the number as an argument of a call.
    pub(super) fn arg(&self) -> usize {
        descriptor(self.0)
    }

    /// Returns the attributes of the file, as `fstat(2)`.
    pub(super) fn stat(&self) -> Result<FileStat, i32> {
        let mut words = [0u64; 18];
        let args = [self.arg(), (&raw mut words).expose_provenance(), 0, 0, 0, 0];
        // SAFETY: the kernel stores the 144 bytes of a `struct stat` in `words`.
        unsafe { call(number::FSTAT, args)? };
        let [device, inode, _, mode_uid, _, special, size, ..] = words;
        Ok(FileStat {
            device,
            inode,
            format: mode_uid as u32 & 0o170_000,
            special,
            size: size as usize,
        })
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: the call takes no pointer. The descriptor belongs to this value.
        let _ = unsafe { call(number::CLOSE, [self.arg(), 0, 0, 0, 0, 0]) };
    }
}

/// The attributes of a file that the session looks at.
pub(super) struct FileStat {
    pub(super) device: u64,
    pub(super) inode: u64,
    /// The file's type: the `S_IFMT` bits of its mode.
    pub(super) format: u32,
    /// The device number, if it is a device node.
    pub(super) special: u64,
    /// In bytes.
    pub(super) size: usize,
}

pub(super) const DIRECTORY: u32 = 0o040_000;
pub(super) const REGULAR: u32 = 0o100_000;
pub(super) const PIPE: u32 = 0o010_000;
pub(super) const SOCKET: u32 = 0o140_000;
pub(super) const CHARACTERS: u32 = 0o020_000;

const PROT_READ: usize = 1;
const PROT_WRITE: usize = 2;
const MAP_PRIVATE: usize = 2;
const MAP_ANONYMOUS: usize = 0x20;
const NO_FILE: usize = usize::MAX;

/// A mapped file, unmapped when dropped.
pub(super) struct Mapped {
    start: usize,
    bytes: usize,
}

impl Mapped {
    /// Maps a file of at most `limit` bytes, which must be sealed against shrinking and writing.
    pub(super) fn new(file: &Descriptor, limit: usize) -> Result<Self, i32> {
        const EINVAL: i32 = 22;
        const F_GET_SEALS: usize = 1034;
        const SEAL_SHRINK_AND_WRITE: usize = 2 | 8;
        // SAFETY: the call takes no pointer.
        let seals = unsafe { call(number::FCNTL, [file.arg(), F_GET_SEALS, 0, 0, 0, 0])? };
        let stat = file.stat()?;
        let sealed = seals & SEAL_SHRINK_AND_WRITE == SEAL_SHRINK_AND_WRITE;
        if !sealed || stat.format != REGULAR || stat.size == 0 || stat.size > limit {
            return Err(EINVAL);
        }
        let args = [0, stat.size, PROT_READ, MAP_PRIVATE, file.arg(), 0];
        // SAFETY: the kernel chooses the address of the new mapping, so that it replaces nothing.
        let start = unsafe { call(number::MMAP, args)? };
        Ok(Self {
            start,
            bytes: stat.size,
        })
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        let start = ptr::with_exposed_provenance(self.start);
        // SAFETY: the file is mapped while `self` lives, and the seals keep everybody from writing or shrinking it.
        unsafe { core::slice::from_raw_parts(start, self.bytes) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping belongs to this value, and what `bytes` has returned borrows from it.
        let _ = unsafe { call(number::MUNMAP, [self.start, self.bytes, 0, 0, 0, 0]) };
    }
}

/// Maps as many bytes of zeroes, for good, and returns their address.
pub(super) fn memory(bytes: usize) -> Result<usize, i32> {
    let (access, flags) = (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    // SAFETY: the kernel chooses the address of the new mapping, so that it replaces nothing.
    unsafe { call(number::MMAP, [0, bytes, access, flags, NO_FILE, 0]) }
}

/// Takes all access from one page that [`memory`] has returned.
pub(super) fn guard(page: usize) -> Result<(), i32> {
    // SAFETY: the page was mapped by `memory`, and no reference to it exists.
    unsafe { call(number::MPROTECT, [page, 4096, 0, 0, 0, 0]) }.map(drop)
}

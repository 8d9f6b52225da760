//! Kernel memory behind the descriptors of a tree: the buffers of sockets and pipes, and memfds.

use std::collections::HashSet;
use std::fs;
use std::time::Instant;

use super::footprint::Footprint;
use super::proc::{number, numbers};
use super::shared::SharedMemory;
use crate::sandbox::sys::DescriptorTable;

/// The most that one pipe holds, in bytes: 1 MiB, the kernel's `pipe-max-size`.
const MOST_PER_PIPE_BYTES: u64 = 1 << 20;

/// Returns how many sockets the network namespace of the process has, in descriptors and in
/// flight: no tree in it has more.
pub(super) fn sockets_near(pid: u32) -> u64 {
    let text = fs::read(format!("/proc/{pid}/net/sockstat")).unwrap_or_default();
    number(&text, "sockets: used").unwrap_or(u64::MAX)
}

/// The buffers of one tree.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// The sockets and pipes that were counted, by the kernel's name for each.
    seen: HashSet<String>,
    bytes: u64,
    /// How many more sockets there may be that could not be read.
    unread: u64,
    /// How many descriptors wait in the queues of the sockets that were read.
    in_flight: u64,
    /// How many descriptors there was no time for.
    skipped: u64,
    most_per_socket: u64,
}

impl Buffers {
    pub(super) fn new(most_per_socket: u64) -> Self {
        Self {
            most_per_socket,
            ..Self::default()
        }
    }

    /// Adds the descriptors of all threads of a process, and the memfds among them to `shared`.
    /// After `deadline` the rest counts as not read.
    pub(super) fn add(
        &mut self,
        process: &Footprint,
        shared: &mut SharedMemory,
        deadline: Instant,
    ) {
        let pid = process.pid;
        if Instant::now() > deadline {
            self.skip(process.descriptors);
            return;
        }
        // An executed memfd stays without a descriptor and, but for its segments, without a mapping.
        if let Ok(program) = fs::metadata(format!("/proc/{pid}/exe")) {
            shared.add_file(&program);
        }
        // It has ended.
        let Some(threads) = numbers(&format!("/proc/{pid}/task")) else {
            return;
        };
        for thread in threads {
            let folder = format!("/proc/{pid}/task/{thread}/fd");
            let Some(open) = numbers(&folder) else {
                self.unread = self.unread.saturating_add(process.descriptors_of(thread));
                continue;
            };
            let table = DescriptorTable::of(pid, thread);
            for descriptor in open {
                if Instant::now() > deadline {
                    self.skip(1);
                } else {
                    self.add_descriptor((pid, thread, descriptor), table.as_ref(), shared);
                }
            }
        }
    }

    fn skip(&mut self, count: u64) {
        self.unread = self.unread.saturating_add(count);
        self.skipped = self.skipped.saturating_add(count);
    }

    fn add_descriptor(
        &mut self,
        (pid, thread, descriptor): (u32, u32, u32),
        table: Option<&DescriptorTable>,
        shared: &mut SharedMemory,
    ) {
        let path = format!("/proc/{pid}/task/{thread}/fd/{descriptor}");
        // A descriptor that is closed meanwhile has no target.
        let Ok(target) = fs::read_link(&path) else {
            return;
        };
        let name = target.to_string_lossy();
        let is_socket = name.starts_with("socket:");
        if is_socket || name.starts_with("pipe:") {
            if !self.seen.insert(name.into_owned()) {
                return;
            }
            let table = table.zip(i32::try_from(descriptor).ok());
            let bytes = table.and_then(|(table, number)| match is_socket {
                true => table.socket_bytes(number, self.most_per_socket),
                false => table.pipe_bytes(number),
            });
            match bytes {
                Some(bytes) => self.bytes = self.bytes.saturating_add(bytes),
                // It was closed meanwhile, and its number may be that of another one.
                None if fs::read_link(&path).ok() != Some(target) => {}
                None if is_socket => self.unread = self.unread.saturating_add(1),
                None => self.bytes = self.bytes.saturating_add(MOST_PER_PIPE_BYTES),
            }
            if is_socket {
                let info = format!("/proc/{pid}/task/{thread}/fdinfo/{descriptor}");
                // Each descriptor that is in flight may be a socket that no process has open.
                let in_flight = number(&fs::read(info).unwrap_or_default(), "scm_fds:");
                let in_flight = in_flight.unwrap_or(0);
                self.unread = self.unread.saturating_add(in_flight);
                self.in_flight = self.in_flight.saturating_add(in_flight);
            }
        } else if name.starts_with("/memfd:") || name.starts_with("/dev/") {
            // The name need not be true, so the device decides.
            if let Ok(file) = fs::metadata(&path) {
                shared.add_file(&file);
            }
        }
    }

    /// Returns how many memfds the tree may have that no descriptor showed, where its network namespace has `sockets`: those
    /// that wait in a queue, and any number if a socket that no process has open may wait there too.
    pub(super) fn hidden_files(&self, sockets: u64) -> u64 {
        let shown = self.seen.iter().filter(|name| name.starts_with("socket:"));
        match self.in_flight {
            0 => self.skipped,
            _ if sockets > shown.count() as u64 => u64::MAX,
            waiting => self.skipped.saturating_add(waiting),
        }
    }

    /// Returns the bytes of all buffers; what could not be read counts with the most that it can
    /// be, of no more than `sockets` in all.
    pub(super) fn bytes(&self, sockets: u64) -> u64 {
        let unread = self
            .unread
            .min(sockets)
            .saturating_mul(self.most_per_socket);
        self.bytes.saturating_add(unread)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;
    use crate::child::usage::footprint::tests::own;

    /// The buffers of this process, in which other tests open sockets at the same time.
    fn bytes() -> u64 {
        let mut buffers = Buffers::new(1 << 30);
        let deadline = Instant::now() + Duration::from_secs(60);
        buffers.add(&own(), &mut SharedMemory::new(), deadline);
        buffers.bytes
    }

    #[test]
    fn socket_buffers_count_once_however_many_descriptors_there_are() {
        let (mut writer, _reader) = UnixStream::pair().expect("a pair");
        writer.write_all(&[0; 100_000]).expect("it fits");
        let _copies: Vec<_> = (0..200).map(|_| writer.try_clone()).collect();
        let bytes = bytes();
        assert!(bytes >= 100_000);
        assert!(bytes < 100 * 100_000, "{bytes}");
    }

    #[test]
    fn what_there_was_no_time_for_counts_with_its_bound() {
        let process = Footprint {
            descriptors: 7,
            ..own()
        };
        let mut buffers = Buffers::new(1000);
        buffers.add(&process, &mut SharedMemory::new(), Instant::now());
        assert_eq!(buffers.bytes(u64::MAX), 7000);
        assert_eq!(buffers.bytes(2), 2000, "the namespace has no more sockets");
    }

    #[test]
    fn memfds_may_hide_in_queues_and_among_descriptors_that_there_was_no_time_for() {
        let mut buffers = Buffers::new(1000);
        assert_eq!(buffers.hidden_files(7), 0);
        buffers.skip(3);
        assert_eq!(buffers.hidden_files(7), 3);
        buffers.seen.insert("socket:[1]".into());
        buffers.seen.insert("pipe:[2]".into());
        buffers.in_flight = 2;
        assert_eq!(buffers.hidden_files(1), 5);
        assert_eq!(
            buffers.hidden_files(2),
            u64::MAX,
            "a socket waits in a queue"
        );
    }

    #[test]
    fn a_network_namespace_counts_its_sockets() {
        let _pair = UnixStream::pair().expect("a pair");
        let near = sockets_near(std::process::id());
        assert!((2..u64::MAX).contains(&near), "{near}");
    }
}

//! Bounded output of one stream.
//!
//! A child that writes more than its cap is not blocked and cannot fill the host's
//! memory: what exceeds the cap is read, counted and discarded. Bytes are not
//! decoded: decoding would destroy what is not text and make offsets meaningless.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A part of a captured stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Captured {
    /// The bytes from the requested offset on.
    pub data: Vec<u8>,
    /// Bytes over the cap, which were discarded.
    pub dropped: u64,
    /// Whether the end of the stream was reached, so that only what `dropped` counts
    /// is missing. It stays false where a process kept the stream open past the
    /// child's end and was killed for it.
    pub complete: bool,
}

/// The captured bytes of a whole registry, against one bound.
#[derive(Debug)]
pub(crate) struct RetainedBytes {
    used: AtomicUsize,
    max: usize,
}

impl RetainedBytes {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            max,
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether `bytes` more would be over the bound, which could hold them if it were empty.
    pub(crate) fn is_short_of(&self, bytes: usize) -> bool {
        self.used().saturating_add(bytes.min(self.max)) > self.max
    }

    /// Takes as much of `wanted` as the bound leaves.
    fn take(&self, wanted: usize) -> usize {
        let mut taken = 0;
        let _ = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                taken = wanted.min(self.max.saturating_sub(used));
                Some(used + taken)
            });
        taken
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What is kept of one stream.
#[derive(Debug, Default)]
pub(crate) struct Capture {
    data: Vec<u8>,
    cap: usize,
    /// Bytes that arrived here or that the guest read.
    seen: u64,
    /// Bytes that the guest read.
    passed: u64,
    complete: bool,
}

impl Capture {
    /// Returns an empty capture that keeps `cap_bytes` at most.
    pub(crate) fn new(cap_bytes: u64) -> Self {
        Self {
            cap: usize::try_from(cap_bytes).unwrap_or(usize::MAX),
            ..Self::default()
        }
    }

    /// Returns the capture of a stream that is not captured.
    pub(crate) fn none() -> Self {
        Self {
            complete: true,
            ..Self::default()
        }
    }

    /// Keeps as much of `bytes` as fits, and counts the rest.
    pub(crate) fn append(&mut self, bytes: &[u8], retained: &RetainedBytes) {
        self.seen += bytes.len() as u64;
        let room = self.cap - self.data.len();
        let kept = retained.take(bytes.len().min(room));
        if self.data.len() + kept > self.data.capacity() {
            // Doubling, but never past the cap.
            let target = (self.data.capacity() * 2).clamp(self.data.len() + kept, self.cap);
            self.data.reserve_exact(target - self.data.len());
        }
        self.data.extend_from_slice(&bytes[..kept]);
        if kept < bytes.len() {
            // Nothing is kept after a gap: later offsets would be wrong.
            self.cap = self.data.len();
        }
    }

    /// Returns how many of `bytes` the cap lets it keep.
    pub(crate) fn room_for(&self, bytes: usize) -> usize {
        bytes.min(self.cap - self.data.len())
    }

    /// Counts bytes that the guest reads itself.
    pub(crate) fn pass(&mut self, bytes: u64) {
        self.seen += bytes;
        self.passed += bytes;
    }

    /// The stream ended.
    pub(crate) fn finish(&mut self) {
        self.complete = true;
    }

    /// Drops the bytes, keeps the counts. They count as dropped from now on.
    pub(crate) fn discard(&mut self, retained: &RetainedBytes) {
        retained.give_back(self.data.len());
        self.data = Vec::new();
        self.cap = 0;
    }

    /// Bytes that arrived in all, those that the guest read included.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// Bytes that arrived and are neither kept nor read by the guest.
    pub(crate) fn dropped(&self) -> u64 {
        self.seen - self.passed - self.data.len() as u64
    }

    /// Returns what is kept from `offset` on.
    pub(crate) fn read(&self, offset: u64) -> Captured {
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(self.data.len());
        Captured {
            data: self.data[start..].to_vec(),
            dropped: self.dropped(),
            complete: self.complete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_unchanged_and_offsets_read_what_is_new() {
        let retained = RetainedBytes::new(1000);
        let mut capture = Capture::new(100);
        capture.append(b"a\xffb", &retained);
        assert_eq!(capture.read(0).data, b"a\xffb");
        capture.append(b"cd", &retained);
        assert_eq!(capture.read(3).data, b"cd");
        assert_eq!(capture.read(99).data, b"");
        assert!(!capture.read(0).complete);
        capture.finish();
        assert!(capture.read(0).complete);
    }

    #[test]
    fn a_stream_that_is_not_captured_is_complete_and_drops_nothing() {
        let mut capture = Capture::none();
        capture.pass(7);
        assert_eq!(capture.seen(), 7);
        let complete = Captured {
            complete: true,
            ..Captured::default()
        };
        assert_eq!(capture.read(0), complete);
    }

    #[test]
    fn what_comes_after_the_cap_is_counted() {
        let retained = RetainedBytes::new(1000);
        let mut capture = Capture::new(4);
        capture.append(b"abcdef", &retained);
        capture.append(b"gh", &retained);
        assert_eq!(capture.read(0).data, b"abcd");
        assert_eq!(capture.read(0).dropped, 4);
        assert_eq!(retained.used(), 4);
        assert!(capture.data.capacity() <= 4);
    }

    #[test]
    fn the_bound_of_the_registry_holds_over_all_captures() {
        let retained = RetainedBytes::new(5);
        let (mut a, mut b) = (Capture::new(100), Capture::new(100));
        a.append(b"abc", &retained);
        b.append(b"abc", &retained);
        assert_eq!(
            (b.read(0).data.as_slice(), b.read(0).dropped),
            (&b"ab"[..], 1)
        );
        assert!(retained.is_short_of(1));
        a.discard(&retained);
        assert_eq!(retained.used(), 2);
        assert_eq!(a.read(0).dropped, 3);
        b.append(b"z", &retained);
        assert_eq!(b.read(0).data, b"ab", "no byte is kept after a gap");
    }
}

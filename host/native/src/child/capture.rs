//! Bounded output of one stream.
//!
//! A child that writes more than its cap is not blocked and cannot fill the host's
//! memory: what exceeds the cap is read, counted and discarded. Bytes are not
//! decoded: decoding would destroy what is not text and make offsets meaningless.

use super::account::Charge;

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
    /// What is kept, charged to the owner; none where nothing is.
    charge: Option<Charge>,
}

impl Capture {
    /// Returns an empty capture that keeps as many bytes as `charge` promises.
    pub(crate) fn new(charge: Charge) -> Self {
        Self {
            cap: charge.promised(),
            charge: Some(charge),
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
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.seen += bytes.len() as u64;
        let room = bytes.len().min(self.cap - self.data.len());
        let kept = self.charge.as_mut().map_or(0, |charge| charge.keep(room));
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

    /// Returns how many of `bytes` the cap lets it keep and the owner's share lacks.
    pub(crate) fn shortfall(&self, bytes: usize) -> usize {
        let wanted = bytes.min(self.cap - self.data.len());
        let charge = self.charge.as_ref().filter(|_| wanted > 0);
        charge.map_or(0, |charge| charge.shortfall(wanted))
    }

    /// Nothing more will be kept: gives back the rest of the promise.
    pub(crate) fn settle(&mut self) {
        self.cap = self.data.len();
        self.data.shrink_to_fit();
        if let Some(charge) = &mut self.charge {
            charge.settle();
        }
    }

    /// Returns how many bytes are kept.
    pub(crate) fn kept(&self) -> usize {
        self.data.len()
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
    pub(crate) fn discard(&mut self) {
        self.data = Vec::new();
        self.cap = 0;
        self.charge = None;
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
    use std::sync::Arc;

    use super::super::account::{Account, Need, Share, Totals};
    use super::*;

    const SHARE: Share = Share {
        bytes: 1000,
        descriptors: 0,
    };

    fn account(bytes: usize) -> Arc<Account> {
        Account::new(Totals::new(bytes, 0))
    }

    fn capture(account: &Arc<Account>, cap_bytes: usize) -> Capture {
        let need = Need {
            promised: cap_bytes,
            ..Need::default()
        };
        Capture::new(account.take(SHARE, need).expect("there is room").0)
    }

    #[test]
    fn bytes_survive_unchanged_and_offsets_read_what_is_new() {
        let mut capture = capture(&account(1000), 100);
        capture.append(b"a\xffb");
        assert_eq!(capture.read(0).data, b"a\xffb");
        capture.append(b"cd");
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
        let account = account(1000);
        let mut capture = capture(&account, 4);
        capture.append(b"abcdef");
        capture.append(b"gh");
        assert_eq!(capture.read(0).data, b"abcd");
        assert_eq!(capture.read(0).dropped, 4);
        assert_eq!(account.held().0, 4);
        assert!(capture.data.capacity() <= 4);
    }

    #[test]
    fn the_owners_share_holds_over_all_its_captures() {
        let account = account(5);
        let [mut a, mut b] = [(); 2].map(|()| capture(&account, 100));
        a.append(b"abc");
        assert_eq!(b.shortfall(3), 1);
        b.append(b"abc");
        assert_eq!(
            (b.read(0).data.as_slice(), b.read(0).dropped),
            (&b"ab"[..], 1)
        );
        a.discard();
        assert_eq!(account.held().0, 2);
        assert_eq!(a.read(0).dropped, 3);
        b.append(b"z");
        assert_eq!(b.read(0).data, b"ab", "no byte is kept after a gap");
    }

    #[test]
    fn a_settled_capture_gives_back_what_it_did_not_use() {
        let account = account(100);
        let mut first = capture(&account, 100);
        first.append(b"abc");
        first.settle();
        let mut second = capture(&account, 97);
        second.append(&[b'x'; 97]);
        assert_eq!(second.read(0).dropped, 0);
        first.append(b"late");
        assert_eq!(first.read(0).data, b"abc");
        assert_eq!(first.read(0).dropped, 4);
    }
}

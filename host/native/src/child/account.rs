//! What the host holds for an owner, charged to that owner.
//!
//! An [`Account`] counts memory and descriptors against its owner's [`Share`], and [`Totals`] counts
//! the accounts against what the host has for all. What is over a share is refused, or the owner's own
//! oldest ended children make room for it; what is over a total is refused. So no owner can take what is
//! another's. A [`Charge`] or [`Descriptors`] gives back what it counts when it is dropped, together
//! with what it was taken for.
//!
//! Memory is promised before it is filled. A child's captures are promised their caps at its start,
//! and the owner takes its promises, but never more than its share, from the total at once. Its children
//! thus fill what is theirs already, and no other owner's output can leave them without. Rejected: to
//! count only what is filled. The total could then run out while a child writes, and its output would
//! be lost because of another owner.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::MAX_DECISIONS_PER_OWNER;
use crate::sandbox::sys::KeepsOpen;

/// The most that the host holds for one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Share {
    /// Bytes of memory.
    pub(crate) bytes: usize,
    /// Open descriptors.
    pub(crate) descriptors: usize,
}

/// What an account counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bytes of captured output, of arguments, and of standard input that no child has read.
    Memory,
    /// Pipes, and the descriptors by which a child is watched.
    Descriptors,
}

/// What one child takes of its owner's share, or what its end gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Need {
    /// Bytes that are there already.
    pub(crate) bytes: usize,
    /// Bytes that may come, which its captures keep.
    pub(crate) promised: usize,
    /// Descriptors.
    pub(crate) descriptors: usize,
}

/// Why something cannot be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// The owner's share lacks some of this kind.
    Share(Kind),
    /// The host has no more for anybody.
    Host,
}

/// A count with a bound.
#[derive(Debug)]
struct Total {
    used: AtomicUsize,
    max: usize,
}

impl Total {
    fn new(max: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            max,
        }
    }

    fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether `count` more are left.
    fn has(&self, count: usize) -> bool {
        count <= self.max.saturating_sub(self.used())
    }

    /// Takes all of `count`, or nothing.
    fn take(&self, count: usize) -> Result<(), Full> {
        let more = |used: usize| used.checked_add(count).filter(|sum| *sum <= self.max);
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.map(drop).map_err(|_| Full::Host)
    }

    fn give_back(&self, count: usize) {
        self.used.fetch_sub(count, Ordering::Relaxed);
    }
}

/// What the host holds for all owners together, each kind against its bound.
#[derive(Debug)]
pub(crate) struct Totals {
    bytes: Total,
    descriptors: Total,
    /// Bytes that were there and are given back, since somebody has taken this count.
    freed_bytes: AtomicUsize,
}

impl Totals {
    /// Returns empty totals with these bounds.
    pub(crate) fn new(max_bytes: usize, max_descriptors: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes: Total::new(max_bytes),
            descriptors: Total::new(max_descriptors),
            freed_bytes: AtomicUsize::new(0),
        })
    }

    /// Returns the bytes that were given back since [`Totals::forget_freed`].
    pub(crate) fn freed_bytes(&self) -> usize {
        self.freed_bytes.load(Ordering::Relaxed)
    }

    /// Counts from zero again what is given back.
    pub(crate) fn forget_freed(&self) {
        self.freed_bytes.store(0, Ordering::Relaxed);
    }

    /// Returns the share, but no more than there is at all.
    fn within(&self, share: Share) -> Share {
        Share {
            bytes: share.bytes.min(self.bytes.max),
            descriptors: share.descriptors.min(self.descriptors.max),
        }
    }

    /// Returns the bytes that are promised to the owners, and their bound.
    pub(crate) fn bytes(&self) -> (usize, usize) {
        (self.bytes.used(), self.bytes.max)
    }

    /// Returns the descriptors of all owners, and their bound.
    pub(crate) fn descriptors(&self) -> (usize, usize) {
        (self.descriptors.used(), self.descriptors.max)
    }
}

/// What the host holds for one owner.
#[derive(Debug)]
pub(crate) struct Account {
    totals: Arc<Totals>,
    held: Mutex<Held>,
    /// The threads that requests of the owner may take at once.
    turns: Arc<Semaphore>,
}

/// The counts of an account: `kept <= reserved`, and `reserved` is the lesser of `promised` and the
/// share, or `kept` where a smaller share came later.
#[derive(Debug, Default)]
struct Held {
    share_bytes: usize,
    /// The bytes that the charges may come to.
    promised: usize,
    /// The bytes that are there.
    kept: usize,
    /// The bytes that are taken from the host's total.
    reserved: usize,
    descriptors: usize,
}

impl Held {
    /// Returns what must be reserved for `promised` and `kept` bytes under a share of `share` bytes.
    fn reserve(promised: usize, kept: usize, share: usize) -> usize {
        promised.min(share).max(kept)
    }
}

impl Account {
    /// Returns an empty account beside the others of `totals`.
    pub(crate) fn new(totals: Arc<Totals>) -> Arc<Self> {
        Arc::new(Self {
            totals,
            held: Mutex::default(),
            turns: Arc::new(Semaphore::new(MAX_DECISIONS_PER_OWNER)),
        })
    }

    /// Waits until a request of the owner may take a thread, which it gives back by dropping the turn.
    /// First come, first served.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        // Nobody closes the semaphore.
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }

    /// Returns the bytes and the descriptors that are held.
    pub(crate) fn held(&self) -> (usize, usize) {
        let held = self.held.lock();
        (held.kept, held.descriptors)
    }

    /// Returns whether nothing is held or promised.
    pub(crate) fn is_empty(&self) -> bool {
        let held = self.held.lock();
        held.promised == 0 && held.descriptors == 0
    }

    /// Returns how much `need` is over `share`, of each kind; what is promised never is.
    pub(crate) fn lack(&self, share: Share, need: Need) -> Need {
        let held = self.held.lock();
        let share = self.totals.within(share);
        let over = |held: usize, need: usize, max| match need {
            0 => 0,
            need => held.saturating_add(need).saturating_sub(max),
        };
        Need {
            bytes: over(held.kept, need.bytes, share.bytes),
            promised: 0,
            descriptors: over(held.descriptors, need.descriptors, share.descriptors),
        }
    }

    /// Whether the host has what `need` takes of its totals, once this account has `freed` back.
    pub(crate) fn host_has(&self, share: Share, need: Need, freed: Need) -> bool {
        let held = self.held.lock();
        let share = self.totals.within(share);
        let reserved = Held::reserve(
            (held.promised.saturating_sub(freed.bytes))
                .saturating_add(need.bytes.saturating_add(need.promised)),
            (held.kept.saturating_sub(freed.bytes)).saturating_add(need.bytes),
            share.bytes,
        );
        let descriptors = need.descriptors.saturating_sub(freed.descriptors);
        self.totals
            .bytes
            .has(reserved.saturating_sub(held.reserved))
            && self.totals.descriptors.has(descriptors)
    }

    /// Takes what `need` says, all of it or nothing.
    pub(crate) fn take(
        self: &Arc<Self>,
        share: Share,
        need: Need,
    ) -> Result<(Charge, Descriptors), Full> {
        let descriptors = self.take_descriptors(share, need.descriptors)?;
        Ok((self.take_bytes(share, need)?, descriptors))
    }

    fn take_bytes(self: &Arc<Self>, share: Share, need: Need) -> Result<Charge, Full> {
        let mut held = self.held.lock();
        let bytes = self.totals.within(share).bytes;
        let kept = held.kept.saturating_add(need.bytes);
        if need.bytes > 0 && kept > bytes {
            return Err(Full::Share(Kind::Memory));
        }
        let charged = need.bytes.saturating_add(need.promised);
        let promised = held.promised.saturating_add(charged);
        let reserved = Held::reserve(promised, kept, bytes);
        match reserved.checked_sub(held.reserved) {
            Some(more) => self.totals.bytes.take(more)?,
            None => self.totals.bytes.give_back(held.reserved - reserved),
        }
        *held = Held {
            share_bytes: bytes,
            promised,
            kept,
            reserved,
            ..*held
        };
        Ok(Charge {
            account: Arc::clone(self),
            promised: charged,
            kept: need.bytes,
        })
    }

    fn take_descriptors(self: &Arc<Self>, share: Share, count: usize) -> Result<Descriptors, Full> {
        let mut held = self.held.lock();
        let sum = held.descriptors.saturating_add(count);
        if count > 0 && sum > self.totals.within(share).descriptors {
            return Err(Full::Share(Kind::Descriptors));
        }
        self.totals.descriptors.take(count)?;
        held.descriptors = sum;
        Ok(Descriptors {
            account: Arc::clone(self),
            count,
        })
    }

    /// Gives back `promised` bytes, of which `kept` were there.
    fn give_back(&self, promised: usize, kept: usize) {
        let mut held = self.held.lock();
        held.promised -= promised;
        held.kept -= kept;
        let reserved = Held::reserve(held.promised, held.kept, held.share_bytes);
        // Neither number has grown, so neither has what they reserve.
        self.totals.bytes.give_back(held.reserved - reserved);
        held.reserved = reserved;
        self.totals.freed_bytes.fetch_add(kept, Ordering::Relaxed);
    }
}

/// Bytes of an owner's share, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    account: Arc<Account>,
    promised: usize,
    kept: usize,
}

impl Charge {
    /// Returns the bytes that this may come to.
    pub(crate) fn promised(&self) -> usize {
        self.promised
    }

    /// Returns how many of `wanted` bytes the promise allows and the owner's share lacks.
    pub(crate) fn shortfall(&self, wanted: usize) -> usize {
        let wanted = wanted.min(self.promised - self.kept);
        let held = self.account.held.lock();
        wanted.saturating_sub(held.reserved - held.kept)
    }

    /// Fills as much of `wanted` as the promise and the owner's share leave, and returns that.
    pub(crate) fn keep(&mut self, wanted: usize) -> usize {
        let mut held = self.account.held.lock();
        let room = (self.promised - self.kept).min(held.reserved - held.kept);
        let kept = wanted.min(room);
        held.kept += kept;
        self.kept += kept;
        kept
    }

    /// Gives back what is promised beyond the bytes that are there: no more will come.
    pub(crate) fn settle(&mut self) {
        self.account.give_back(self.promised - self.kept, 0);
        self.promised = self.kept;
    }

    /// Splits off `bytes` that are there, and `promised` bytes that may come.
    pub(crate) fn split(&mut self, bytes: usize, promised: usize) -> Self {
        let kept = bytes.min(self.kept);
        let promised = promised.min(self.promised - self.kept) + kept;
        self.kept -= kept;
        self.promised -= promised;
        Self {
            account: Arc::clone(&self.account),
            promised,
            kept,
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.give_back(self.promised, self.kept);
    }
}

/// Descriptors of an owner's share, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Descriptors {
    account: Arc<Account>,
    count: usize,
}

impl Descriptors {
    /// Splits one off for `fd`, which counts until it is closed.
    pub(crate) fn with(&mut self, fd: OwnedFd) -> HeldFd {
        // The caller has counted its pipes; one that it forgot would not be charged.
        debug_assert!(self.count > 0, "a descriptor that nothing was charged for");
        let count = self.count.min(1);
        self.count -= count;
        let own = Self {
            account: Arc::clone(&self.account),
            count,
        };
        HeldFd { fd, _own: own }
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        self.account.held.lock().descriptors -= self.count;
        self.account.totals.descriptors.give_back(self.count);
    }
}

/// An open descriptor, charged to its owner until it is closed.
#[derive(Debug)]
pub(crate) struct HeldFd {
    // Before the charge: it is closed first.
    fd: OwnedFd,
    _own: Descriptors,
}

impl KeepsOpen for HeldFd {}

impl AsFd for HeldFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for HeldFd {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

#[cfg(test)]
mod tests;

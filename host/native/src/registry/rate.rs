//! The requests of an owner over time, against its rate.
//!
//! A token bucket in one number: the moment at which it will be full again. So an owner with
//! nothing but a rate takes a few bytes, and can be forgotten from that moment on.

use std::time::{Duration, Instant};

use crate::grant::Rate;

/// A token bucket: `count` requests at once, refilled evenly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// Returns a full bucket.
    pub(super) fn full(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Takes one request, if the bucket has one.
    pub(super) fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let per = rate.per.max(Duration::from_millis(1));
        if rate.count == 0 {
            return false;
        }
        let each = per / rate.count;
        let missing = self.full_at.saturating_duration_since(now);
        // The whole bucket less one request may be missing before this one.
        let enough = missing <= per.saturating_sub(each);
        if enough {
            self.full_at = now.checked_add(missing + each).unwrap_or(self.full_at);
        }
        enough
    }

    /// Returns when the bucket will be full.
    pub(super) fn full_at(&self) -> Instant {
        self.full_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(count: u32, seconds: u64) -> Rate {
        Rate {
            count,
            per: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn the_rate_refills_with_time() {
        let rate = rate(2, 60);
        let start = Instant::now();
        let mut bucket = Bucket::full(start);
        assert!(bucket.take(rate, start) && bucket.take(rate, start));
        assert!(!bucket.take(rate, start), "both are taken");
        assert_eq!(bucket.full_at(), start + Duration::from_secs(60));
        let later = start + Duration::from_secs(30);
        assert!(bucket.take(rate, later), "half the time gives one of two");
        assert!(!bucket.take(rate, later));
        let much_later = later + Duration::from_secs(3600);
        assert!(bucket.take(rate, much_later) && bucket.take(rate, much_later));
        assert!(
            !bucket.take(rate, much_later),
            "no more than the count is saved up"
        );
    }

    #[test]
    fn a_count_that_does_not_divide_the_period_is_whole_and_none_is_none() {
        let start = Instant::now();
        for count in [1, 3, 7, 1000] {
            let mut bucket = Bucket::full(start);
            let taken = (0..2000).filter(|_| bucket.take(rate(count, 1), start));
            assert_eq!(taken.count(), usize::try_from(count).expect("few"));
        }
        assert!(!Bucket::full(start).take(rate(0, 1), start));
    }
}

//! The reports made from one lasting probe, cached by confinement.
//!
//! The registry asks for a report at every spawn, to read one flag and one word of
//! it. A report is a table with a row for each dimension, so it is built once for each confinement and
//! shared from then on. The cache belongs to the findings that its reports were made
//! from: findings from a temporary shortage are not cached, so no report
//! repeats them later.

use std::sync::Arc;

use parking_lot::Mutex;

use super::findings::Findings;
use super::report::report;
use crate::confinement::{Confinement, Enforcement};

/// Reports kept, one for each confinement: as many as the policy cache holds policies.
const CAPACITY: usize = 64;

/// Findings that hold as long as the launcher, and the reports made from them.
#[derive(Debug)]
pub(crate) struct Reports {
    findings: Findings,
    cached: Mutex<Vec<(Confinement, Arc<Enforcement>)>>,
}

impl Reports {
    /// Returns an empty cache of reports about `findings`.
    pub(crate) fn new(findings: Findings) -> Self {
        Self {
            findings,
            cached: Mutex::default(),
        }
    }

    /// Returns the findings that the reports are made from.
    pub(crate) fn findings(&self) -> Findings {
        self.findings
    }

    /// Returns the report for `confinement`, building it at the first request.
    pub(crate) fn get(&self, confinement: &Confinement) -> Arc<Enforcement> {
        let mut cached = self.cached.lock();
        if let Some((_, report)) = cached.iter().find(|(key, _)| key == confinement) {
            return Arc::clone(report);
        }
        if cached.len() >= CAPACITY {
            cached.remove(0);
        }
        let report = Arc::new(report(&self.findings, confinement));
        cached.push((confinement.clone(), Arc::clone(&report)));
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confinement::{Network, Sandbox, Tier};
    use crate::sandbox::sys::linux::probe::findings::SESSION_HINT;

    fn reports() -> Reports {
        Reports::new(Findings {
            tier: Tier::B,
            tier_required: false,
            session_hint: SESSION_HINT,
            landlock: 7,
            breaches: Ok(0),
            keeps_root: false,
            sampling: Ok(()),
        })
    }

    /// Confinements that differ in one field each, so that their reports differ too.
    fn confinements() -> Vec<Confinement> {
        let mut all = vec![Confinement::default(); 4];
        all[1].sandbox = Sandbox::None;
        all[2].network = Network::Host;
        all[3].fs.deny.push("/masked".into());
        all
    }

    #[test]
    fn each_confinement_gets_its_own_report_however_often_it_is_requested() {
        let reports = reports();
        for _ in 0..2 {
            for confinement in confinements() {
                let expected = report(&reports.findings(), &confinement);
                assert_eq!(*reports.get(&confinement), expected, "{confinement:?}");
            }
        }
    }

    #[test]
    fn an_equal_confinement_shares_the_cached_report() {
        let reports = reports();
        for confinement in confinements() {
            let first = reports.get(&confinement);
            assert!(Arc::ptr_eq(&first, &reports.get(&confinement.clone())));
        }
    }

    #[test]
    fn the_cache_is_bounded_and_evicts_the_oldest_report() {
        let reports = reports();
        let confinement = |number: usize| {
            let mut confinement = Confinement::default();
            confinement.fs.read.push(format!("/{number}").into());
            confinement
        };
        let oldest = reports.get(&confinement(0));
        for number in 1..=CAPACITY {
            reports.get(&confinement(number));
        }
        assert_eq!(reports.cached.lock().len(), CAPACITY);
        let again = reports.get(&confinement(0));
        assert!(!Arc::ptr_eq(&oldest, &again));
        assert_eq!(oldest, again);
    }
}

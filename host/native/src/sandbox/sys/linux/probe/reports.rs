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
use super::owners::Users;
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

    /// Returns the report for `confinement`, building it at the first request. `users` returns
    /// the users as which its children run. A report that a shortage has affected is not kept.
    pub(crate) fn get(
        &self,
        confinement: &Confinement,
        users: impl FnOnce() -> Result<Users, Users>,
    ) -> Arc<Enforcement> {
        let find = |cached: &[(Confinement, Arc<Enforcement>)]| {
            let found = cached.iter().find(|(key, _)| key == confinement);
            found.map(|(_, report)| Arc::clone(report))
        };
        if let Some(report) = find(&self.cached.lock()) {
            return report;
        }
        // Not under the lock: it may try mounts. Two first requests at once both build the report.
        let users = users();
        let (Ok(found) | Err(found)) = users;
        let findings = Findings {
            users: found,
            ..self.findings
        };
        let report = Arc::new(report(&findings, confinement));
        if users.is_err() {
            return report;
        }
        let mut cached = self.cached.lock();
        if let Some(report) = find(&cached) {
            return report;
        }
        if cached.len() >= CAPACITY {
            cached.remove(0);
        }
        cached.push((confinement.clone(), Arc::clone(&report)));
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::confinement::{Network, Sandbox, Tier};
    use crate::sandbox::sys::linux::probe::findings::SESSION_HINT;
    use crate::sandbox::sys::linux::probe::owners::Users;

    fn reports() -> Reports {
        Reports::new(Findings {
            tier: Tier::B,
            tier_required: false,
            session_hint: SESSION_HINT,
            landlock: 7,
            breaches: Ok(0),
            keeps_root: false,
            cgroups: Err(""),
            owns_cgroups: false,
            users: Users::One,
            sampling: Ok(()),
            can_mark: true,
        })
    }

    fn one() -> Result<Users, Users> {
        Ok(Users::One)
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
                assert_eq!(*reports.get(&confinement, one), expected, "{confinement:?}");
            }
        }
    }

    #[test]
    fn an_equal_confinement_shares_the_cached_report() {
        let reports = reports();
        for confinement in confinements() {
            let first = reports.get(&confinement, one);
            assert!(Arc::ptr_eq(&first, &reports.get(&confinement.clone(), one)));
        }
    }

    #[test]
    fn a_report_that_a_shortage_has_affected_is_not_kept() {
        let (reports, confinement) = (reports(), Confinement::default());
        let short = reports.get(&confinement, || Err(Users::OneForRoots));
        let later = reports.get(&confinement, || Ok(Users::Each));
        assert_ne!(short, later);
        let kept = reports.get(&confinement, || Err(Users::OneForRoots));
        assert!(Arc::ptr_eq(&later, &kept));
    }

    #[test]
    fn the_cache_is_bounded_and_evicts_the_oldest_report() {
        let reports = reports();
        let confinement = |number: usize| {
            let mut confinement = Confinement::default();
            confinement.fs.read.push(format!("/{number}").into());
            confinement
        };
        let oldest = reports.get(&confinement(0), one);
        for number in 1..=CAPACITY {
            reports.get(&confinement(number), one);
        }
        assert_eq!(reports.cached.lock().len(), CAPACITY);
        let again = reports.get(&confinement(0), one);
        assert!(!Arc::ptr_eq(&oldest, &again));
        assert_eq!(oldest, again);
    }
}

//! Intersection: what one grant allows, narrowed by a second grant.
//!
//! Two grants are not merged when they are loaded: whether two lists of patterns
//! have an argument vector in common is only known for a given vector.

use std::sync::Arc;

use super::decision::Passed;
use crate::confinement::{Confinement, FsRoot, FsRules, Network, Sandbox};
use crate::error::{Denial, DeniedItem, SpawnError};
use crate::launch::Plan;
use crate::limits::{CaptureCaps, Limits};

/// Narrows what the first grant allows by what the second allows for the same request.
///
/// # Errors
///
/// A denial where the two grants name different programs or fixed arguments.
pub(super) fn narrow(first: &mut Passed, second: &Passed) -> Result<(), SpawnError> {
    let denied = |item, reason: &str| Denial {
        nearest: Some(second.rule.name.clone()),
        ..Denial::new(item, reason)
    };
    if !first.executable.is_same(&second.executable) {
        let reason = "the two grants name different programs";
        return Err(denied(DeniedItem::Program, reason).into());
    }
    let fixed = &second.rule.fixed;
    if !fixed.is_empty() && *fixed != first.rule.fixed {
        let reason = "the two grants set different fixed arguments";
        return Err(denied(DeniedItem::Argument, reason).into());
    }
    first.needs_approval |= second.needs_approval;
    first.allows_stdin &= second.allows_stdin;
    let plan: &mut Plan = &mut first.plan;
    plan.limits = limits(&plan.limits, &second.plan.limits);
    plan.capture = capture(plan.capture, second.plan.capture);
    plan.disclose_pid &= second.plan.disclose_pid;
    if plan.confinement != second.plan.confinement {
        plan.confinement = Arc::new(confinement(&plan.confinement, &second.plan.confinement));
    }
    Ok(())
}

fn capture(a: CaptureCaps, b: CaptureCaps) -> CaptureCaps {
    CaptureCaps {
        stdout_bytes: a.stdout_bytes.min(b.stdout_bytes),
        stderr_bytes: a.stderr_bytes.min(b.stderr_bytes),
    }
}

fn limits(a: &Limits, b: &Limits) -> Limits {
    fn least<T: Ord + Copy>(a: Option<T>, b: Option<T>) -> Option<T> {
        a.into_iter().chain(b).min()
    }
    Limits {
        wall: a.wall.min(b.wall),
        cpu: least(a.cpu, b.cpu),
        memory_bytes: least(a.memory_bytes, b.memory_bytes),
        processes: least(a.processes, b.processes),
        open_files: least(a.open_files, b.open_files),
        file_size_bytes: least(a.file_size_bytes, b.file_size_bytes),
        tmpfs_bytes: a.tmpfs_bytes.min(b.tmpfs_bytes),
        output_bytes: least(a.output_bytes, b.output_bytes),
    }
}

fn confinement(a: &Confinement, b: &Confinement) -> Confinement {
    let sandbox = match (a.sandbox, b.sandbox) {
        (Sandbox::Required, _) | (_, Sandbox::Required) => Sandbox::Required,
        (Sandbox::BestEffort, _) | (_, Sandbox::BestEffort) => Sandbox::BestEffort,
        (Sandbox::None, Sandbox::None) => Sandbox::None,
    };
    let network = match (a.network, b.network) {
        (Network::None, _) | (_, Network::None) => Network::None,
        (Network::Loopback, _) | (_, Network::Loopback) => Network::Loopback,
        (Network::Host, Network::Host) => Network::Host,
    };
    // A write root is readable too.
    let readable = |rules: &FsRules| [rules.read.clone(), rules.write.clone()].concat();
    let fs = FsRules {
        read: common(&readable(&a.fs), &readable(&b.fs)),
        write: common(&a.fs.write, &b.fs.write),
        deny: [a.fs.deny.clone(), b.fs.deny.clone()].concat(),
    };
    Confinement {
        sandbox,
        network,
        fs,
    }
}

/// Returns the roots of either list that lie below a root of the other. Resolved paths
/// are compared: a symbolic link below a root may lead out of it.
fn common(a: &[FsRoot], b: &[FsRoot]) -> Vec<FsRoot> {
    let mut roots: Vec<FsRoot> = Vec::new();
    for (inner, outer) in [(a, b), (b, a)] {
        for root in inner {
            let is_inside = outer.iter().any(|outer| root.real.starts_with(&outer.real));
            if is_inside && !roots.contains(root) {
                roots.push(root.clone());
            }
        }
    }
    roots
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn the_common_roots_are_the_inner_ones() {
        let paths = |paths: &[&str]| -> Vec<FsRoot> {
            paths
                .iter()
                .map(|path| FsRoot::resolve(path).expect("it exists"))
                .collect()
        };
        assert_eq!(
            common(&paths(&["/usr"]), &paths(&["/usr/bin", "/etc"])),
            paths(&["/usr/bin"])
        );
        assert_eq!(
            common(&paths(&["/usr"]), &paths(&["/usr"])),
            paths(&["/usr"])
        );
        assert!(common(&paths(&["/usr"]), &paths(&["/etc"])).is_empty());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/etc", &link).expect("the folder is ours");
        let [folder, link] = [folder.path().into(), link]
            .map(|path: PathBuf| FsRoot::resolve(path).expect("it exists"));
        assert!(common(&[folder], &[link]).is_empty());
    }

    #[test]
    fn the_stricter_limit_of_each_kind_wins() {
        let a = Limits {
            output_bytes: Some(1),
            cpu: None,
            ..Limits::default()
        };
        let b = Limits {
            memory_bytes: Some(2),
            ..Limits::default()
        };
        let both = limits(&a, &b);
        assert_eq!((both.output_bytes, both.memory_bytes), (Some(1), Some(2)));
        assert_eq!(both.cpu, Limits::default().cpu);
    }
}

//! The launcher that the options describe.

use std::fmt::Display;

use anyhow::{Result, bail};
use capspawn_native::grant::Identity;
use capspawn_native::sandbox::{NativeLauncher, Observer};

use crate::args::SandboxArgs;

/// Builds the launcher, which probes nothing yet, and observes children for `observer`.
///
/// # Errors
///
/// The launcher could not start children as the users of `--run-as` or `--owner-uids`:
/// reported here, not at the first child.
pub(crate) fn launcher(args: &SandboxArgs, observer: Option<Observer>) -> Result<NativeLauncher> {
    let mut launcher = NativeLauncher::builder();
    if let Some(tier) = args.tier {
        launcher = launcher.tier(tier);
    }
    if let Some(identity) = args.run_as.run_as {
        check_root("--run-as", identity, Identity::host())?;
        launcher = launcher.run_as(identity.uid, identity.gid);
    }
    if let Some(uids) = args.owner_uids {
        check_root("--owner-uids", uids, Identity::host())?;
        launcher = launcher.owner_uids(uids);
    }
    if let Some(observer) = observer {
        launcher = launcher.observer(observer);
    }
    Ok(launcher.build())
}

/// Refuses the option `name` with the value `value` for a host that is not root.
fn check_root(name: &str, value: impl Display, host: Identity) -> Result<()> {
    if host.uid != 0 {
        bail!(
            "{name} {value} requires root, and capspawn runs as {host}: \
             start capspawn as root, or omit {name}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_runs_children_as_another_user() {
        let user = Identity {
            uid: 1000,
            gid: 100,
        };
        let root = Identity { uid: 0, gid: 0 };
        let refusal =
            check_root("--run-as", Identity::NOBODY, user).expect_err("the host is not root");
        let refusal = refusal.to_string();
        assert!(
            refusal.contains("--run-as 65534:65534 requires root"),
            "{refusal}"
        );
        assert!(refusal.contains("1000:100"), "{refusal}");
        // Not even as the host's own user: the launcher would have to change its groups.
        check_root("--run-as", user, user).expect_err("the host is not root");
        check_root("--run-as", user, root).expect("root may start children as any user");
        check_root("--run-as", root, root).expect("root may start children as root");
    }
}

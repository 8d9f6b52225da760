//! The launcher that the options describe.

use anyhow::{Result, bail};
use capspawn_native::grant::Identity;
use capspawn_native::sandbox::NativeLauncher;

use crate::args::SandboxArgs;

/// Builds the launcher, which probes nothing yet.
///
/// # Errors
///
/// The launcher could not start children with the identity of `--run-as`: reported
/// here, not at the first child.
pub(crate) fn launcher(args: &SandboxArgs) -> Result<NativeLauncher> {
    let mut launcher = NativeLauncher::builder();
    if let Some(tier) = args.tier {
        launcher = launcher.tier(tier);
    }
    if let Some(identity) = args.run_as.run_as {
        check_run_as(identity, Identity::host())?;
        launcher = launcher.run_as(identity.uid, identity.gid);
    }
    Ok(launcher.build())
}

/// Refuses `--run-as` for a host that is not root.
fn check_run_as(identity: Identity, host: Identity) -> Result<()> {
    if host.uid != 0 {
        bail!(
            "--run-as {identity} requires root, and capspawn runs as {host}: \
             start capspawn as root, or omit --run-as"
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
        let refusal = check_run_as(Identity::NOBODY, user).expect_err("the host is not root");
        let refusal = refusal.to_string();
        assert!(
            refusal.contains("--run-as 65534:65534 requires root"),
            "{refusal}"
        );
        assert!(refusal.contains("1000:100"), "{refusal}");
        // Not even as the host's own user: the launcher would have to change its groups.
        check_run_as(user, user).expect_err("the host is not root");
        check_run_as(user, root).expect("root may start children as any user");
        check_run_as(root, root).expect("root may start children as root");
    }
}

//! The launcher that the command line asks for.

use anyhow::{Result, bail};
use capspawn_native::grant::Identity;
use capspawn_native::sandbox::NativeLauncher;

use crate::args::SandboxArgs;

/// Builds the launcher, which probes nothing yet. An identity that it could not
/// give a child is an error here, not at the first child.
pub(crate) fn launcher(args: &SandboxArgs) -> Result<NativeLauncher> {
    let mut launcher = NativeLauncher::builder();
    if let Some(tier) = args.tier {
        launcher = launcher.tier(tier);
    }
    if let Some(identity) = args.run_as.run_as {
        admit(identity, Identity::host())?;
        launcher = launcher.run_as(identity.uid, identity.gid);
    }
    Ok(launcher.build())
}

/// Refuses an identity that `host` cannot give.
fn admit(identity: Identity, host: Identity) -> Result<()> {
    if host.uid != 0 {
        bail!(
            "--run-as {identity} takes root, and this is {host}: start capspawn as root, or leave it out"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_runs_children_as_another() {
        let somebody = Identity {
            uid: 1000,
            gid: 100,
        };
        let root = Identity { uid: 0, gid: 0 };
        let refusal = admit(Identity::NOBODY, somebody).expect_err("it is not root");
        let refusal = refusal.to_string();
        assert!(
            refusal.contains("--run-as 65534:65534 takes root"),
            "{refusal}"
        );
        assert!(refusal.contains("1000:100"), "{refusal}");
        // Not even as itself: the launcher would have to change its groups.
        admit(somebody, somebody).expect_err("it is not root");
        admit(somebody, root).expect("root may");
        admit(root, root).expect("it is written out");
    }
}

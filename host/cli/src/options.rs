//! Options that several commands have.

use std::str::FromStr;

use capspawn_native::grant::Identity;
use capspawn_native::launch::OwnerUids;
use capspawn_native::sandbox::Tier;
use clap::Args as ClapArgs;

/// The options that say how children are confined.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct SandboxArgs {
    /// Confine children in this tier and in no other [default: the best that this host supports]
    ///
    /// A is a session of namespaces with a private root, B is Landlock and seccomp, C is seccomp
    /// alone, which does not confine files. If this host does not support the tier, no confined
    /// child starts, not even with `sandbox = "best-effort"`.
    #[arg(long, value_name = "A|B|C", help_heading = "Confinement of children")]
    pub(crate) tier: Option<Tier>,

    #[command(flatten)]
    pub(crate) run_as: RunAsArgs,

    /// The user ids of which the children of each component get one [default: 60600-61111]
    ///
    /// Components then share nothing that the kernel counts by user, and their children can
    /// neither signal nor trace each other. The group, and the owner of the files that children
    /// create in write roots, are those of `--run-as`. Only root can set this option. Without it,
    /// `--run-as` gives the children of all components the same user.
    #[arg(
        long,
        value_name = "FIRST-LAST",
        help_heading = "Confinement of children"
    )]
    pub(crate) owner_uids: Option<OwnerUids>,
}

/// The user and group that children run as.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct RunAsArgs {
    /// The user and group that children run as, and that own their files [default: 65534:65534]
    ///
    /// Two numbers. `run` and `doctor` accept this option only as root. Without root, children run
    /// as the user that started capspawn. By default, the children of each component run as a user
    /// of their own in this group, see `--owner-uids` of `run` and `doctor`, and this user owns the
    /// files that they create in write roots. Write roots must be writable for it.
    #[arg(long, value_name = "UID:GID", help_heading = "Confinement of children")]
    pub(crate) run_as: Option<Identity>,
}

impl RunAsArgs {
    /// Returns the user and group that children run as.
    pub(crate) fn identity(&self) -> Identity {
        self.run_as.unwrap_or_default()
    }
}

/// A directory of the host, and its path in the component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirMapping {
    pub(crate) host: String,
    pub(crate) guest: String,
    pub(crate) read_only: bool,
}

impl FromStr for DirMapping {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `a::ro` names the guest's directory `ro`.
        let without = text.strip_suffix(":ro").filter(|it| !it.ends_with(':'));
        let text = without.unwrap_or(text);
        let (host, guest) = text.split_once("::").unwrap_or((text, text));
        if host.is_empty() || guest.is_empty() {
            return Err(
                "expected HOST or HOST::GUEST, with or without `:ro`, and neither may be empty",
            );
        }
        Ok(Self {
            host: host.to_owned(),
            guest: guest.to_owned(),
            read_only: without.is_some(),
        })
    }
}

/// An environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl FromStr for Variable {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("expected NAME=VALUE"),
        }
    }
}

//! What a learning run may see and do, as a grant of its own.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use capspawn_native::grant::Identity;

use super::args::LearnArgs;
use super::secrets::is_secret;
use super::text;

/// Places of which a session has its own.
const OWN: [&str; 4] = ["/dev", "/proc", "/sys", "/tmp"];
/// How deep below a home or working directory secrets are looked for: `.config/gcloud`, `crate/.env`.
const DEPTH: usize = 3;
/// The most entries of one directory that are looked at.
const MAX_ENTRIES: usize = 4000;

/// What a learning run may see and do.
#[derive(Debug)]
pub(crate) struct Sight {
    /// The working directory, where there is one that can be granted.
    pub(crate) cwd: Option<PathBuf>,
    /// The home directory of who runs this.
    pub(crate) home: Option<PathBuf>,
    read: BTreeSet<PathBuf>,
    /// What it may write.
    pub(crate) write: Vec<PathBuf>,
    /// Whether it may not write below the working directory because its program lies there.
    pub(crate) holds_program: bool,
    /// What is hidden from it.
    pub(crate) hidden: BTreeSet<PathBuf>,
}

impl Sight {
    /// Works out the roots for the options.
    pub(crate) fn new(args: &LearnArgs) -> Result<Self> {
        let identity = args.sandbox.run_as.identity();
        let home = env::var_os("HOME").map(PathBuf::from);
        let home = home.and_then(|home| home.canonicalize().ok());
        // Where children run as another user, that may not read the home directory, and no grant changes that.
        let home = home.filter(|home| home.parent().is_some() && may_reach(home, identity));
        let here = env::current_dir()?.canonicalize()?;
        let may_start =
            |here: &PathBuf| is_grantable(here, home.as_deref()) && may_reach(here, identity);
        let cwd = Some(here).filter(may_start);
        let mut write = Vec::new();
        let mut holds_program = false;
        // A child must not be able to replace its program: no grant allows that.
        let program = args
            .args
            .first()
            .filter(|_| args.guest.is_none())
            .map(PathBuf::from);
        let is_program_below = |dir: &PathBuf| {
            let real = program
                .as_ref()
                .and_then(|program| program.canonicalize().ok());
            let mut all = program.iter().chain(&real);
            all.any(|program| program.starts_with(dir))
        };
        if cwd.as_ref().is_some_and(is_program_below) && !args.read_only {
            holds_program = true;
        } else if !args.read_only {
            write.extend(cwd.iter().filter(|cwd| may_write(cwd, identity)).cloned());
        }
        for dir in &args.write {
            let Ok(dir) = dir.canonicalize() else {
                bail!("--write {}: it does not exist: create it", dir.display());
            };
            write.push(dir);
        }
        let mut sight = Self {
            cwd,
            home,
            read: BTreeSet::new(),
            write,
            holds_program,
            hidden: BTreeSet::new(),
        };
        sight.add_roots();
        // A root of its own lies on top of the session's own `/tmp`.
        sight.read.extend(sight.cwd.clone());
        let searched: Vec<_> = sight
            .home
            .iter()
            .chain(&sight.cwd)
            .chain(&sight.write)
            .cloned()
            .collect();
        for dir in searched {
            sight.hide_below(&dir, DEPTH);
        }
        for file in [
            "/etc/shadow",
            "/etc/gshadow",
            "/etc/sudoers",
            "/etc/ssl/private",
        ] {
            sight
                .hidden
                .extend(Some(PathBuf::from(file)).filter(|file| file.exists()));
        }
        let hidden = sight.hidden.clone();
        sight
            .read
            .retain(|root| !hidden.iter().any(|it| root.starts_with(it)));
        Ok(sight)
    }

    /// Returns the line that comes before everything else.
    pub(crate) fn warning(&self) -> String {
        let write = match &self.write[..] {
            [] => "write nothing but its own /tmp".to_owned(),
            [one] => format!("write below {}", one.display()),
            more => format!("write below {} directories", more.len()),
        };
        format!(
            "learning: this run confines less than a grant. It may read all files but {} known places of secrets, {write}, \
             and use as much time and memory as it wants: learn only from what you trust",
            self.hidden.len()
        )
    }

    /// Adds what the root directory has. (As a root itself it would have the host's `/tmp`.)
    fn add_roots(&mut self) {
        let Ok(entries) = fs::read_dir("/") else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let is_own = OWN.iter().any(|own| path == Path::new(own));
            if !is_own && !is_secret(&path) && path.exists() {
                self.read.insert(path);
            }
        }
    }

    /// Hides the secrets below `dir`.
    fn hide_below(&mut self, dir: &Path, depth: usize) {
        let Ok(entries) = fs::read_dir(dir) else {
            return;
        };
        for entry in entries.flatten().take(MAX_ENTRIES) {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_symlink() {
                continue;
            }
            if is_secret(&path) {
                self.hidden.insert(path);
            } else if kind.is_dir() && depth > 1 {
                self.hide_below(&path, depth - 1);
            }
        }
    }

    /// Returns the grant of a learning run for the component `name`, with these lines for its command.
    pub(crate) fn grant(&self, args: &LearnArgs, name: &str, command: &str) -> String {
        let list = |paths: &mut dyn Iterator<Item = &PathBuf>| {
            text::strings(paths.map(|path| path.to_string_lossy()))
        };
        let name = text::key(name);
        let mut grant = format!(
            "version = 1\n[component.{name}]\nnetwork = \"{}\"\nmax-total = 1000000\n\
             fs = {{ read = {}, write = {}, deny = {} }}\n",
            args.network,
            list(&mut self.read.iter()),
            list(&mut self.write.iter()),
            list(&mut self.hidden.iter()),
        );
        grant += &format!(
            "limits = {{ wall = \"{}ms\", cpu = \"unlimited\", memory = \"unlimited\", processes = 4096, \
             open-files = 4096, file-size = \"unlimited\", tmpfs = \"1GiB\" }}\n",
            args.timeout.as_millis()
        );
        if let Some(cwd) = &self.cwd {
            let cwd = text::string(&cwd.to_string_lossy());
            grant += &format!("cwd = {{ default = {cwd} }}\n");
        }
        grant + &format!("[[component.{name}.command]]\n{command}\n")
    }
}

/// Whether a directory can be a root: it is neither the root nor a home, nor one that holds those of others.
pub(crate) fn is_grantable(dir: &Path, home: Option<&Path>) -> bool {
    const SHARED: [&str; 13] = [
        "/", "/home", "/root", "/etc", "/var", "/tmp", "/run", "/srv", "/mnt", "/media", "/opt",
        "/dev", "/proc",
    ];
    let is_shared = SHARED.iter().any(|shared| dir == Path::new(shared));
    !is_shared && !home.is_some_and(|home| home.starts_with(dir))
}

fn bits(found: &fs::Metadata, identity: Identity) -> u32 {
    let mode = found.mode();
    if found.uid() == identity.uid {
        mode >> 6
    } else if found.gid() == identity.gid {
        mode >> 3
    } else {
        mode
    }
}

/// Whether children can enter a directory, and those above it.
fn may_reach(dir: &Path, identity: Identity) -> bool {
    let may = |dir: &Path| fs::metadata(dir).is_ok_and(|found| bits(&found, identity) & 0o1 == 0o1);
    identity.uid == 0 || dir.ancestors().all(may)
}

fn may_write(dir: &Path, identity: Identity) -> bool {
    let may = |found: fs::Metadata| identity.uid == 0 || bits(&found, identity) & 0o3 == 0o3;
    fs::metadata(dir).is_ok_and(may)
}

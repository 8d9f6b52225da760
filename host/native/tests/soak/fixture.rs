//! One registry with tight caps, ten owners, and the requests that they make.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use capspawn_native::grant::{Grant, Grants};
use capspawn_native::sandbox::{NativeLauncher, Tier};
use capspawn_native::{Command, ExitStatus, Guest, Registry, Stdin, Stdio};

use test_kit::TEST_TIMEOUT;

use crate::random::Random;
use crate::remains::marker;

/// Owners, each of several guests.
const OWNERS: usize = 10;

/// The registry and the grants that all drivers share.
#[derive(Debug)]
pub(crate) struct Fixture {
    pub(crate) registry: Registry,
    owners: Vec<Arc<Grant>>,
}

impl Fixture {
    /// The caps on entries, captured bytes and live children are so low that a run reaches them.
    pub(crate) fn new(tier: Tier) -> Self {
        let launcher = NativeLauncher::builder().tier(tier).build();
        let registry = Registry::builder()
            .launcher(Arc::new(launcher))
            .max_entries(96)
            .max_held_bytes(4 << 20)
            .max_receipts(8)
            .build()
            .expect("the registry starts");
        let fixture = Self {
            registry,
            owners: (0..OWNERS).map(grant).collect(),
        };
        // The launcher probes the host at its first child; that must happen before the faults.
        let guest = fixture.guest(0);
        let first = guest.spawn(&sh("exit 0")).expect("there is no fault yet");
        let status = first.wait_blocking(Some(TEST_TIMEOUT));
        assert_eq!(status, Some(ExitStatus::Exited(0)));
        fixture
    }

    /// A new guest of the owner `number`, modulo their number.
    pub(crate) fn guest(&self, number: usize) -> Guest {
        let grant = self.owners[number % OWNERS].clone();
        self.registry.guest(grant, "")
    }
}

fn grant(owner: usize) -> Arc<Grant> {
    let name = format!("owner-{owner}");
    let text = format!(
        r#"
        version = 1
        [component.{name}]
        max-live = 12
        max-held-memory = "512KiB"
        max-held-children = 20
        max-held-descriptors = 40
        max-total = 1000000
        capture = {{ stdout = "64KiB", stderr = "1KiB" }}
        [[component.{name}.command]]
        name = "sh"
        program = "/bin/sh"
        args = ["-c", {{ any = true, allow-dash = true }}]
        interpreter = true
        [[component.{name}.command]]
        name = "cat"
        program = "/bin/cat"
        "#
    );
    let grants = Grants::from_toml_str(&text, Path::new("/"));
    grants.expect("the grant loads").component(&name)
}

pub(crate) fn sh(script: &str) -> Command {
    Command::new("sh").args(["-c", script])
}

/// A random request, and the output of the child if it ends without a fault.
pub(crate) fn request(random: &mut Random) -> (Command, Option<Vec<u8>>) {
    let marker = marker();
    let script = match random.below(9) {
        0 | 1 => format!("exit {}", random.below(4)),
        2 => format!("exec sleep {marker}"),
        3 => format!("sleep {marker} & sleep {marker} & wait"),
        4 => format!("(setsid sleep {marker} &); (sleep {marker} &) & exit 0"),
        5 => format!("trap '' TERM INT HUP; while :; do sleep {marker}; done"),
        6 => "yes | head -c 200000; yes | head -c 2000 >&2".into(),
        7 => {
            let bytes = vec![b'x'; usize::try_from(random.below(60_000)).unwrap_or_default()];
            let mut command = Command::new("cat");
            command.stdin = Stdin::Bytes(bytes.clone().into());
            return (command, Some(bytes));
        }
        _ => return (Command::new("no-such-command"), None),
    };
    let mut command = sh(&script);
    if random.below(3) == 0 {
        command.timeout = Some(Duration::from_millis(1 + random.below(60)));
    }
    command.stderr = match random.below(3) {
        0 => Stdio::Merged,
        1 => Stdio::Null,
        _ => Stdio::Captured,
    };
    (command, None)
}

//! Files: what lies outside the roots, and what may be done inside.

use std::os::unix::fs::symlink;

use crate::support::{Spec, scratch, tier};
use crate::table::Answer::{Open, Refused};
use crate::table::{Attack, Bare, holds, row};
use crate::verdict::{EACCES, ENOENT, EPERM, EROFS, EXDEV, admitted, refused};
use crate::world::World;
use capspawn_native::sandbox::Tier;

/// In a session what is outside is not there.
#[rustfmt::skip]
const OUTSIDE: &[Attack] = &[
    row("read", |w| w.at("read", &w.secret), Refused(ENOENT), Refused(EACCES)),
    row("write", |w| w.at("write", &w.secret), Refused(ENOENT), Refused(EACCES)),
    row("truncate", |w| w.at("truncate", &w.secret), Refused(ENOENT), Refused(EACCES)),
    row("rename", |w| everybodys(w, "rename"), Refused(ENOENT), Refused(EACCES)),
    row("unlink", |w| everybodys(w, "unlink"), Refused(ENOENT), Refused(EACCES)),
    row("list", |w| w.at("list", w.outside.path()), Refused(ENOENT), Refused(EACCES)),
    // By a detour: through a link inside, through the root, and by having the file inside.
    row("read by a link", link, Refused(ENOENT), Refused(EACCES)),
    row("read by the process' root", root, Refused(ENOENT), Refused(EACCES)),
    row("move inside", |w| w.at("move-inside", &w.secret), Refused(ENOENT), Refused(EACCES)),
    row("link inside", |w| w.at("link-inside", &w.own), Refused(ENOENT), Refused(EXDEV)),
    row("write in a read root", read_root, Refused(EROFS), Refused(EACCES)),
];

/// What the report calls fs-metadata: in tier B these get through.
#[rustfmt::skip]
const METADATA: &[Attack] = &[
    row("stat", |w| w.at("stat", &w.secret), Refused(ENOENT), Open),
    row("chdir", |w| w.at("enter", w.outside.path()), Refused(ENOENT), Open),
    row("stat of /run", |w| w.at("stat", "/run"), Refused(ENOENT), Open),
    row("stat of /sys", |w| w.at("stat", "/sys"), Refused(ENOENT), Open),
    row("stat of /home", |w| w.at("stat", "/home"), Refused(ENOENT), Open),
    row("stat of /var", |w| w.at("stat", "/var"), Refused(ENOENT), Open),
    row("inotify", |w| w.at("watch", w.outside.path()), Refused(ENOENT), Open),
    row("chmod", |w| w.at("chmod", &w.own), Refused(ENOENT), Open),
    row("utimes", |w| w.at("utimes", &w.own), Refused(ENOENT), Open),
    row("setxattr", |w| w.at("setxattr", &w.own), Refused(ENOENT), Open)
        .bare(Bare::WorksUnless(&[libc::EOPNOTSUPP])),
    row("chmod in a read root", |w| read_own(w, "chmod"), Refused(EROFS), Open),
    row("utimes in a read root", |w| read_own(w, "utimes"), Refused(EROFS), Open),
];

/// What would outlive the child, and bite who meets it.
#[rustfmt::skip]
const INSIDE: &[Attack] = &[
    row("set-id by chmod", |w| new(w, "set-id-chmod"), Refused(EPERM), Refused(EPERM)),
    row("set-id by open", |w| new(w, "set-id-create"), Refused(EPERM), Refused(EPERM)),
    row("a device", |w| new(w, "device"), Refused(EPERM), Refused(EPERM)).bare(Bare::Forbidden),
    // Neither tier knows where code is from: what may be written may be executed.
    row("execute what was written", |w| w.probe("execute-written"), Open, Open),
];

fn link(world: &World) -> Spec {
    let link = world.inside.path().join("link");
    symlink(&world.secret, &link).expect("made");
    world.at("read", link)
}

fn root(world: &World) -> Spec {
    let detour = format!("/proc/self/root{}", world.secret.display());
    world.at("read", detour)
}

/// A file that whoever may write its directory removes.
fn everybodys(world: &World, name: &str) -> Spec {
    world.at(name, &world.secret)
}

fn read_root(world: &World) -> Spec {
    let mut spec = world.at("write", &world.secret);
    spec.confinement.fs.read.push(world.outside.path().into());
    spec
}

fn read_own(world: &World, name: &str) -> Spec {
    let mut spec = world.at(name, &world.own);
    spec.confinement.fs.read.push(world.outside.path().into());
    spec
}

/// Aimed at a file of the child's own, inside.
fn new(world: &World, name: &str) -> Spec {
    let file = world.inside.path().join("new");
    if name == "set-id-chmod" {
        std::fs::copy(&world.own, &file).expect("written");
        if crate::support::is_root() {
            let nobody = Some(crate::world::NOBODY);
            std::os::unix::fs::chown(&file, nobody, nobody).expect("root may");
        }
    }
    world.at(name, file)
}

#[test]
fn what_lies_outside_the_roots_is_out_of_reach_and_what_lies_inside_is_not() {
    holds(
        OUTSIDE,
        &[
            |w| w.at("list", w.inside.path()),
            |w| w.at("create", w.inside.path().join("new")),
            |w| {
                let mut spec = read_root(w);
                spec.env.insert("CAPSPAWN_PROBE".into(), "read".into());
                spec
            },
        ],
    );
    let world = World::new();
    let new = world.inside.path().join("new");
    for name in ["create", "read", "write", "chmod", "utimes", "unlink"] {
        admitted(&world.at(name, &new));
    }
}

#[test]
fn metadata_outside_the_roots_is_the_gap_that_tier_b_reports_and_a_session_closes() {
    holds(
        METADATA,
        &[
            |w| w.at("stat", w.inside.path()),
            |w| w.at("enter", w.inside.path()),
            |w| w.at("watch", w.inside.path()),
        ],
    );
}

#[test]
fn no_file_gets_a_set_id_bit_and_no_device_is_made() {
    holds(
        INSIDE,
        &[
            |w| w.at("create", w.inside.path().join("new")),
            |w| w.at("fifo", w.inside.path().join("fifo")),
        ],
    );
}

/// A session has directories of its own by the host's names: what is written there stays there.
#[test]
fn shared_directories_of_the_host_are_refused_or_private() {
    for directory in ["/dev/shm", "/tmp"] {
        let shared = format!("{directory}/capspawn-test-{}", std::process::id());
        let spec = crate::support::probe("create").env("TARGET", &shared);
        match tier() {
            Tier::A => admitted(&spec),
            _ => refused(&spec, EACCES),
        }
        assert!(!std::path::Path::new(&shared).exists(), "it is the host's");
    }
    let folder = scratch();
    let file = folder.path().join("file");
    admitted(
        &crate::support::probe("create")
            .home(folder.path())
            .env("TARGET", file.display()),
    );
    assert!(file.exists());
}

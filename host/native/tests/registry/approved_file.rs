//! What was allowed for a guest is the file, not its name.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use capspawn_native::{Answer, Approver, Command, Grants, Guest, Question, Registry, SpawnError};

use crate::support::ended;

/// Allows everything for the guest, counts, and changes `spoiled` while it thinks.
#[derive(Default)]
struct Clerk {
    asked: AtomicUsize,
    spoiled: Option<String>,
}

impl Approver for Clerk {
    fn ask<'a>(&'a self, _: &'a Question) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        if self.asked.fetch_add(1, Ordering::Relaxed) == 0
            && let Some(path) = &self.spoiled
        {
            shell(&format!("echo >> {path}"));
        }
        Box::pin(async { Answer::AllowForThisGuest })
    }
}

/// Runs a script. Files to execute are written by another process: a test that
/// starts a child at the same time would hand it a descriptor open for writing.
fn shell(script: &str) {
    let status = std::process::Command::new("/bin/sh")
        .args(["-c", script])
        .status()
        .expect("there is a shell");
    assert!(status.success(), "{script}: {status}");
}

/// A guest that may run `path` as `tool` once asked.
fn guest(path: &str, clerk: &Arc<Clerk>) -> Guest {
    let toml = format!(
        "version = 1\n[defaults]\nsandbox = \"none\"\n[[component.test.command]]\n\
         name = \"tool\"\nprogram = \"{path}\"\ndecision = \"ask\"\n"
    );
    let grants = Grants::from_toml_str(&toml, Path::new("/")).expect("the test's grant loads");
    let registry = Registry::builder().approver(clerk.clone());
    let registry = registry.build().expect("a thread can be had");
    registry.guest(grants.component("test"), "")
}

async fn spawn(guest: &Guest) {
    let child = guest.spawn_with_approval(&Command::new("tool")).await;
    ended(&child.expect("it is approved"));
}

#[tokio::test]
async fn a_file_that_was_written_since_is_asked_about_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // A binary is held open, a script is read by its name.
    for (name, make) in [
        ("binary", "cp /bin/true"),
        ("script", "printf '#!/bin/sh\\n' > \"$0\"; : "),
    ] {
        let path = folder.path().join(name);
        let path = path.to_str().expect("it is UTF-8");
        shell(&format!(
            "set -e; {} {path}; chmod 755 {path}",
            make.replace("$0", path)
        ));
        let clerk = Arc::new(Clerk::default());
        let guest = guest(path, &clerk);
        let asked = || clerk.asked.load(Ordering::Relaxed);
        spawn(&guest).await;
        spawn(&guest).await;
        assert_eq!(asked(), 1, "{name}: the same file is asked about once");
        shell(&format!("echo >> {path}"));
        spawn(&guest).await;
        assert_eq!(asked(), 2, "{name}: it was written in place");
        spawn(&guest).await;
        assert_eq!(asked(), 2, "{name}: what it is now is approved");
        shell(&format!("cp -p {path} {path}.new; mv {path}.new {path}"));
        spawn(&guest).await;
        assert_eq!(asked(), 3, "{name}: another file has its name");
    }
}

#[tokio::test]
async fn a_file_that_was_written_under_the_question_does_not_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("tool");
    let path = path.to_str().expect("it is UTF-8");
    shell(&format!("cp /bin/true {path}"));
    let clerk = Arc::new(Clerk {
        spoiled: Some(path.to_owned()),
        ..Clerk::default()
    });
    let guest = guest(path, &clerk);
    match guest.spawn_with_approval(&Command::new("tool")).await {
        Err(SpawnError::Denied(denial)) => {
            assert_eq!(denial.reason, "it is no longer what was approved");
        }
        other => panic!("not denied: {other:?}"),
    }
    spawn(&guest).await;
    assert_eq!(clerk.asked.load(Ordering::Relaxed), 2);
}

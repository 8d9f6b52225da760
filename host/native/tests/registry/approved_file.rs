//! An approval holds for the file as it was, not for its name.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use capspawn_native::{Answer, Approver, Command, Guest, Question, Registry, SpawnError};

use crate::support::{build, ended, load};

/// Allows every request for the guest and counts the questions. At the first
/// question it writes to the file `spoiled`, as an attacker could while a person
/// decides.
#[derive(Default)]
struct CountingApprover {
    questions: AtomicUsize,
    spoiled: Option<String>,
}

impl Approver for CountingApprover {
    fn ask<'a>(&'a self, _: &'a Question) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>> {
        if self.questions.fetch_add(1, Ordering::Relaxed) == 0
            && let Some(path) = &self.spoiled
        {
            shell(&format!("echo >> {path}"));
        }
        Box::pin(async { Answer::AllowForThisGuest })
    }
}

/// Runs a script. Another process writes the files that are executed: a child
/// that another test starts meanwhile could inherit a descriptor of this one
/// that is open for writing, and the kernel executes no such file.
fn shell(script: &str) {
    let status = std::process::Command::new("/bin/sh")
        .args(["-c", script])
        .status()
        .expect("the shell starts");
    assert!(status.success(), "{script}: {status}");
}

/// A guest that may run `path` as `tool` after approval.
fn guest(path: &str, approver: &Arc<CountingApprover>) -> Guest {
    let toml = format!(
        "version = 1\n[defaults]\nsandbox = \"none\"\n[[component.test.command]]\n\
         name = \"tool\"\nprogram = \"{path}\"\ndecision = \"ask\"\n"
    );
    let registry = build(Registry::builder().approver(approver.clone()));
    registry.guest(load(&toml).component("test"), "")
}

async fn spawn(guest: &Guest) {
    let child = guest.spawn_with_approval(&Command::new("tool")).await;
    ended(&child.expect("the request is approved"));
}

#[tokio::test]
async fn a_file_that_was_changed_after_the_approval_needs_another_one() {
    let folder = tempfile::tempdir().expect("/tmp is writable");
    // The grant holds a binary open; the kernel reads a script by its name.
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
        let approver = Arc::new(CountingApprover::default());
        let guest = guest(path, &approver);
        let questions = || approver.questions.load(Ordering::Relaxed);
        spawn(&guest).await;
        spawn(&guest).await;
        assert_eq!(questions(), 1, "{name}: the same file needs one approval");
        shell(&format!("echo >> {path}"));
        spawn(&guest).await;
        assert_eq!(questions(), 2, "{name}: it was written in place");
        spawn(&guest).await;
        assert_eq!(questions(), 2, "{name}: the changed file is approved now");
        shell(&format!("cp -p {path} {path}.new; mv {path}.new {path}"));
        spawn(&guest).await;
        assert_eq!(questions(), 3, "{name}: another file took its name");
    }
}

#[tokio::test]
async fn a_file_that_is_written_while_the_approver_decides_does_not_run() {
    let folder = tempfile::tempdir().expect("/tmp is writable");
    let path = folder.path().join("tool");
    let path = path.to_str().expect("it is UTF-8");
    shell(&format!("cp /bin/true {path}"));
    let approver = Arc::new(CountingApprover {
        spoiled: Some(path.to_owned()),
        ..CountingApprover::default()
    });
    let guest = guest(path, &approver);
    match guest.spawn_with_approval(&Command::new("tool")).await {
        Err(SpawnError::Denied(denial)) => {
            assert_eq!(denial.reason, "it is no longer what was approved");
        }
        other => panic!("not denied: {other:?}"),
    }
    spawn(&guest).await;
    assert_eq!(approver.questions.load(Ordering::Relaxed), 2);
}

//! Files that the host replaces while a guest runs children: what a whole grant makes of it.

use std::path::Path;
use std::sync::{Arc, Mutex};

use capspawn_native::grant::Grants;
use capspawn_native::{Child, Command, Event, EventKind, ExitStatus, Guest, KillReason, Registry};
use tempfile::TempDir;
use test_kit::{TEST_TIMEOUT, eventually, scratch};

use crate::launcher::own_launcher;
use crate::session::is_session;

type Events = Arc<Mutex<Vec<Event>>>;

/// Runs a script of the host's.
fn host(dir: &Path, text: &str) {
    let mut shell = std::process::Command::new("/bin/sh");
    let shell = shell.args(["-c", &format!("set -e; umask 0; {text}")]);
    let status = shell.current_dir(dir).status().expect("the shell starts");
    assert!(status.success(), "{text}: {status}");
}

/// A guest that may run `sh` with any script, and the script `tool` of `dir`.
fn guest(dir: &Path, component: &str) -> (Guest, Events) {
    let text = format!(
        "version = 1\n[component.test]\n{component}\n\
         [[component.test.command]]\nname = \"sh\"\nprogram = \"/bin/sh\"\n\
         args = [\"-c\", {{ any = true, allow-dash = true }}]\ninterpreter = true\n\
         [[component.test.command]]\nname = \"tool\"\nprogram = \"{}/tool\"\n",
        dir.display()
    );
    let grants = Grants::from_toml_str(&text, dir).expect("the grant loads");
    let events = Events::default();
    let seen = Arc::clone(&events);
    let builder = Registry::builder().launcher(own_launcher());
    let builder = builder.on_event(move |event| seen.lock().expect("sound").push(event.clone()));
    let registry = builder.build().expect("the registry starts");
    (registry.guest(grants.component("test"), ""), events)
}

fn folder() -> TempDir {
    let dir = scratch();
    host(
        dir.path(),
        "mkdir bin bin/two; for n in bin/one bin/two/tool; do printf '#!/bin/sh\\necho %s\\n' $n > $n; chmod 755 $n; done; \
         chmod 755 bin bin/two .; ln -s bin/one tool; mkdir ws; echo first > ws/secret",
    );
    dir
}

fn ended(child: &Child) -> ExitStatus {
    child
        .wait_blocking(Some(TEST_TIMEOUT))
        .expect("the child ends")
}

/// Runs a command to its end, and returns its output.
fn output(guest: &Guest, command: &Command) -> String {
    let child = guest.spawn(command).expect("it starts");
    ended(&child);
    eventually("all output is read", || child.captured(0, 0).0.complete);
    String::from_utf8(child.captured(0, 0).0.data).expect("text")
}

fn sh(text: &str) -> Command {
    Command::new("sh").args(["-c", text])
}

#[test]
fn a_child_that_could_see_a_denied_file_is_killed_and_the_event_says_why() {
    if !is_session() {
        return;
    }
    let dir = folder();
    let (guest, events) = guest(
        dir.path(),
        "fs = { write = [\"ws\"], deny = [\"ws/secret\"] }",
    );
    let child = guest.spawn(&sh("exec sleep 1000")).expect("it starts");
    host(dir.path(), "echo SECRET > n; mv n ws/secret");
    assert_eq!(ended(&child), ExitStatus::Killed(KillReason::Host));
    let reason = || {
        let events = events.lock().expect("sound");
        events.iter().find_map(|event| match &event.kind {
            EventKind::Exit { reason, .. } => Some(reason.clone()),
            _ => None,
        })
    };
    eventually("the exit is reported", || reason().is_some());
    let reason = reason().flatten().expect("there is a reason");
    let path = dir.path().join("ws/secret");
    assert!(reason.contains(&path.display().to_string()), "{reason}");
    assert!(
        reason.contains("fs.deny") && reason.contains("Start them again"),
        "{reason}"
    );
    let read = format!("cat {}; echo end", path.display());
    assert_eq!(output(&guest, &sh(&read)), "end\n");
}

#[test]
fn an_exit_without_a_change_has_no_reason() {
    let dir = folder();
    let (guest, events) = guest(dir.path(), "fs = { read = [\"ws\"] }");
    output(&guest, &sh("true"));
    let is_exit = |event: &Event| matches!(event.kind, EventKind::Exit { reason: None, .. });
    eventually("the exit is reported", || {
        events.lock().expect("sound").iter().any(is_exit)
    });
}

/// The script lies in no root, so it is one of its own; the decision sees the file that its path
/// names.
#[test]
fn a_replaced_script_runs_as_it_was_replaced() {
    let dir = folder();
    let (guest, _events) = guest(dir.path(), "");
    let tool = Command::new("tool");
    assert_eq!(output(&guest, &tool), "bin/one\n");
    host(
        dir.path(),
        "printf '#!/bin/sh\\necho renamed\\n' > n; chmod 755 n; mv n bin/one",
    );
    assert_eq!(output(&guest, &tool), "renamed\n");
    host(dir.path(), "ln -s bin/two/tool n; mv n tool");
    assert_eq!(output(&guest, &tool), "bin/two/tool\n");
    host(
        dir.path(),
        "rm tool; printf '#!/bin/sh\\necho copied\\n' > tool; chmod 755 tool",
    );
    assert_eq!(output(&guest, &tool), "copied\n");
    host(dir.path(), "printf '#!/bin/cat\\nwritten\\n' > tool");
    assert_eq!(output(&guest, &tool), "#!/bin/cat\nwritten\n");
}

#[test]
fn a_script_runs_with_the_arguments_that_env_splits() {
    let dir = folder();
    host(
        dir.path(),
        "printf '#!/usr/bin/env -S sh -e\\necho split; false; echo after\\n' > n; chmod 755 n; mv n bin/one",
    );
    let (guest, _events) = guest(dir.path(), "");
    assert_eq!(output(&guest, &Command::new("tool")), "split\n");
}

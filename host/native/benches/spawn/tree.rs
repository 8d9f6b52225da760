//! The end of a tree of a thousand processes, against one killpg.
//!
//! The kill is over when the last process has closed the pipe that all of them hold:
//! the exit of the leader does not show that the others have ended.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use capspawn_native::EventKind;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::baseline;
use crate::forms::{self, Form};
use crate::report::{Figure, Report};
use crate::statistics::{Summary, Unit, by_turns, seconds};

/// The shell and its 999 children.
const SCRIPT: &str = "i=0
while [ $i -lt 999 ]; do sleep 1000 & i=$((i+1)); done
echo ready
wait";

pub(crate) fn measure(form: &Form, report: &mut Report) {
    let leader = Arc::new(AtomicU32::new(0));
    let recorded = Arc::clone(&leader);
    let registry = form.registry().on_event(move |event| {
        if let EventKind::Spawn { pid, .. } = event.kind {
            recorded.store(pid, Ordering::Relaxed);
        }
    });
    let guest = forms::guest(&forms::build(registry), None);
    let command = capspawn_native::Command::new("sh").args(["-c", SCRIPT]);
    let runtime = baseline::runtime();
    let mut survivors = 0;
    let pair = by_turns(Unit::Seconds, 7, killpg, || {
        let child = guest.spawn(&command).unwrap_or_else(|e| panic!("{e}"));
        while !child.captured(0, 0).0.data.ends_with(b"ready\n") {
            assert_eq!(child.poll(), None, "the tree is not complete");
            std::thread::yield_now();
        }
        let time = seconds(|| {
            child.kill(Duration::ZERO);
            runtime.block_on(child.waiter().completed());
        });
        survivors += members(leader.load(Ordering::Relaxed));
        time
    });
    let figure = Figure {
        name: "kill of a tree of 1000 processes",
        baseline: "killpg",
        target: "1.3",
    };
    report.pair(form, figure, &pair);
    let survivors = Summary::new(Unit::Processes, vec![survivors as f64]);
    report.single(form, "survivors of these kills", "none", &survivors);
}

fn killpg() -> f64 {
    let mut leader = Command::new("/bin/sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("it starts");
    let mut stdout = BufReader::new(leader.stdout.take().expect("it is piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a pipe");
    assert_eq!(line, "ready\n", "the tree is not complete");
    let group = Pid::from_child(&leader);
    seconds(|| {
        kill_process_group(group, Signal::KILL).expect("it runs");
        stdout.read_to_end(&mut Vec::new()).expect("a pipe");
        leader.wait().expect("it ends");
    })
}

/// Returns how many processes of the group `leader` exist, zombies excepted.
fn members(leader: u32) -> usize {
    let processes = fs::read_dir("/proc").expect("proc is there").flatten();
    let stats = processes.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let leader = leader.to_string();
    stats
        .filter(|stat| {
            // After the name in parentheses: state, parent, group.
            let mut fields = stat.rsplit(')').next().unwrap_or_default().split(' ');
            fields.nth(1).is_some_and(|state| state != "Z") && fields.nth(1) == Some(&leader)
        })
        .count()
}

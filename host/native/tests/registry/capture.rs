//! Bounded output.

use capspawn_native::{Command, ExitStatus, Registry};

use crate::support::*;

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc is there");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("a resident size");
    let kib: u64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .expect("a number");
    kib * 1024
}

#[test]
fn two_hundred_megabytes_leave_the_host_flat_and_the_count_right() {
    if !is_alone("capture::two_hundred_megabytes_leave_the_host_flat_and_the_count_right") {
        return;
    }
    let guest = guest();
    let before = resident_bytes();
    let child = guest
        .spawn(&sh("exec head -c 200000000 /dev/zero"))
        .expect("allowed");
    let (status, out, _) = output(&child);
    assert_eq!(status, ExitStatus::Exited(0));
    assert_eq!(out.data.len(), 1024 * 1024);
    assert_eq!(out.dropped, 200_000_000 - 1024 * 1024);
    assert!(out.complete);
    let grown = resident_bytes().saturating_sub(before);
    // One scratch buffer and one capture; a host that kept the output would show 200 MB.
    assert!(grown < 16 * 1024 * 1024, "the host grew by {grown} bytes");
}

#[test]
fn bytes_that_are_no_text_survive() {
    let guest = guest();
    let child = guest.spawn(&sh(r"printf 'a\377b\000c'")).expect("allowed");
    assert_eq!(output(&child).1.data, b"a\xffb\0c");
}

#[test]
fn a_child_that_fills_both_streams_does_not_block() {
    let guest = guest();
    let script =
        "head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2";
    let (status, out, err) = output(&guest.spawn(&sh(script)).expect("allowed"));
    assert_eq!(status, ExitStatus::Exited(0));
    assert_eq!(out.data.len() as u64 + out.dropped, 3_000_000);
    assert_eq!(err.data.len() as u64 + err.dropped, 6_000_000);
    assert_eq!(err.data.len(), 64 * 1024);
}

#[test]
fn children_at_once_do_not_mix_their_output() {
    let guest = guest();
    let spawn = |text: &str| guest.spawn(&sh(&format!("for i in 1 2 3; do echo {text}; done")));
    let (a, b) = (
        spawn("aaa").expect("allowed"),
        spawn("bbb").expect("allowed"),
    );
    assert_ne!(a.id(), b.id());
    assert_eq!(output(&a).1.data, b"aaa\naaa\naaa\n");
    assert_eq!(output(&b).1.data, b"bbb\nbbb\nbbb\n");
}

#[test]
fn the_bound_over_all_captures_makes_ended_ones_go() {
    let registry = Registry::builder()
        .max_retained_bytes(100_000)
        .build()
        .expect("a thread");
    let guest = registry.guest(grant("test", ""), "");
    let first = guest
        .spawn(&sh("head -c 80000 /dev/zero"))
        .expect("allowed");
    assert_eq!(output(&first).1.data.len(), 80_000);
    let second = guest
        .spawn(&sh("head -c 80000 /dev/zero; head -c 10000 /dev/zero"))
        .expect("allowed");
    let (_, out, _) = output(&second);
    assert_eq!(out.data.len() as u64 + out.dropped, 90_000);
    assert!(first.captured(0, 0).0.data.len() + out.data.len() <= 100_000);
}

#[test]
fn capture_caps_are_the_grants() {
    let guest = registry().guest(grant("test", r#"capture = { stdout = "10B" }"#), "");
    let command = Command {
        ..sh("printf 0123456789abc")
    };
    let (_, out, _) = output(&guest.spawn(&command).expect("allowed"));
    assert_eq!((out.data.as_slice(), out.dropped), (&b"0123456789"[..], 3));
}

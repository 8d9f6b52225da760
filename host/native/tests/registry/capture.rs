//! Captured output and its bounds.

use capspawn_native::{ExitStatus, Registry};

use crate::support::*;

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("the file has a line VmRSS");
    let kib: u64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .expect("a number");
    kib * 1024
}

#[test]
fn two_hundred_megabytes_of_output_are_counted_and_do_not_grow_the_host() {
    if !is_alone(test_name!()) {
        return;
    }
    let guest = guest();
    let before = resident_bytes();
    let child = guest
        .spawn(&sh("exec head -c 200000000 /dev/zero"))
        .expect("the grant allows it");
    let (status, out, _) = output(&child);
    assert_eq!(status, ExitStatus::Exited(0));
    assert_eq!(out.data.len(), 1024 * 1024);
    assert_eq!(out.dropped, 200_000_000 - 1024 * 1024);
    assert!(out.complete);
    let grown = resident_bytes().saturating_sub(before);
    // One read buffer and one capture; a host that kept the output would grow by 200 MB.
    assert!(grown < 16 * 1024 * 1024, "the host grew by {grown} bytes");
}

#[test]
fn bytes_that_are_not_text_are_captured_unchanged() {
    let guest = guest();
    let child = guest
        .spawn(&sh(r"printf 'a\377b\000c'"))
        .expect("the grant allows it");
    assert_eq!(output(&child).1.data, b"a\xffb\0c");
}

#[test]
fn a_child_that_fills_both_streams_does_not_block() {
    let guest = guest();
    let script =
        "head -c 3000000 /dev/zero >&2; head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2";
    let (status, out, err) = output(&guest.spawn(&sh(script)).expect("the grant allows it"));
    assert_eq!(status, ExitStatus::Exited(0));
    assert_eq!(out.data.len() as u64 + out.dropped, 3_000_000);
    assert_eq!(err.data.len() as u64 + err.dropped, 6_000_000);
    assert_eq!(err.data.len(), 64 * 1024);
}

#[test]
fn children_that_run_at_once_do_not_mix_their_output() {
    let guest = guest();
    let spawn = |text: &str| guest.spawn(&sh(&format!("for i in 1 2 3; do echo {text}; done")));
    let (a, b) = (
        spawn("aaa").expect("the grant allows it"),
        spawn("bbb").expect("the grant allows it"),
    );
    assert_ne!(a.id(), b.id());
    assert_eq!(output(&a).1.data, b"aaa\naaa\naaa\n");
    assert_eq!(output(&b).1.data, b"bbb\nbbb\nbbb\n");
}

#[test]
fn the_cap_on_all_captured_output_evicts_that_of_ended_children() {
    let registry = build(Registry::builder().max_held_bytes(100_000));
    let guest = registry.guest(grant("test", ""), "");
    let first = guest
        .spawn(&sh("head -c 80000 /dev/zero"))
        .expect("the grant allows it");
    assert_eq!(output(&first).1.data.len(), 80_000);
    let second = guest
        .spawn(&sh("head -c 80000 /dev/zero; head -c 10000 /dev/zero"))
        .expect("the grant allows it");
    let (_, out, _) = output(&second);
    assert_eq!((out.data.len(), out.dropped), (90_000, 0));
    assert_eq!(first.captured(0, 0).0.data, b"", "it made room");
}

#[test]
fn running_children_share_the_cap_on_all_captured_output() {
    let registry = build(Registry::builder().max_held_bytes(100_000));
    let guest = registry.guest(grant("test", ""), "");
    let running = guest
        .spawn(&sh("head -c 80000 /dev/zero; exec sleep 600"))
        .expect("the grant allows it");
    eventually("the output of the first child", || {
        running.captured(0, 0).0.data.len() == 80_000
    });
    let second = guest
        .spawn(&sh("head -c 90000 /dev/zero"))
        .expect("the grant allows it");
    let (_, out, _) = output(&second);
    // The arguments of both take some of it.
    assert!((19_800..20_000).contains(&out.data.len()));
    assert_eq!(out.data.len() as u64 + out.dropped, 90_000);
}

#[test]
fn the_grant_sets_the_caps_of_the_capture() {
    let guest = registry().guest(grant("test", r#"capture = { stdout = "10B" }"#), "");
    let command = sh("printf 0123456789abc");
    let (_, out, _) = output(&guest.spawn(&command).expect("the grant allows it"));
    assert_eq!((out.data.as_slice(), out.dropped), (&b"0123456789"[..], 3));
}

//! The formats: what a writer writes its reader reads, and random bytes are refused or read,
//! without a panic.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

mod args;
mod configuration;
mod reports;
mod request;

use proptest::prelude::*;

use capspawn_raw::step::{Fault, Step};

/// Bytes whose first words look like those of a message.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![0..8u32, any::<u32>()].prop_map(u32::to_ne_bytes);
    let words = prop::collection::vec(word, 0..16).prop_map(|words| words.concat());
    let rest = prop::collection::vec(prop_oneof![Just(0), Just(b'/'), any::<u8>()], 0..64);
    (words, rest).prop_map(|(words, rest)| [words, rest].concat())
}

fn step() -> impl Strategy<Value = Step> {
    prop::sample::select(Step::ALL)
}

fn fault() -> impl Strategy<Value = Fault> {
    (prop::option::of(step()), any::<i32>()).prop_map(|(step, errno)| Fault { step, errno })
}

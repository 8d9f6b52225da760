//! The command, end to end: options, exit codes, messages, events.

#![expect(clippy::disallowed_types, reason = "the tests run the command")]

mod ask;
mod doctor;
mod exit_codes;
mod grant_files;
mod harness;
mod lifetime;
mod refusals;
#[path = "../support/mod.rs"]
mod support;

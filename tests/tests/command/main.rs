//! The command, end to end: options, exit codes, messages, events.

mod ask;
mod doctor;
mod exit_codes;
mod grant_files;
mod harness;
mod lifetime;
mod refusals;
#[path = "../support/mod.rs"]
mod support;

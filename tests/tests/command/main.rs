//! The command `capspawn`, end to end: options, exit codes, messages and events.
//!
//! The tests build the command and run it as a user does. The tier is the best
//! one of this machine, unless a test passes `--tier`.

#![expect(clippy::disallowed_types, reason = "the tests run the command")]

mod ask;
mod doctor;
mod exit_codes;
mod floods;
mod grant_files;
mod guest_files;
mod harness;
mod json;
mod learn;
mod lifetime;
mod nonblocking;
mod operator;
mod recipe_cases;
mod recipes;
mod refusals;
mod shortages;
#[path = "../support/mod.rs"]
mod support;
mod tapes;
mod versions;
mod why;

//! Records real children, and replays them without a process.

mod dialogue;
mod divergences;
mod recordings;
mod support;

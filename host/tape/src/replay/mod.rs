//! Answers from a tape, without any process.

mod child;
mod player;
mod replayer;
mod script;
mod session;
mod streams;

pub use replayer::{Order, ReplayError, Replayer, ReplayerBuilder};

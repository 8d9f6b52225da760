//! Runs children for real and writes down what they did.

mod journal;
mod pipe;
mod process;
mod recorder;
mod relay;
mod writer;

pub use recorder::{Recorder, RecorderBuilder};

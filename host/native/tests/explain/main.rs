//! `explain` shows what `spawn` does, as seen from inside the child.
//!
//! A decision that is shown and a decision that is executed would drift apart if two pieces
//! of code made them. These tests compare both from outside, with generated grants and
//! requests.

mod agree;
mod generate;
mod guests;
mod injection;
mod pieces;
mod probe;
mod schema;

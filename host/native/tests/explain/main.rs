//! What `explain` says is what `spawn` does, seen from inside the child.
//!
//! A decision that is shown and a decision that is executed drift apart as soon
//! as two pieces of code make them; these tests hold them together from outside,
//! by grants and requests that nobody has chosen.

mod agree;
mod generate;
mod guests;
mod injection;
mod pieces;
mod probe;
mod schema;

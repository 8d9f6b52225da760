//! `explain` shows what `spawn` does, as the child sees it.
//!
//! If two pieces of code made the decision that is shown and the one that is
//! executed, they would drift apart. These tests compare the two from outside,
//! with random grants and requests. Nothing is confined here, and one test holds
//! the shipped JSON schema to the types.

#![expect(
    clippy::disallowed_types,
    reason = "the tests start processes of their own"
)]

mod agree;
mod generate;
mod guests;
mod injection;
mod pieces;
mod probe;
mod schema;

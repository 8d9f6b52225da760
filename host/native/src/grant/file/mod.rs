//! The grant file: its syntax tree, its tables, and errors with their places.

pub(super) mod diagnostics;
pub(super) mod document;
pub(super) mod keys;
pub(super) mod layer;
pub(super) mod nearest;
pub(super) mod pattern;
pub(super) mod schema;
pub(super) mod table;
pub(super) mod tree;
pub(super) mod units;

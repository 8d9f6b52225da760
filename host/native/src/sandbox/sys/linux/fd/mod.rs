//! Descriptors, and the memory that goes into a child.

pub(crate) mod cstrings;
pub(crate) mod memfd;
pub(crate) mod stdio;

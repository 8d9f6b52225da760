//! One child: its record, its streams and what its tree uses. Knows no registry.

pub(crate) mod account;
pub(crate) mod arguments;
pub(crate) mod capture;
pub(crate) mod ending;
pub(crate) mod info;
pub(crate) mod owner;
pub(crate) mod pipe;
pub(crate) mod pipe_end;
pub(crate) mod pipes;
pub(crate) mod record;
pub(crate) mod tree;
pub(crate) mod usage;

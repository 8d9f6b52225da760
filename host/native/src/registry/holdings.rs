//! What the host holds for its guests, as the operator sees it.

/// What the host holds for one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Holdings {
    /// Children that are being started, that run, or that have ended and are kept.
    pub children: usize,
    /// Bytes of captured output, of arguments, and of standard input that no child has read.
    pub bytes: usize,
    /// Open descriptors: pipes, and those by which children are watched.
    pub descriptors: usize,
}

/// What the host holds for all owners together, and the most that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostHoldings {
    /// Of all owners. Memory counts as soon as it is promised: a running child's captures count with
    /// their caps, within its owner's share.
    pub held: Holdings,
    /// The bounds: [`max_entries`](crate::RegistryBuilder::max_entries),
    /// [`max_held_bytes`](crate::RegistryBuilder::max_held_bytes) and
    /// [`max_held_descriptors`](crate::RegistryBuilder::max_held_descriptors).
    pub max: Holdings,
}

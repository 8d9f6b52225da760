//! What the watchdog reads: process groups that start and that are gone.

/// The bytes of a [`GroupChange`].
pub const GROUP_CHANGE_BYTES: usize = 4;

/// A process group starts, or is gone. A group's number is the pid of its leader.
///
/// On the wire it is the number, negated for a group that is gone. A child of a server
/// announces itself to the host by the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupChange {
    /// A child with this pid is about to lead a group.
    Started(i32),
    /// The group's leader is about to be reaped, after which the number may be another's.
    Gone(i32),
}

impl GroupChange {
    /// Returns the message.
    pub fn to_bytes(self) -> [u8; GROUP_CHANGE_BYTES] {
        let number = match self {
            Self::Started(group) => group,
            Self::Gone(group) => group.wrapping_neg(),
        };
        number.to_ne_bytes()
    }

    /// Reads a message. `None` for 0: there is no such group.
    pub fn read(bytes: [u8; GROUP_CHANGE_BYTES]) -> Option<Self> {
        match i32::from_ne_bytes(bytes) {
            0 => None,
            group @ 1.. => Some(Self::Started(group)),
            group => Some(Self::Gone(group.wrapping_neg())),
        }
    }
}

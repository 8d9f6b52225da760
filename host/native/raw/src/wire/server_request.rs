//! What the host requests from a server.

use super::{Reader, SpawnRequest, Writer};

const SPAWN: u32 = 1;
const SERVER: u32 = 2;
const SIGNAL: u32 = 3;
const STATE: u32 = 4;

/// A request to a server, one datagram.
#[expect(
    clippy::large_enum_variant,
    reason = "there is no allocator, and one request at a time"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerRequest<'a> {
    /// Start a child.
    Spawn(SpawnRequest<'a>),
    /// Start another server, with the socket that comes along as its control socket.
    StartServer {
        /// Whether the new server has a domain of its own, in which it can signal all
        /// descendants of its children.
        has_domain: bool,
        /// The number with which the new server's children announce themselves.
        number: u32,
    },
    /// Send the signal with this number to all processes in the server's domain. A server
    /// without a domain ends.
    SignalDomain(u32),
    /// Find out whether children have left anything in the session that a later child would find, and reply
    /// on the socket that comes along, with [`Report::State`](super::Report::State).
    FindState,
}

impl<'a> ServerRequest<'a> {
    /// The bytes before a [`SpawnRequest`].
    pub const KIND_BYTES: usize = 4;

    /// Writes the request through `push`, which appends bytes, but without the strings of a
    /// spawn, which follow in the same datagram.
    pub fn write_head(&self, mut push: impl FnMut(&[u8])) {
        let mut writer = Writer(&mut push);
        match self {
            Self::Spawn(request) => {
                writer.word(SPAWN);
                request.write_head(push);
            }
            Self::StartServer { has_domain, number } => {
                writer.word(SERVER);
                writer.flag(*has_domain);
                writer.word(*number);
            }
            Self::SignalDomain(signal) => {
                writer.word(SIGNAL);
                writer.word(*signal);
            }
            Self::FindState => writer.word(STATE),
        }
    }

    /// Reads a datagram; `None` if it is not a request.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let request = match reader.word()? {
            SPAWN => return SpawnRequest::read(reader.0).map(Self::Spawn),
            SERVER => Self::StartServer {
                has_domain: reader.flag()?,
                number: reader.word()?,
            },
            // Signals are numbered from 1.
            SIGNAL => Self::SignalDomain(reader.word().filter(|signal| (1..=64).contains(signal))?),
            STATE => Self::FindState,
            _ => return None,
        };
        reader.0.is_empty().then_some(request)
    }
}

//! What a party does.

use proptest::prelude::*;

/// Standard input of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum In {
    Null,
    Piped,
    /// More than a pipe holds, so that some stays with the host.
    Bytes,
}

/// Standard output of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Out {
    Null,
    Piped,
    Captured,
}

/// One operation; a number selects one of the party's own children or streams, the highest the newest.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation {
    /// Starts a child with so many bytes of arguments.
    Spawn {
        stdin: In,
        stdout: Out,
        args: usize,
    },
    /// The child writes.
    Say {
        child: usize,
        bytes: usize,
    },
    /// The child reads all of its standard input.
    Drink {
        child: usize,
    },
    /// The child exits.
    End {
        child: usize,
    },
    /// Looks at the child's status, output and arguments.
    Read {
        child: usize,
    },
    TakeStdin {
        child: usize,
    },
    TakeStdout {
        child: usize,
    },
    /// Reads from a stream that was taken.
    ReadStream {
        stream: usize,
    },
    DropStream {
        stream: usize,
    },
    Kill {
        child: usize,
    },
    Detach {
        child: usize,
    },
    /// Takes up a child that was detached.
    Attach {
        key: usize,
    },
    /// Tries a key of the other party.
    AttachForeign {
        key: usize,
    },
    /// Drops the handle.
    Drop {
        child: usize,
    },
    /// Drops the guest, and makes a new one of the same owner.
    Replace,
}

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    let any = || 0usize..1000;
    let stdin = prop_oneof![4 => Just(In::Null), 2 => Just(In::Piped), 1 => Just(In::Bytes)];
    let stdout = prop_oneof![1 => Just(Out::Null), 2 => Just(Out::Piped), 4 => Just(Out::Captured)];
    let args = prop_oneof![3 => Just(0usize), 2 => 1usize..4000];
    prop_oneof![
        10 => (stdin, stdout, args)
            .prop_map(|(stdin, stdout, args)| Operation::Spawn { stdin, stdout, args }),
        6 => (any(), 1usize..16_000).prop_map(|(child, bytes)| Operation::Say { child, bytes }),
        1 => any().prop_map(|child| Operation::Drink { child }),
        6 => any().prop_map(|child| Operation::End { child }),
        6 => any().prop_map(|child| Operation::Read { child }),
        1 => any().prop_map(|child| Operation::TakeStdin { child }),
        3 => any().prop_map(|child| Operation::TakeStdout { child }),
        2 => any().prop_map(|stream| Operation::ReadStream { stream }),
        1 => any().prop_map(|stream| Operation::DropStream { stream }),
        1 => any().prop_map(|child| Operation::Kill { child }),
        2 => any().prop_map(|child| Operation::Detach { child }),
        2 => any().prop_map(|key| Operation::Attach { key }),
        1 => any().prop_map(|key| Operation::AttachForeign { key }),
        2 => any().prop_map(|child| Operation::Drop { child }),
        1 => (0u8..6).prop_map(|n| match n {
            0 => Operation::Replace,
            _ => Operation::Read { child: 0 },
        }),
    ]
}

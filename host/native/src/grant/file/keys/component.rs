//! The keys that only a component has.

use super::{Absent, Key, KeyTable};

const TABLE: KeyTable = KeyTable::Component;

pub(super) const KEYS: [Key; 8] = [
    Key {
        table: TABLE,
        name: "max-live",
        kind: "number of children",
        absent: Absent::Value("64"),
        example: "4",
        meaning: "Children that run at the same time. A child counts until it has ended, whether or not the component keeps \
                  its handle",
        reason: "Limits hold for one child each: together they can use as many times more",
    },
    Key {
        table: TABLE,
        name: "max-total",
        kind: "number of children",
        absent: Absent::Value("10000"),
        example: "100",
        meaning: "Children of one guest (one instance of the component) in all",
        reason: "A component in a loop ends with an error that names this key",
    },
    Key {
        table: TABLE,
        name: "rate",
        kind: "number of requests, `/` and a time",
        absent: Absent::Words("no limit"),
        example: "\"20/min\"",
        meaning: "Requests in a time, such as `\"20/min\"` or `\"5/10s\"`. Denied and invalid requests count too",
        reason: "Each request costs the host a decision, and each start a few milliseconds",
    },
    Key {
        table: TABLE,
        name: "max-held-children",
        kind: "number of children",
        absent: Absent::Words("256, or twice `max-live` if that is more"),
        example: "512",
        meaning: "Children that the host holds, running and ended. Beyond it the oldest ended one makes room, first those \
                  whose end the component has seen: its output and its arguments are gone, its status stays",
        reason: "What an owner keeps is charged to that owner, and not to its neighbours",
    },
    Key {
        table: TABLE,
        name: "max-held-memory",
        kind: "size",
        absent: Absent::Value("\"64MiB\""),
        example: "\"16MiB\"",
        meaning: "What the host holds of captured output, of arguments, and of standard input that no child has read. Beyond \
                  it the oldest ended children make room; where that is not enough, a request fails as \
                  `quota-exceeded(held-memory)`, and running children keep no more output. Captures of children that run at \
                  once share it",
        reason: "Many children with a small `capture` each hold as much as one with a large one",
    },
    Key {
        table: TABLE,
        name: "max-held-descriptors",
        kind: "number of descriptors",
        absent: Absent::Value("512"),
        example: "64",
        meaning: "Descriptors that the host holds: two for a running child, and one for each of its pipes, until the \
                  component drops the stream. Beyond it the oldest ended children make room whose pipes nobody has taken; \
                  where that is not enough, a request fails as `quota-exceeded(held-descriptors)`",
        reason: "Without descriptors the host can start nothing, for nobody",
    },
    Key {
        table: TABLE,
        name: "detach.allow",
        kind: "boolean",
        absent: Absent::Value("false"),
        example: "true",
        meaning: "The component may leave a child to the host, under a key that only the same component and tenant can use, \
                  once",
        reason: "A child ends with its component unless the operator wants otherwise",
    },
    Key {
        table: TABLE,
        name: "detach.max-life",
        kind: "time",
        absent: Absent::Value("\"10min\""),
        example: "\"1h\"",
        meaning: "How long a child that was left to the host may run until somebody attaches to it",
        reason: "A child whose key is lost would otherwise run until the host ends",
    },
];

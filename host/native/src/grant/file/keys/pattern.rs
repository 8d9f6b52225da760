//! The keys of a pattern, an inline table in `args`.

use super::{Absent, Key, KeyTable};

const TABLE: KeyTable = KeyTable::Pattern;

/// What a pattern without this key does: it has another of the seven.
const OTHER: Absent = Absent::Words("the pattern is of another kind");

pub(super) const KEYS: [Key; 12] = [
    Key {
        table: TABLE,
        name: "literal",
        kind: "string",
        absent: OTHER,
        example: "\"--all\"",
        meaning: "Matches this argument. `\"text\"` alone is the same, except for `\"*\"` and `\"**\"`",
        reason: "Most arguments are words that the operator knows",
    },
    Key {
        table: TABLE,
        name: "any",
        kind: "`true`",
        absent: OTHER,
        example: "true",
        meaning: "Matches any one argument. `\"*\"` is the same",
        reason: "For a text that the program does not interpret, such as a message",
    },
    Key {
        table: TABLE,
        name: "rest",
        kind: "`true`",
        absent: OTHER,
        example: "true",
        meaning: "Matches any number of further arguments; only in the last place. `\"**\"` is the same",
        reason: "For a list of such texts",
    },
    Key {
        table: TABLE,
        name: "one-of",
        kind: "list of strings",
        absent: OTHER,
        example: "[\"log\", \"status\"]",
        meaning: "Matches one of these arguments",
        reason: "One rule for a few subcommands or options",
    },
    Key {
        table: TABLE,
        name: "int",
        kind: "minimum and maximum",
        absent: OTHER,
        example: "[1, 100]",
        meaning: "Matches a number in this range, after the `prefix` if there is one",
        reason: "A number cannot be an option or a path, and its size is bounded",
    },
    Key {
        table: TABLE,
        name: "path.under",
        kind: "list of paths",
        absent: OTHER,
        example: "[\"/usr/share\"]",
        meaning: "Matches a path that leads below one of these directories, links resolved, seen from the child's working \
                  directory. They must lie inside `fs.read` or `fs.write`",
        reason: "A component then learns of a mistyped path from the decision, and not from the program",
    },
    Key {
        table: TABLE,
        name: "path.access",
        kind: "`\"read\"` or `\"write\"`",
        absent: Absent::Value("\"read\""),
        example: "\"read\"",
        meaning: "With `\"write\"` the directories of `under` must lie inside `fs.write`",
        reason: "A grant that lets a program write where it cannot is an error when it is loaded",
    },
    Key {
        table: TABLE,
        name: "re",
        kind: "regular expression",
        absent: OTHER,
        example: "\"[a-z]+\"",
        meaning: "Matches an argument that the whole expression matches. One that matches any text, such as `.*` or `\\\\S+`, \
                  counts as `\"*\"`",
        reason: "For forms that the other kinds cannot describe, such as a revision",
    },
    Key {
        table: TABLE,
        name: "prefix",
        kind: "string",
        absent: Absent::Value("\"\""),
        example: "\"-n\"",
        meaning: "With `int` or `path`: the text before it in the same argument",
        reason: "`--file=PATH` is one argument",
    },
    Key {
        table: TABLE,
        name: "repeat",
        kind: "`m..n`, both included, or `m..`",
        absent: Absent::Words("once"),
        example: "\"0..8\"",
        meaning: "How often the pattern may occur",
        reason: "A bounded list needs one line",
    },
    Key {
        table: TABLE,
        name: "optional",
        kind: "boolean",
        absent: Absent::Value("false"),
        example: "true",
        meaning: "`true`: the same as `repeat = \"0..1\"`",
        reason: "The most frequent repeat",
    },
    Key {
        table: TABLE,
        name: "allow-dash",
        kind: "boolean",
        absent: Absent::Value("false"),
        example: "true",
        meaning: "With `any`, `rest` or `re`: also matches arguments that begin with `-` or `@`. `path` never does. In a rule \
                  with `decision = \"deny\"` they always match",
        reason: "Such an argument could be an option, and options are listed",
    },
];

//! The keys that only a command has.

use super::{Absent, Key, KeyTable};

const TABLE: KeyTable = KeyTable::Command;

pub(super) const KEYS: [Key; 11] = [
    Key {
        table: TABLE,
        name: "name",
        kind: "string",
        absent: Absent::Words("an error"),
        example: "\"lines\"",
        meaning: "What the component requests",
        reason: "A component depends on a name, and the operator decides which program it stands for",
    },
    Key {
        table: TABLE,
        name: "program",
        kind: "absolute path",
        absent: Absent::Words("an error"),
        example: "\"/usr/bin/wc\"",
        meaning: "The file is opened when the grant is loaded, and that file is executed. A script is started by the \
                  interpreter of its `#!` line, with the arguments that `env -S` would split, and a replaced script runs as \
                  it was replaced if it passes the same checks",
        reason: "A search path finds another program once somebody adds one to its first directory",
    },
    Key {
        table: TABLE,
        name: "sha256",
        kind: "64 hexadecimal digits",
        absent: Absent::Words("not checked"),
        example: "\"5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5\"",
        meaning: "The hash of the file; a file with another hash is not started",
        reason: "An update of the program then needs an edit of the grant",
    },
    Key {
        table: TABLE,
        name: "arg0",
        kind: "string",
        absent: Absent::Words("the program's path"),
        example: "\"lines\"",
        meaning: "`argv[0]`",
        reason: "Some programs decide by this name what they do",
    },
    Key {
        table: TABLE,
        name: "allow-arg0",
        kind: "list of names",
        absent: Absent::Value("[]"),
        example: "[\"wc-*\"]",
        meaning: "Names that a component may use as `argv[0]` instead; `*` at the end matches any rest. A program such as \
                  busybox decides by this name what it does: a name of an interpreter, and every name with a `*`, needs \
                  `interpreter = true` if `args` contains `\"*\"` or `\"**\"`",
        reason: "As powerful as the choice of a program, so the names are listed",
    },
    Key {
        table: TABLE,
        name: "fixed",
        kind: "list of strings",
        absent: Absent::Value("[]"),
        example: "[\"--no-pager\"]",
        meaning: "Arguments before those of the component",
        reason: "Options that make a program safer stand in the grant, and a component cannot leave them out",
    },
    Key {
        table: TABLE,
        name: "args",
        kind: "list of [patterns](#patterns)",
        absent: Absent::Words(
            "no arguments are allowed; with `decision = \"deny\"` any arguments are denied",
        ),
        example: "[\"-l\", { path = { under = [\"/usr/share\"] } }]",
        meaning: "One pattern for each argument of the component",
        reason: "An option can turn a harmless program into one that runs others or writes files",
    },
    Key {
        table: TABLE,
        name: "decision",
        kind: "`\"allow\"`, `\"ask\"` or `\"deny\"`",
        absent: Absent::Value("\"allow\""),
        example: "\"ask\"",
        meaning: "`\"ask\"`: denied unless the embedder's approver or `--ask` approves. `\"deny\"`: denied, whatever other \
                  rules of the name allow",
        reason: "Some requests are a person's to decide, and an exception is easier to write than all that is left",
    },
    Key {
        table: TABLE,
        name: "interpreter",
        kind: "boolean",
        absent: Absent::Value("false"),
        example: "true",
        meaning: "Must be `true` for a shell, an interpreter or a program that starts what its arguments name (`env`, \
                  `find`, `xargs`, `strace` and the like) if `args` contains `\"*\"`, `\"**\"` or an expression that matches \
                  any text. For other programs it says that the component may run what the child can reach: see below",
        reason: "With such arguments a rule admits every program of the child's file system, and its author should know",
    },
    Key {
        table: TABLE,
        name: "match",
        kind: "list of argument vectors",
        absent: Absent::Value("[]"),
        example: "[[\"-l\", \"/usr/share/doc\"]]",
        meaning: "Argument vectors that must match `args`; tried when the file is loaded",
        reason: "An edit that breaks a rule is an error with a line, before a component finds it",
    },
    Key {
        table: TABLE,
        name: "not-match",
        kind: "list of argument vectors",
        absent: Absent::Value("[]"),
        example: "[[\"-c\"]]",
        meaning: "Argument vectors that must not match `args`; tried when the file is loaded",
        reason: "An edit that admits too much is an error with a line",
    },
];

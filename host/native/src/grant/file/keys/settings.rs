//! The settings that the defaults, a component and a command can each have.

use super::{Absent, Key, KeyTable};

const TABLE: KeyTable = KeyTable::Settings;

pub(super) const KEYS: [Key; 24] = [
    Key {
        table: TABLE,
        name: "sandbox",
        kind: "`\"required\"`, `\"best-effort\"` or `\"none\"`",
        absent: Absent::Value("\"required\""),
        example: "\"best-effort\"",
        meaning: "`\"required\"`: nothing starts unless all of the confinement is enforced; `\"best-effort\"`: the child \
                  starts with what the host can enforce, and events report how much; `\"none\"`: no confinement",
        reason: "A host that lacks a mechanism refuses, instead of running a child that can reach more than the grant lists",
    },
    Key {
        table: TABLE,
        name: "network",
        kind: "`\"none\"`, `\"loopback\"` or `\"host\"`",
        absent: Absent::Value("\"none\""),
        example: "\"host\"",
        meaning: "The network that the child sees. `\"loopback\"`: an interface of its own. `\"host\"`: that of the host, \
                  with its UNIX sockets, and the files by which names are resolved (below)",
        reason: "Most commands need none, and with the host's a child can send away what it can read. A single host \
                 cannot be named: that is a firewall's or a proxy's work",
    },
    Key {
        table: TABLE,
        name: "fs.read",
        kind: "list of paths",
        absent: Absent::Words(
            "the system's own files (below); in a component or command nothing more",
        ),
        example: "[\"/usr\", \"/etc/ssl/certs\"]",
        meaning: "Files and directories that the child can open, and execute. Relative paths are relative to the grant \
                  file. A path that does not exist is an error, in `[defaults]` it is skipped",
        reason: "An argument rule cannot control which files a started program opens; this list can",
    },
    Key {
        table: TABLE,
        name: "fs.write",
        kind: "list of paths",
        absent: Absent::Value("[]"),
        example: "[\"/tmp\"]",
        meaning: "Files and directories that the child can open and change. Paths as in `fs.read`. On a root host they \
                  have to be writable for the user 65534 (`--run-as`), and a child with `sandbox = \"none\"` that lists \
                  some runs as [that user](THREAT-MODEL.md#users)",
        reason: "Apart from a private `/tmp` a child changes nothing that the operator did not list",
    },
    Key {
        table: TABLE,
        name: "fs.deny",
        kind: "list of paths",
        absent: Absent::Value("[]"),
        example: "[\"/usr/local/share\"]",
        meaning: "Paths inside the above that are hidden, whatever they name; needs tier A. In `[defaults]` a path may be \
                  missing, and is hidden once it appears. In a write root it must exist",
        reason: "A project may be readable without its secrets",
    },
    Key {
        table: TABLE,
        name: "cwd.default",
        kind: "path",
        absent: Absent::Words(
            "the first of `cwd.roots`; without them a private `/tmp` in tier A, otherwise `/`",
        ),
        example: "\"/usr/share\"",
        meaning: "Where a child starts. Children see it only where `fs.read` or `fs.write` covers it",
        reason: "Many programs work on the directory that they start in; the host's own is nobody's choice",
    },
    Key {
        table: TABLE,
        name: "cwd.roots",
        kind: "list of paths",
        absent: Absent::Words("`cwd.default` alone; without it a component may not choose"),
        example: "[\"/usr/share\"]",
        meaning: "Below which directories a component may choose where a child starts",
        reason: "The directory decides what relative paths name, so a component chooses within what the operator lists",
    },
    Key {
        table: TABLE,
        name: "env.set",
        kind: "table of strings",
        absent: Absent::Words(
            "`LANG = \"C.UTF-8\"`. A child to which neither `set` nor `inherit` gives a `PATH` has \
             `/usr/local/bin:/usr/bin:/bin`",
        ),
        example: "{ LC_ALL = \"C\" }",
        meaning: "Variables of every child. Without `TMPDIR` a child in tier B gets a \
                  [directory of its guest's](THREAT-MODEL.md#temporary-files)",
        reason: "Variables decide what programs load and run, so a child starts with those that the grant lists",
    },
    Key {
        table: TABLE,
        name: "env.inherit",
        kind: "list of names",
        absent: Absent::Words("`[\"TZ\"]`; in a component or command nothing more"),
        example: "[\"TZ\"]",
        meaning: "Names of variables whose values are taken from the host when the file is loaded",
        reason: "The host's environment often contains tokens: none of it is passed on by itself",
    },
    Key {
        table: TABLE,
        name: "env.allow",
        kind: "list of names",
        absent: Absent::Value("[]"),
        example: "[\"LC_*\"]",
        meaning: "Names that a component may set; `*` at the end of a name matches any rest. Variables by which a program \
                  loads or runs something else (`PATH`, `LD_*`, `PYTHON*`, `GIT_CONFIG*`, `HOME`, `*PAGER` and many more) \
                  need their exact name; `capspawn check` warns of each, with the reason",
        reason: "A variable can be as powerful as an argument",
    },
    Key {
        table: TABLE,
        name: "limits.wall",
        kind: "time",
        absent: Absent::Value("\"30s\""),
        example: "\"10s\"",
        meaning: "Time from the start until the child and all that it started are killed, as a timeout; never \
                  `\"unlimited\"`. A component can shorten it",
        reason: "A child that hangs would keep its memory and its place among `max-live` for ever",
    },
    Key {
        table: TABLE,
        name: "limits.cpu",
        kind: "time, or `\"unlimited\"`",
        absent: Absent::Value("\"60s\""),
        example: "\"10s\"",
        meaning: "Processor time of the child and all that it started",
        reason: "A child with many threads can use a machine many times longer than the clock shows",
    },
    Key {
        table: TABLE,
        name: "limits.memory",
        kind: "size, or `\"unlimited\"`",
        absent: Absent::Value("\"1GiB\""),
        example: "\"64MiB\"",
        meaning: "Memory of the child and all that it started. In a cgroup the kernel counts it, elsewhere it is sampled, \
                  and one process may not map more than that to write. The whole tree is killed at the limit",
        reason: "Otherwise the kernel chooses what to kill when memory is short, and that may be the host",
    },
    Key {
        table: TABLE,
        name: "limits.processes",
        kind: "number of tasks, or `\"unlimited\"`",
        absent: Absent::Value("256"),
        example: "16",
        meaning: "Processes and threads of the child and all that it started",
        reason: "A fork loop takes the machine's process numbers from everybody",
    },
    Key {
        table: TABLE,
        name: "limits.open-files",
        kind: "number of descriptors, or `\"unlimited\"`",
        absent: Absent::Value("256"),
        example: "1024",
        meaning: "Open files of one process (`RLIMIT_NOFILE`). Of a child that runs as the host's own user they are at most \
                  269 below the host's own soft limit (`ulimit -n`): the kernel refuses descriptors in flight by user, \
                  and the host needs some",
        reason: "The table of open files is the machine's",
    },
    Key {
        table: TABLE,
        name: "limits.file-size",
        kind: "size, or `\"unlimited\"`",
        absent: Absent::Value("\"64MiB\""),
        example: "\"1GiB\"",
        meaning: "Size of a file that the child writes (`RLIMIT_FSIZE`). The files of a write root together are not bounded",
        reason: "One endless file would fill the disk",
    },
    Key {
        table: TABLE,
        name: "limits.tmpfs",
        kind: "size",
        absent: Absent::Value("\"64MiB\""),
        example: "\"256MiB\"",
        meaning: "Size of a private `/tmp` (tier A), of `/dev/shm` and of all System V shared memory, never `\"unlimited\"`",
        reason: "They are memory, and stay when a child ends",
    },
    Key {
        table: TABLE,
        name: "limits.output",
        kind: "size, or `\"unlimited\"`",
        absent: Absent::Value("\"unlimited\""),
        example: "\"10MiB\"",
        meaning: "Bytes of both output streams together after which the child is killed",
        reason: "Output beyond `capture` costs the host time and no memory, so by default it is read and discarded",
    },
    Key {
        table: TABLE,
        name: "stdin",
        kind: "boolean",
        absent: Absent::Value("true"),
        example: "false",
        meaning: "`false` denies every request that sends or pipes standard input",
        reason: "To an interpreter, standard input is as powerful as an argument",
    },
    Key {
        table: TABLE,
        name: "redirect",
        kind: "boolean",
        absent: Absent::Value("false"),
        example: "true",
        meaning: "`true`: the component may connect a command's standard streams with files: standard input with one below \
                  `fs.read` or `fs.write`, output with one below `fs.write`. A pipe to another child of the component needs \
                  no key, but `stdin = false` refuses it as input",
        reason: "Without it a component chooses no file for a program that chooses its own: an error message of the program \
                 could show a part of a file that was granted to the program alone, and output could replace a file",
    },
    Key {
        table: TABLE,
        name: "allow-bytes",
        kind: "boolean",
        absent: Absent::Value("false"),
        example: "true",
        meaning: "`true`: arguments, and values of variables, need not be UTF-8. They must match `args` too: `literal`, \
                  `one-of`, `any`, `rest` and `path` compare bytes; `int` and `re` match none that is not UTF-8, and the \
                  `re` of a command with `decision = \"deny\"` matches all of them",
        reason: "Records of the log and of events show text; bytes are for names of files that are not",
    },
    Key {
        table: TABLE,
        name: "capture.stdout",
        kind: "size",
        absent: Absent::Value("\"1MiB\""),
        example: "\"256KiB\"",
        meaning: "How much captured standard output is kept; the rest is read, counted and discarded",
        reason: "A child never blocks on its output, and never fills the host's memory",
    },
    Key {
        table: TABLE,
        name: "capture.stderr",
        kind: "size",
        absent: Absent::Value("\"64KiB\""),
        example: "\"256KiB\"",
        meaning: "How much captured standard error is kept; the rest is read, counted and discarded",
        reason: "As for standard output; messages are shorter",
    },
    Key {
        table: TABLE,
        name: "disclose-pid",
        kind: "boolean",
        absent: Absent::Value("false"),
        example: "true",
        meaning: "`true`: the component sees the host's process ids of its children",
        reason: "Process ids tell how busy the host is, and a component needs none: it has handles",
    },
];

//! Programs that run what their arguments name, whatever else the arguments say.

use std::path::Path;

use super::names::{is_one_of, names_of};

/// Why a program is in the table.
const SHELL: &str = "it runs commands that its arguments contain";
const LANGUAGE: &str = "it runs code that its arguments contain or name";
const LAUNCHER: &str = "it runs the program that its arguments name";

/// Shells, interpreters of languages, and programs that start another one. A `*` stands for any text.
#[rustfmt::skip]
const INTERPRETERS: &[(&str, &[&str])] = &[
    (SHELL, &[
        "sh", "ash", "bash", "dash", "rbash", "zsh*", "rzsh", "ksh*", "rksh*", "mksh*", "lksh*", "pdksh", "oksh",
        "yash", "posh", "fish", "csh", "tcsh", "bsd-csh", "rc", "es", "elvish", "nu", "xonsh*", "pwsh*", "osh",
        "oil", "ysh", "sash", "busybox*", "toybox*",
    ]),
    (LANGUAGE, &[
        "python*", "pypy*", "ipython*", "jython*", "micropython*", "perl*", "ruby*", "irb*", "erb*", "jruby*",
        "truffleruby*", "node", "nodejs", "node-*", "deno", "bun", "qjs", "d8", "js", "gjs*", "tsx", "ts-node*",
        "php*", "hhvm", "lua*", "luajit*", "texlua*", "tclsh*", "wish*", "expect*", "awk", "gawk*", "mawk*", "nawk*",
        "original-awk", "goawk", "R", "Rscript", "littler", "julia*", "octave*", "gnuplot*", "maxima", "sage",
        "guile*", "racket*", "mzscheme", "gracket", "scheme*", "mit-scheme*", "csi", "chibi-scheme", "gsi*",
        "gambit*", "bigloo", "sbcl*", "clisp*", "ecl*", "ccl*", "emacs*", "erl", "escript", "elixir*", "iex*",
        "ghci*", "runghc*", "runhaskell*", "hugs", "ocaml*", "scala*", "kotlin*", "groovy*", "jshell*", "clojure*",
        "clj", "bb", "mono*", "csharp", "fsharpi", "swipl*", "prolog", "gprolog", "gforth*", "forth", "factor",
        "m4*", "dc", "bc", "swift*", "dart*", "crystal*", "nim", "nimscript", "raku*", "rakudo*", "pike*", "rexx",
        "regina*", "ld.so*", "ld-linux*", "ld-musl*", "ld-*.so*", "qemu-*", "wine*",
    ]),
    (LAUNCHER, &[
        "env", "xargs", "parallel*", "find", "nohup", "timeout", "time", "nice", "ionice", "chrt", "taskset",
        "setsid", "setarch", "linux32", "linux64", "i386", "x86_64", "uname26", "numactl", "prlimit", "choom",
        "uclampset", "schedtool", "unshare", "nsenter", "chroot", "pivot_root", "switch_root", "su", "sudo*", "doas",
        "runuser", "setpriv", "setuidgid", "capsh", "pkexec", "runcon", "newgrp", "sg", "gosu", "su-exec",
        "systemd-run", "systemd-nspawn", "start-stop-daemon", "daemon", "daemonize", "tini", "dumb-init",
        "catatonit", "strace*", "ltrace*", "valgrind*", "perf*", "bpftrace", "rr", "proot*", "fakeroot*",
        "fakechroot*", "eatmydata", "catchsegv", "faketime*", "dbus-run-session", "dbus-launch", "xvfb-run", "xinit",
        "startx", "ssh-agent", "gpg-agent", "rlwrap", "unbuffer", "setlock", "softlimit", "chpst", "cgexec",
        "firejail", "bwrap", "run-parts", "run-one*", "chronic", "ifne", "sem", "entr", "hyperfine", "retry",
        "cpulimit", "torify", "torsocks", "proxychains*", "tsocks", "coreutils",
    ]),
];

/// Returns the name of a known interpreter that a path has, as it is written or resolved, and why it is one.
pub(in crate::grant) fn interpreter(path: &Path) -> Option<(String, &'static str)> {
    let reason = |name: &str| {
        let known = INTERPRETERS
            .iter()
            .find(|(_, known)| is_one_of(name, known));
        known.map(|(reason, _)| *reason)
    };
    names_of(path)
        .find_map(|name| Some((reason(&name)?, name)))
        .map(|(reason, name)| (name, reason))
}

/// Returns the interpreter that a program with this `argv[0]` acts as, where it has several in one
/// file. A login shell has a dash first.
pub(in crate::grant) fn acts_as(arg0: &str) -> Option<(String, &'static str)> {
    let name = arg0.strip_prefix('-').unwrap_or(arg0);
    interpreter(Path::new(name))
}

/// Does what [`acts_as`] does, for a name that the guest may use: a pattern could cover every name.
pub(in crate::grant) fn may_act_as(allowed: &str) -> Option<(String, &'static str)> {
    if allowed.ends_with('*') {
        let name = format!("a program whose argv[0] may be {allowed:?}");
        return Some((name, "it acts as the program that argv[0] names"));
    }
    acts_as(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_is_recognised_by_its_path_and_by_its_resolved_path() {
        let is = |path: &str| interpreter(Path::new(path)).is_some();
        assert!(is("/bin/sh") && is("/usr/bin/python3.99") && is("/x/ld-linux-x86-64.so.2"));
        assert!(!is("/bin/echo") && !is("/usr/bin/git") && !is("/usr/bin/sha256sum"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let link = folder.path().join("harmless");
        std::os::unix::fs::symlink("/bin/sh", &link).expect("the folder is ours");
        assert!(interpreter(&link).is_some());
    }

    #[test]
    fn a_star_is_a_pattern_where_the_guest_chooses_the_name_only() {
        assert!(acts_as("*").is_none() && may_act_as("*").is_some());
        assert!(acts_as("-sh").is_some() && may_act_as("-sh").is_some());
        assert!(acts_as("ls").is_none() && may_act_as("ls").is_none());
    }

    #[test]
    fn the_reason_tells_what_it_runs_and_plain_tools_are_not_in_the_table() {
        let reason =
            |name: &str| interpreter(&Path::new("/x").join(name)).map(|(_, reason)| reason);
        assert_eq!(reason("mksh-static"), Some(SHELL));
        assert_eq!(reason("perl5.40"), Some(LANGUAGE));
        for launcher in ["env", "strace", "unshare", "sudo", "time", "chroot"] {
            assert_eq!(reason(launcher), Some(LAUNCHER), "{launcher}");
        }
        for plain in [
            "cat",
            "ls",
            "wc",
            "date",
            "grep",
            "head",
            "shasum",
            "nice-tool",
            "envsubst",
            "timeouts",
            "jq",
        ] {
            assert_eq!(reason(plain), None, "{plain}");
        }
    }
}

//! Programs that are no interpreters, and run another program or load code by some argument.
//!
//! Whether a grant admits that argument is tried with a sample of it: each pattern that takes arguments which the grant
//! does not list ([`Pattern::is_wild`]) is offered the samples. `check` names what it takes; the grant loads all the
//! same, because what the child can reach is confined, and most of these programs are useful without those arguments.

use std::path::Path;

use super::names::{is_one_of, names_of};

/// Where in the guest's arguments a program understands the sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grant) enum Position {
    /// Anywhere.
    Any,
    /// As its first argument: a subcommand, a program or a script.
    First,
}

use Position::{Any, First};

/// An argument by which a program runs another one: a sample, how it is shown, and where it counts.
pub(in crate::grant) type Danger = (&'static str, &'static str, Position);

/// The table. A `*` in a name stands for any text.
#[rustfmt::skip]
const PROGRAMS: &[(&[&str], &[Danger])] = &[
    (&["git", "git-*"], &[
        ("-c", "-c NAME=VALUE (core.sshCommand, core.pager, alias.*)", Any),
        ("--config-env=a=B", "--config-env", Any),
        ("--exec-path=/x", "--exec-path=DIR", Any),
        ("--upload-pack=x", "--upload-pack=COMMAND", Any),
        ("--exec=x", "--exec=COMMAND", Any),
        ("ext::x", "ext::COMMAND as a repository", Any),
        ("filter-branch", "filter-branch, bisect run, submodule foreach, difftool", First),
    ]),
    (&["tar", "bsdtar", "gtar", "star"], &[
        ("--checkpoint-action=exec=x", "--checkpoint-action=exec=COMMAND", Any),
        ("--to-command=x", "--to-command=COMMAND", Any),
        ("--use-compress-program=x", "-I, --use-compress-program=COMMAND", Any),
        ("--rsh-command=x", "--rsh-command=COMMAND", Any),
        ("cIf", "options without a dash (cIf COMMAND)", First),
    ]),
    (&["rsync", "rsync-ssl", "rclone"], &[
        ("--rsh=x", "-e, --rsh=COMMAND", Any),
        ("--rsync-path=x", "--rsync-path=COMMAND", Any),
        ("host:path", "HOST:PATH, which starts ssh", Any),
    ]),
    (&["zip", "zipcloak"], &[
        ("-TT", "-TT COMMAND", Any),
    ]),
    (&["cpio"], &[
        ("--rsh-command=x", "--rsh-command=COMMAND", Any),
    ]),
    (&["vi", "vim*", "vi.*", "view", "ex", "rview", "rvim", "nvim*", "gvim*", "vimdiff", "elvis*", "nvi*", "vile*"], &[
        ("+!x", "+COMMAND", Any),
        ("-c", "-c COMMAND, --cmd COMMAND, -S FILE", Any),
    ]),
    (&["ed", "red"], &[
        ("!x", "!COMMAND as a file", Any),
    ]),
    (&["nano", "pico", "rnano"], &[
        ("--speller=x", "-s, --speller=COMMAND", Any),
    ]),
    (&["less", "more", "most", "lv"], &[
        ("+!x", "+COMMAND", Any),
        ("-o", "-o FILE, --lesskey-src=FILE", Any),
    ]),
    (&["man", "man-db", "apropos"], &[
        ("--pager=x", "-P, --pager=COMMAND, -H COMMAND", Any),
    ]),
    (&["gdb*", "lldb*", "cgdb", "edb", "delve", "dlv"], &[
        ("-ex=x", "-ex COMMAND, -x FILE, --args PROGRAM", Any),
        ("x", "the program to debug", First),
    ]),
    (&["make", "gmake", "bmake", "pmake", "remake", "nmake"], &[
        ("SHELL=/x", "NAME=VALUE (SHELL, .SHELLFLAGS, any variable of the makefile)", Any),
        ("--eval=x", "--eval=TEXT, -f FILE, -C DIR", Any),
    ]),
    (&["ninja*", "samu", "meson", "scons*", "waf", "just", "task", "tup", "bazel*", "buck*", "ant", "mvn*",
         "gradle*", "sbt", "lein", "rake*"], &[
        ("-f", "-f FILE, -C DIR: a file of build commands", Any),
        ("x", "a target, which runs commands of the build file", First),
    ]),
    (&["cmake*", "ctest*", "cpack*"], &[
        ("-P", "-P SCRIPT, -E COMMAND, -DCMAKE_C_COMPILER=PROGRAM", Any),
        ("x", "a directory, whose CMakeLists.txt runs commands", Any),
    ]),
    (&["gcc*", "g++*", "cc", "c++", "cpp*", "c89*", "c99*", "clang*", "gfortran*", "gdc*", "gnat*", "*-gcc*",
         "*-g++*", "*-cpp*", "*-clang*", "tcc", "icc"], &[
        ("-wrapper", "-wrapper COMMAND", Any),
        ("-B/x", "-B DIR", Any),
        ("-fplugin=x", "-fplugin=FILE, -specs=FILE", Any),
        ("@x", "@FILE, which contains options", Any),
    ]),
    (&["ld", "ld.*", "*-ld", "*-ld.*", "gold", "mold", "lld*", "ar", "*-ar", "nm", "*-nm", "ranlib", "*-ranlib",
         "as", "*-as"], &[
        ("--plugin=x", "--plugin FILE", Any),
        ("@x", "@FILE, which contains options", Any),
    ]),
    (&["rustc*", "cargo*", "rustdoc*", "rustup*"], &[
        ("-Clinker=x", "-C linker=PROGRAM, --config KEY=VALUE", Any),
        ("run", "run, build, test: build scripts and programs of the project", First),
    ]),
    (&["go", "gofmt", "go-*"], &[
        ("-toolexec=x", "-toolexec=COMMAND, -exec=COMMAND", Any),
        ("run", "run, test, generate, tool", First),
    ]),
    (&["java", "javac*", "javaw", "java-*", "jdb", "jar"], &[
        ("-jar", "-jar FILE, -cp PATH, -javaagent:FILE, -J-OPTION", Any),
        ("@x", "@FILE, which contains options", Any),
        ("Main", "a class or a source file", First),
    ]),
    (&["dotnet", "csc", "msbuild"], &[
        ("x.dll", "a program, exec, run, build", First),
    ]),
    (&["ssh", "slogin", "autossh", "mosh*", "dbclient", "plink", "sshpass"], &[
        ("-oProxyCommand=x", "-o ProxyCommand=COMMAND, -o LocalCommand=COMMAND, -F FILE", Any),
        ("host", "a host, and the command to run there", Any),
    ]),
    (&["scp", "sftp", "pscp", "sshfs"], &[
        ("-oProxyCommand=x", "-o ProxyCommand=COMMAND, -S PROGRAM", Any),
        ("host:path", "HOST:PATH, which starts ssh", Any),
    ]),
    (&["nc", "nc.*", "ncat", "netcat"], &[
        ("-e", "-e PROGRAM, -c COMMAND, --sh-exec COMMAND", Any),
    ]),
    (&["socat*"], &[
        ("EXEC:x", "EXEC:COMMAND, SYSTEM:COMMAND", Any),
    ]),
    (&["openssl"], &[
        ("-engine", "-engine FILE, -provider-path DIR, -config FILE", Any),
    ]),
    (&["curl"], &[
        ("-K", "-K FILE: options, among them -o FILE, which writes", Any),
    ]),
    (&["wget", "wget2"], &[
        ("--use-askpass=x", "--use-askpass=COMMAND, -e COMMAND, --config=FILE", Any),
    ]),
    (&["aria2c"], &[
        ("--on-download-complete=x", "--on-download-complete=COMMAND", Any),
    ]),
    (&["tcpdump"], &[
        ("-zx", "-z COMMAND", Any),
    ]),
    (&["nmap"], &[
        ("--script=x", "--script=FILE", Any),
    ]),
    (&["sqlite3", "sqlite", "duckdb"], &[
        (".shell x", ".shell COMMAND, .system COMMAND, .load FILE, .import '|COMMAND'", Any),
        ("-cmd", "-cmd COMMAND, -init FILE", Any),
    ]),
    (&["mysql*", "mariadb*"], &[
        ("-e", "-e 'system COMMAND', --pager=COMMAND, --defaults-file=FILE", Any),
    ]),
    (&["psql"], &[
        ("-c", "-c '\\! COMMAND', -f FILE", Any),
    ]),
    (&["docker*", "podman*", "nerdctl", "buildah", "ctr", "crictl", "runc", "crun", "lxc*", "incus"], &[
        ("run", "run, exec, build: containers, with any directory of the host", First),
    ]),
    (&["kubectl*", "oc", "helm*", "terraform*", "tofu", "ansible*", "vagrant", "packer"], &[
        ("exec", "exec, apply, plugins", First),
        ("--kubeconfig=x", "--kubeconfig=FILE and other settings, which name programs", Any),
    ]),
    (&["npm*", "npx*", "yarn*", "pnpm*", "pnpx*", "corepack*", "bunx"], &[
        ("exec", "exec, run, install: scripts of packages", First),
        ("--script-shell=x", "--script-shell=PROGRAM, --node-options=TEXT, --prefix=DIR", Any),
    ]),
    (&["pip*", "pipx*", "uv", "uvx", "poetry*", "pdm", "conda*", "mamba*", "easy_install*", "gem*", "bundle*",
         "composer*", "cpan*", "opam*", "cabal*", "stack", "mix", "rebar3"], &[
        ("install", "install, run, exec: build scripts of packages", First),
    ]),
    (&["apt", "apt-get", "apt-*", "aptitude", "dpkg*", "dnf*", "yum*", "rpm*", "zypper", "apk", "pacman*", "snap",
         "flatpak"], &[
        ("-o", "-o NAME=VALUE (hooks), --pre-invoke=COMMAND, --eval", Any),
        ("install", "install: scripts of packages", First),
    ]),
    (&["flock"], &[
        ("x", "FILE COMMAND, -c COMMAND", Any),
    ]),
    (&["script", "scriptlive", "scriptreplay"], &[
        ("-cx", "-c COMMAND", Any),
    ]),
    (&["watch", "viddy"], &[
        ("x", "the command that it repeats", Any),
    ]),
    (&["stdbuf"], &[
        ("x", "the program that it starts", Any),
    ]),
    (&["screen", "tmux*", "byobu*", "dtach", "abduco", "zellij", "xterm", "rxvt*", "konsole", "gnome-terminal*"], &[
        ("new", "the command that it starts, -e COMMAND", Any),
    ]),
    (&["at", "batch", "crontab", "anacron"], &[
        ("-fx", "-f FILE: commands for later", Any),
    ]),
    (&["sed", "gsed", "ssed"], &[
        ("1e x", "the script (its commands `e`, `w` and the flag `e`), -f FILE", Any),
    ]),
    (&["sort"], &[
        ("--compress-program=x", "--compress-program=PROGRAM", Any),
    ]),
    (&["split"], &[
        ("--filter=x", "--filter=COMMAND", Any),
    ]),
    (&["sdiff"], &[
        ("--diff-program=x", "--diff-program=PROGRAM", Any),
    ]),
    (&["install"], &[
        ("--strip-program=x", "--strip-program=PROGRAM", Any),
    ]),
    (&["rg", "ripgrep"], &[
        ("--pre=x", "--pre=COMMAND, --hostname-bin=COMMAND", Any),
    ]),
    (&["fd", "fdfind"], &[
        ("-xx", "-x COMMAND, -X COMMAND", Any),
    ]),
    (&["convert*", "magick*", "identify*", "mogrify*", "composite*", "montage*", "gm"], &[
        ("msl:x", "msl:FILE and other coders, which run delegates", Any),
    ]),
    (&["gs", "ghostscript", "gsx", "ps2*"], &[
        ("-sOutputFile=%pipe%x", "-sOutputFile=%pipe%COMMAND, -dNOSAFER", Any),
    ]),
    (&["tex", "latex*", "pdftex", "pdflatex*", "xetex", "xelatex*", "etex", "mf", "mpost", "latexmk"], &[
        ("--shell-escape", "--shell-escape", Any),
        ("x", "a document, which may run code", Any),
    ]),
    (&["pandoc*"], &[
        ("--filter=x", "--filter=PROGRAM, --lua-filter=FILE, --pdf-engine=PROGRAM", Any),
    ]),
    (&["ip"], &[
        ("netns", "netns exec, vrf exec, -batch FILE", First),
    ]),
    (&["svn", "svn*"], &[
        ("--config-option=x", "--config-option, --diff-cmd=PROGRAM, --editor-cmd=PROGRAM", Any),
    ]),
    (&["hg", "chg", "bzr", "darcs", "fossil", "cvs", "jj"], &[
        ("--config=x", "--config NAME=VALUE (aliases, hooks, pagers)", Any),
    ]),
    (&["gpg*"], &[
        ("--photo-viewer=x", "--photo-viewer=COMMAND, --options FILE", Any),
    ]),
    (&["mail*", "mutt*", "neomutt*", "s-nail", "sendmail", "exim*"], &[
        ("-be", "-S NAME=VALUE, -be TEXT, ~!COMMAND", Any),
    ]),
    (&["ldd"], &[
        ("x", "a program, which it may start", Any),
    ]),
];

/// Returns the dangers of the program at `path`, and the name by which it is known; none if it has none.
pub(in crate::grant) fn dangers(path: &Path) -> Option<(String, &'static [Danger])> {
    names_of(path).find_map(|name| {
        let known = PROGRAMS.iter().find(|(names, _)| is_one_of(&name, names));
        known.map(|(_, dangers)| (name, *dangers))
    })
}

#[cfg(test)]
mod tests {
    use super::super::interpreter::interpreter;
    use super::*;

    #[test]
    fn every_program_that_is_named_in_the_guide_has_a_danger() {
        for name in [
            "git",
            "tar",
            "rsync",
            "vim",
            "gdb",
            "make",
            "gcc",
            "x86_64-linux-gnu-gcc-12",
            "ssh",
            "docker",
            "sqlite3",
            "npm",
            "java",
            "flock",
            "script",
            "watch",
            "stdbuf",
        ] {
            let (_, dangers) = dangers(&Path::new("/x").join(name)).expect(name);
            assert!(!dangers.is_empty(), "{name}");
        }
        for plain in [
            "cat",
            "ls",
            "wc",
            "echo",
            "head",
            "sha256sum",
            "date",
            "true",
        ] {
            assert!(dangers(&Path::new("/x").join(plain)).is_none(), "{plain}");
        }
    }

    #[test]
    fn no_program_is_in_both_tables() {
        let names = PROGRAMS.iter().flat_map(|(names, _)| *names);
        let both: Vec<_> = names
            .filter(|name| interpreter(&Path::new("/x").join(name.replace('*', ""))).is_some())
            .collect();
        assert!(both.is_empty(), "{both:?}");
    }
}

//! What a component does with each recipe.

/// One recipe, and what a component does with it.
pub(crate) struct Case {
    pub(crate) recipe: &'static str,
    /// Programs that must be installed, or files in the folder of installed programs.
    pub(crate) needs: &'static [&'static str],
    /// Values, in which `$PROGRAMS` and `$TOOLCHAIN` stand for folders.
    pub(crate) set: &'static [&'static str],
    /// Files of the workspace.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// A script that prepares the workspace, as the user that children have.
    pub(crate) prepare: &'static str,
    /// Requests that succeed, and what each prints.
    pub(crate) allowed: &'static [(&'static [&'static str], &'static str)],
    /// Requests that the grant refuses.
    pub(crate) refused: &'static [&'static [&'static str]],
    /// The document of a language server; its client is the component `lsp`.
    pub(crate) stdin: &'static str,
}

const NONE: Case = Case {
    recipe: "",
    needs: &[],
    set: &[],
    files: &[],
    prepare: "true",
    allowed: &[],
    refused: &[],
    stdin: "",
};

const REPOSITORY: &str = "export GIT_CONFIG_GLOBAL=/dev/null; git init -q -b main && git add a.txt && \
    git -c user.name=a -c user.email=a@b commit -q -m 'the first commit'";

pub(crate) const CASES: [Case; 12] = [
    Case {
        recipe: "git-read-only",
        needs: &["git"],
        files: &[("a.txt", "one\n")],
        prepare: REPOSITORY,
        allowed: &[
            (
                &[
                    "git",
                    "log",
                    "--no-ext-diff",
                    "--no-textconv",
                    "--oneline",
                    "-5",
                ],
                "the first commit",
            ),
            (
                &[
                    "git",
                    "show",
                    "--no-ext-diff",
                    "--no-textconv",
                    "--stat",
                    "HEAD",
                ],
                "a.txt",
            ),
            (
                &[
                    "git",
                    "diff",
                    "--no-ext-diff",
                    "--no-textconv",
                    "HEAD",
                    "--",
                    "a.txt",
                ],
                "",
            ),
            (&["git", "status", "--short", "--branch"], "## main"),
            (&["git", "blame", "--no-textconv", "--", "a.txt"], "one"),
            (&["git", "ls-files"], "a.txt"),
        ],
        refused: &[
            &["git", "push"],
            &["git", "commit", "-m", "x"],
            &["git", "-c", "core.pager=sh", "log"],
            &["git", "log", "--no-ext-diff", "--no-textconv", "--output=x"],
            &["git", "blame", "--no-textconv", "--", "/etc/passwd"],
        ],
        ..NONE
    },
    Case {
        recipe: "git-commits",
        needs: &["git"],
        set: &["author=Ann"],
        files: &[("a.txt", "one\n"), ("b.txt", "two\n")],
        prepare: REPOSITORY,
        allowed: &[
            (&["git", "switch", "--create", "topic"], ""),
            (&["git", "add", "--", "b.txt"], ""),
            (
                &["git", "commit", "-m", "the second commit"],
                "1 file changed",
            ),
            (&["git", "log", "--oneline", "-1"], "the second commit"),
            (&["git", "status", "--short"], ""),
        ],
        refused: &[
            &["git", "push"],
            &["git", "commit", "--amend"],
            &["git", "commit", "-m", "--amend"],
            &["git", "add", "--", "/etc/passwd"],
            &["git", "config", "core.hooksPath", "x"],
        ],
        ..NONE
    },
    Case {
        recipe: "rustfmt",
        needs: &["$TOOLCHAIN/bin/rustfmt"],
        set: &["toolchain=$TOOLCHAIN"],
        files: &[("a.rs", "fn main( ) { }\n")],
        allowed: &[
            (&["rustfmt", "a.rs"], ""),
            (&["rustfmt", "--check", "a.rs"], ""),
        ],
        refused: &[
            &["rustfmt", "--config-path=/etc"],
            &["rustfmt", "/etc/passwd"],
            &["rustfmt", "--emit=stdout", "a.rs"],
        ],
        ..NONE
    },
    Case {
        recipe: "black",
        needs: &["$PROGRAMS/python/black"],
        set: &["packages=$PROGRAMS/python", "python=/usr/bin/python3"],
        files: &[
            ("a.py", "x = { 'a':1 }\n"),
            (
                "click.py",
                "raise SystemExit('a file of the project was imported')\n",
            ),
        ],
        allowed: &[
            (&["black", "a.py"], "reformatted"),
            (&["black", "--check", "a.py"], "unchanged"),
        ],
        refused: &[
            &["black", "-c", "x = 1"],
            &["black", "/etc/passwd"],
            &["black", "--config", "a.toml", "a.py"],
        ],
        ..NONE
    },
    Case {
        recipe: "ripgrep",
        needs: &["rg"],
        files: &[("a.txt", "one\ntwo\n"), ("b.txt", "a pre\n")],
        allowed: &[
            (&["rg", "-n", "-e", "two", "a.txt"], "2:two"),
            (&["rg", "-l", "-e", "pre$"], "b.txt"),
        ],
        refused: &[
            &["rg", "--pre=sh", "-e", "x"],
            &["rg", "-e", "--pre=sh"],
            &["rg", "-e", "root", "/etc/passwd"],
            &["rg", "two"],
        ],
        ..NONE
    },
    Case {
        recipe: "gcc-make",
        needs: &["gcc", "make"],
        files: &[
            (
                "a.c",
                "#include <stdio.h>\nint main(void) { puts(\"built\"); return 0; }\n",
            ),
            ("Makefile", "all: a\n\t./a\na: a.c\n\tgcc -o a a.c\n"),
        ],
        allowed: &[
            (&["gcc", "-O2", "-Wall", "a.c", "-o", "b"], ""),
            (&["make", "-j2", "all"], "built"),
        ],
        refused: &[
            &["gcc", "-wrapper", "sh", "a.c"],
            &["gcc", "/etc/passwd"],
            &["make", "SHELL=/bin/sh"],
            &["make", "-f", "x"],
        ],
        ..NONE
    },
    Case {
        recipe: "cargo-build-offline",
        needs: &["$TOOLCHAIN/bin/cargo", "gcc"],
        set: &["toolchain=$TOOLCHAIN"],
        files: &[
            (
                "Cargo.toml",
                "[package]\nname = \"a\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n",
            ),
            ("src/main.rs", "fn main() {}\n#[test]\nfn passes() {}\n"),
        ],
        allowed: &[
            (&["cargo", "build", "--offline"], "Finished"),
            (&["cargo", "test", "--offline", "--quiet"], "1 passed"),
        ],
        refused: &[
            &["cargo", "build"],
            &["cargo", "install", "--offline", "x"],
            &["cargo", "run", "--offline"],
            &["cargo", "build", "--offline", "--config=x"],
        ],
        ..NONE
    },
    Case {
        recipe: "python-venv",
        needs: &["/usr/bin/python3"],
        set: &["python=/usr/bin/python3", "venv=$WORKSPACE/.venv"],
        files: &[(
            "a.py",
            "import sys, own\nprint(sys.argv[1:], own.x, sys.prefix != sys.base_prefix)\n",
        )],
        prepare: "/usr/bin/python3 -m venv --without-pip .venv && echo 'x = 7' > \"$(echo .venv/lib/python3*/site-packages)/own.py\"",
        allowed: &[(&["python", "a.py", "-x", "b"], "['-x', 'b'] 7 True")],
        refused: &[
            &["python", "-c", "print(1)"],
            &["python", "-m", "pip"],
            &["python", "/etc/passwd"],
        ],
        ..NONE
    },
    Case {
        recipe: "npm-test",
        needs: &["npm", "node"],
        files: &[
            (
                "package.json",
                "{ \"name\": \"a\", \"version\": \"1.0.0\", \"scripts\": { \"test\": \"node test.js\", \"lint\": \"echo linted\", \"publish\": \"false\" } }\n",
            ),
            ("test.js", "console.log('tested');\n"),
        ],
        allowed: &[
            (&["npm", "test"], "tested"),
            (&["npm", "--silent", "run", "lint"], "linted"),
        ],
        refused: &[
            &["npm", "install", "x"],
            &["npm", "run", "publish"],
            &["npm", "exec", "x"],
            &["npm", "test", "--script-shell=x"],
        ],
        ..NONE
    },
    Case {
        recipe: "language-server",
        needs: &[
            "node",
            "$PROGRAMS/npm/node_modules/pyright/langserver.index.js",
        ],
        set: &["packages=$PROGRAMS/npm"],
        files: &[("a.py", "x: int = 'text'\n")],
        stdin: "x: int = 'text'\n",
        allowed: &[(&["pyright-langserver"], "is not assignable")],
        refused: &[&["pyright-langserver", "--stdio"], &["node", "-e", "1"]],
        ..NONE
    },
    Case {
        recipe: "ffmpeg",
        needs: &["ffmpeg"],
        prepare: "head -c 88200 /dev/zero > silence.raw && { printf 'RIFF\\254X\\001\\000WAVEfmt \\020\\000\\000\\000\\001\\000\\001\\000D\\254\\000\\000\\210X\\001\\000\\002\\000\\020\\000data\\210X\\001\\000'; cat silence.raw; } > a.wav",
        allowed: &[(&["ffmpeg", "-i", "file:a.wav", "file:a.flac"], "")],
        refused: &[
            &["ffmpeg", "-i", "a.wav", "file:b.flac"],
            &["ffmpeg", "-i", "file:/etc/passwd", "file:b.flac"],
            &["ffmpeg", "-f", "lavfi", "-i", "sine", "file:b.flac"],
            &["ffmpeg", "-i", "file:a.wav", "file:/tmp/b.flac"],
        ],
        ..NONE
    },
    Case {
        recipe: "shell-script",
        needs: &["sh"],
        files: &[("a.sh", "echo \"hello, $1\"\n")],
        allowed: &[(&["sh", "a.sh", "-you"], "hello, -you")],
        refused: &[&["sh", "-c", "id"], &["sh", "/etc/profile"]],
        ..NONE
    },
];

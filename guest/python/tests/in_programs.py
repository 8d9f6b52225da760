"""Uses programs of PyPI that start programs. Runs inside a component; the grant is `programs.toml`."""

import os
import shutil
import subprocess

os.chdir(os.environ["SHARED"])


def uses_plumbum():
    from plumbum import ProcessExecutionError, local
    from plumbum.cmd import cat, echo, grep, wc

    assert (echo["a\nb"] | grep["b"] | wc["-l"])().strip() == "1"
    (echo["to a file"] > "out")()
    assert (cat < "out")() == "to a file\n"
    assert cat.run("missing", retcode=1)[0] == 1
    try:
        cat("missing")
    except ProcessExecutionError as error:
        assert "No such file" in error.stderr
    else:
        raise AssertionError("no error")
    with local.env(GREETING="hi"):
        assert local["sh"]("-c", "echo $GREETING") == "hi\n"
    future = cat["out"] & __import__("plumbum").BG
    future.wait()
    assert future.stdout == "to a file\n"


def uses_setuptools_scm():
    from setuptools_scm import get_version

    script = """mkdir project && cd project && git init -q && git config user.name a
        git config user.email a@b && echo 1 > file && git add file && git commit -qm first
        git tag v1.2"""
    subprocess.run(script, shell=True, check=True)
    assert get_version("project") == "1.2"
    with open("project/file", "w") as file:
        file.write("2")
    assert get_version("project").startswith("1.3.dev0+")


def uses_distro():
    import distro

    # It runs `lsb_release` where there is one.
    words = distro.lsb_release_info()
    assert bool(words) == bool(shutil.which("lsb_release")), words
    # Linux itself is no distribution.
    assert distro.uname_info() == {}


for name, use in (
    ("plumbum 2.0.2: commands, pipelines, redirections, background, variables", uses_plumbum),
    ("setuptools-scm 10.3.4: the version of a git repository", uses_setuptools_scm),
    ("distro 1.9.0: what `lsb_release` and `uname` report", uses_distro),
):
    use()
    print(f"- {name}", flush=True)

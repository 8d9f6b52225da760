"""From the program that Python names to the command that the host starts.

A grant lists commands by name, and a component cannot see the list. The rule is: *each command of
the grant is in every directory of the search path*. So `git` and `/usr/bin/git` both start the
command `git`. A command whose name in the grant is a path is found by exactly this path, and so is
every program where the grant has `name = "*"`. A relative path such as `./x` begins at the child's
working directory if the program named one, and otherwise at the component's.
"""

import errno
import os

from . import border
from .errors import Refused

# Which candidate was a command, so that the others are not tried again: each try is a line in the
# operator's log.
_found = {}


def candidates(executables, cwd):
    """Returns the names to try, in their order, for the paths that the caller would execute."""
    path = {os.fsencode(part).rstrip(b"/") or b"/" for part in _search_path()}
    names = []
    bare = []
    for executable in executables:
        executable = os.fsencode(executable)
        directory, name = os.path.split(executable)
        if not name:
            raise Refused(errno.EACCES, "a directory is no program")
        if not directory:
            names.append(executable)
            continue
        if not executable.startswith(b"/"):
            names.append(executable)
            if cwd is not None or os.getcwd() != "/":
                base = os.path.join(os.fsencode(os.getcwd()), cwd or b"")
                executable = os.path.normpath(os.path.join(base, executable))
        names.append(executable)
        if directory.rstrip(b"/") in path:
            bare.append(name)
    if len(executables) > 1:
        # A search: the name itself first, which is the one that a grant usually has.
        names = bare[:1] + names
    else:
        names += bare
    return [name for name in dict.fromkeys(names)]


def _search_path():
    return {*os.get_exec_path(), *os.defpath.split(os.pathsep), "/usr/local/bin"}


def start(executables, cwd, spawn):
    """Calls `spawn(name)` with each candidate until one is a command of the grant.

    Raises the `Refused` of the last candidate, or an earlier one that POSIX would report: EACCES
    wins over ENOENT, as in execvp.
    """
    tried = tuple(candidates(executables, cwd))
    known = _found.get(tried)
    worst = None
    for name in (known, *tried) if known is not None else tried:
        if len(name) > 4096:
            raise Refused(errno.ENAMETOOLONG, "the program's name is too long")
        try:
            child = spawn(name)
        except Refused as refusal:
            if refusal.errno not in (errno.ENOENT, errno.ENOTDIR) or refusal.in_directory:
                raise
            worst = worst or refusal
            continue
        if len(_found) > 1024:
            _found.clear()
        _found[tried] = name
        return child
    raise worst


# Whether a name is a command of the grant, as far as `exists` has found out.
_known = {}
# A command that no grant lists. Where it appears to exist, the grant allows any program (`name =
# "*"`), and the answer is none.
_NO_COMMAND = b"capspawn-no-such-command"
# No directory, on any system: `/dev/null` is a file.
_NOWHERE = b"/dev/null/capspawn-which"


def exists(executable, cwd=None):
    """Whether the grant has a command for this program.

    The interface has no function for it, and starting the program is no way to find out. A request
    with a working directory that cannot exist is refused in any case, and the answer states whether
    the program was the reason. The operator's log has a line for it, once for each name.
    """
    for name in candidates([executable], cwd):
        if name in _found.values():
            return True
        if _is_known(name) and not _is_known(_NO_COMMAND):
            return True
    return False


def _is_known(name):
    if name not in _known:
        _known[name] = _is_command(name)
    return _known[name]


def _is_command(name):
    options = border.Options()
    try:
        options.set_streams("null", "null", "null")
        options.set_directory(_NOWHERE)
        options.spawn(name, []).close()
    except Refused as refusal:
        return refusal.item != "program" and (refusal.in_directory or refusal.errno != errno.ENOENT)
    finally:
        options.close()
    return True

"""The user database of a component, which is empty: WASI has none, and programs import it anyway."""

from collections import namedtuple

struct_passwd = namedtuple(
    "struct_passwd", "pw_name pw_passwd pw_uid pw_gid pw_gecos pw_dir pw_shell"
)


def getpwuid(uid, /):
    raise KeyError(f"getpwuid(): uid not found: {uid}")


def getpwnam(name, /):
    raise KeyError(f"getpwnam(): name not found: {name!r}")


def getpwall():
    return []

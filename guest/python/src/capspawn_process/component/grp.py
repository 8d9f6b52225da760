"""The group database of a component, which is empty: WASI has none, and programs import it anyway."""

from collections import namedtuple

struct_group = namedtuple("struct_group", "gr_name gr_passwd gr_gid gr_mem")


def getgrgid(id):
    raise KeyError(f"getgrgid(): gid not found: {id}")


def getgrnam(name):
    raise KeyError(f"getgrnam(): name not found: {name!r}")


def getgrall():
    return []

"""Errors of the host as errno values.

A program expects what POSIX reports: ENOENT for a command that is not there, EACCES for one that
may not run. `capspawn:process` has an error code of its own for each reason, so this table maps
them. A command that the grant does not list is ENOENT and not EACCES: for the component it does not
exist, and programs that look for an optional tool catch FileNotFoundError.
"""

import errno

# One row for each case of `error-code` without a value of its own.
_PLAIN = {
    "NoEntry": (errno.ENOENT, "the granted program or its loader does not exist"),
    "NotExecutable": (errno.ENOEXEC, "the program changed after the grant, or cannot run here"),
    "WorkingDirectoryNotFound": (errno.ENOENT, "the child sees no directory at this path"),
    "InvalidArgument": (errno.EINVAL, "the host does not accept a name, a value or a stream"),
    "TooBig": (errno.E2BIG, "the arguments or variables are larger than the host accepts"),
    "InsufficientMemory": (errno.ENOMEM, "the host has no memory for the data of a stream"),
    "SandboxUnavailable": (errno.EPERM, "the host cannot confine the program as the grant requires"),
    "InvalidState": (errno.EBADF, "the stream was taken before"),
    "BrokenPipe": (errno.EPIPE, "the child closed its end of the stream"),
    "Unsupported": (errno.ENOTSUP, "the host does not support this"),
    "Other": (errno.EIO, "the host could not start the program"),
}


class Refused(Exception):
    """The host refused a request.

    `errno` is the POSIX analogue. `item` is the part of the request that the grant refuses
    ("program", "argument", "environment", "working-directory", "stdio", "detach") or None, and
    `reason` is a line for people.
    """

    def __init__(self, number, reason, item=None, quota=None, in_directory=False):
        super().__init__(reason)
        self.errno = number
        self.reason = reason
        self.item = item
        self.quota = quota
        self.in_directory = in_directory


def refused(code):
    """Returns the exception for an `error-code` of the bindings."""
    name = type(code).__name__
    value = getattr(code, "value", None)
    if name == "ErrorCode_AccessDenied":
        item = value.name.lower().replace("_", "-")
        number = errno.ENOENT if item == "program" else errno.EACCES
        return Refused(
            number,
            f"the grant does not allow the {item.replace('-', ' ')}",
            item=item,
            in_directory=item == "working-directory",
        )
    if name == "ErrorCode_QuotaExceeded":
        quota = value.name.lower().replace("_", "-")
        return Refused(errno.EAGAIN, f"the quota {quota} is used up", quota=quota)
    plain = name.removeprefix("ErrorCode_")
    number, reason = _PLAIN.get(plain, _PLAIN["Other"])
    if plain == "Other" and value:
        reason = str(value)
    return Refused(number, reason, in_directory=plain == "WorkingDirectoryNotFound")

"""Errors of the host as errno values.

A program expects what POSIX reports: ENOENT for a command that is not there, EACCES for one that
may not run. `capspawn:process` has an error code of its own for each reason, so this table maps
them. A command that the grant does not list is ENOENT and not EACCES: for the component it does not
exist, and programs that look for an optional tool catch FileNotFoundError.
"""

import errno

# One row for each case of `error-code` without a value.
_PLAIN = {
    "ErrorCode_NoEntry": errno.ENOENT,
    "ErrorCode_NotExecutable": errno.ENOEXEC,
    "ErrorCode_WorkingDirectoryNotFound": errno.ENOENT,
    "ErrorCode_InvalidArgument": errno.EINVAL,
    "ErrorCode_TooBig": errno.E2BIG,
    "ErrorCode_InsufficientMemory": errno.ENOMEM,
    "ErrorCode_SandboxUnavailable": errno.EPERM,
    "ErrorCode_InvalidState": errno.EBADF,
    "ErrorCode_BrokenPipe": errno.EPIPE,
    "ErrorCode_Unsupported": errno.ENOTSUP,
    "ErrorCode_Other": errno.EIO,
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
    if name == "ErrorCode_SandboxUnavailable":
        return Refused(errno.EPERM, "the host cannot confine the program as the grant requires")
    if name == "ErrorCode_Other" and value:
        return Refused(errno.EIO, str(value))
    words = name.removeprefix("ErrorCode_")
    return Refused(
        _PLAIN.get(name, errno.EIO),
        words,
        in_directory=name == "ErrorCode_WorkingDirectoryNotFound",
    )

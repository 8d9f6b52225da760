"""`open` for the descriptors of `descriptors`, and for /dev/null."""

import _io
import errno
import io
import os
import warnings

from . import descriptors

_open = _io.open


class DescriptorIO(io.RawIOBase):
    """What io.FileIO is for a file: a raw stream over a descriptor."""

    def __init__(self, fd, mode="r", closefd=True):
        descriptors.description(fd)
        self._fd = fd
        self._closefd = closefd
        self._readable = "r" in mode or "+" in mode
        self._writable = any(letter in mode for letter in "wax+")
        self.name = fd
        self.mode = "rb+" if self._readable and self._writable else "rb" if self._readable else "wb"

    def __repr__(self):
        if self.closed:
            return "<capspawn DescriptorIO [closed]>"
        return f"<capspawn DescriptorIO name={self.name!r} mode={self.mode!r} closefd={self._closefd}>"

    def __getstate__(self):
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    def __del__(self, _warn=warnings.warn):
        if self._fd >= 0 and self._closefd and not self.closed:
            _warn(f"unclosed file {self!r}", ResourceWarning, stacklevel=2, source=self)
            self.close()

    @property
    def closefd(self):
        return self._closefd

    def _check(self):
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def fileno(self):
        self._check()
        return self._fd

    def isatty(self):
        self._check()
        return False

    def readable(self):
        self._check()
        return self._readable

    def writable(self):
        self._check()
        return self._writable

    def seekable(self):
        self._check()
        return False

    def seek(self, position, whence=0):
        self._check()
        raise descriptors.error(errno.ESPIPE)

    def tell(self):
        return self.seek(0, 1)

    def truncate(self, size=None):
        self._check()
        raise descriptors.error(errno.EINVAL)

    def readinto(self, buffer):
        self._check()
        if not self._readable:
            raise io.UnsupportedOperation("File not open for reading")
        try:
            return descriptors.readinto(self._fd, buffer)
        except BlockingIOError:
            return None

    def readall(self):
        self._check()
        if not self._readable:
            raise io.UnsupportedOperation("File not open for reading")
        parts = []
        while True:
            try:
                data = descriptors.read(self._fd, 65536)
            except BlockingIOError:
                return b"".join(parts) if parts else None
            if not data:
                return b"".join(parts)
            parts.append(data)

    def read(self, size=-1):
        self._check()
        if size is None or size < 0:
            return self.readall()
        if not self._readable:
            raise io.UnsupportedOperation("File not open for reading")
        try:
            return descriptors.read(self._fd, size)
        except BlockingIOError:
            return None

    def write(self, data):
        self._check()
        if not self._writable:
            raise io.UnsupportedOperation("File not open for writing")
        try:
            return descriptors.write(self._fd, data)
        except BlockingIOError:
            return None

    def close(self):
        if not self.closed:
            try:
                super().close()
            finally:
                fd, self._fd = self._fd, -1
                if self._closefd and fd >= 0:
                    descriptors.close(fd)


class _Both(io.BufferedRWPair):
    """A buffered stream that reads and writes one descriptor."""

    def __init__(self, raw, size):
        super().__init__(raw, raw, size)
        self.raw, self.name, self.mode = raw, raw.name, raw.mode

    def fileno(self):
        return self.raw.fileno()


def open(
    file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None
):
    """The built-in open."""
    if not isinstance(mode, str):
        return _open(file, mode, buffering, encoding, errors, newline, closefd, opener)
    if isinstance(file, int):
        if descriptors.is_ours(file):
            return _wrapped(file, mode, buffering, encoding, errors, newline, closefd)
    elif opener is None and _is_null(file):
        return _wrapped(descriptors.open_null(), mode, buffering, encoding, errors, newline, True)
    return _open(file, mode, buffering, encoding, errors, newline, closefd, opener)


def _is_null(path):
    """Whether this is /dev/null, and the component has no file of its own there."""
    if hasattr(path, "__fspath__"):
        path = os.fspath(path)
    if path not in ("/dev/null", b"/dev/null"):
        return False
    try:
        os.stat(path)
    except OSError:
        return True
    return False


def _wrapped(fd, mode, buffering, encoding, errors, newline, closefd):
    """Builds what the built-in open builds over a raw stream."""
    letters = set(mode)
    if letters - set("axrwb+t") or len(mode) > len(letters) or len(letters & set("raxw")) != 1:
        raise ValueError(f"invalid mode: {mode!r}")
    binary = "b" in letters
    if binary and "t" in letters:
        raise ValueError("can't have text and binary mode at once")
    if binary and (encoding, errors, newline) != (None, None, None):
        raise ValueError("binary mode doesn't take an encoding, errors or newline argument")
    if not isinstance(buffering, int):
        raise TypeError(f"'{type(buffering).__name__}' object cannot be interpreted as an integer")
    if binary and buffering == 1:
        warnings.warn(
            "line buffering (buffering=1) isn't supported in binary mode, the default buffer size "
            "will be used",
            RuntimeWarning,
            stacklevel=3,
        )
    raw = DescriptorIO(fd, mode.replace("b", "").replace("t", ""), closefd)
    try:
        if buffering == 0:
            if not binary:
                raise ValueError("can't have unbuffered text I/O")
            return raw
        size = io.DEFAULT_BUFFER_SIZE if buffering in (-1, 1) else buffering
        if buffering < -1:
            size = io.DEFAULT_BUFFER_SIZE
        if "+" in letters:
            buffer = _Both(raw, size)
        elif letters & set("wax"):
            buffer = io.BufferedWriter(raw, size)
        else:
            buffer = io.BufferedReader(raw, size)
        if binary:
            return buffer
        text = io.TextIOWrapper(buffer, encoding, errors, newline, buffering == 1)
        text.mode = mode
        return text
    except BaseException:
        raw.close()
        raise


def open_fd(path, flags, mode=0o777, *, dir_fd=None, _native=os.open):
    """os.open."""
    if dir_fd is None and _is_null(path):
        return descriptors.open_null()
    if dir_fd is None:
        return _native(path, flags, mode)
    return _native(path, flags, mode, dir_fd=dir_fd)

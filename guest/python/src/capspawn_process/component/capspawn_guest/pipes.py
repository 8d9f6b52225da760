"""Pipes: the bytes between the component and its children, and between two children.

`os.pipe()` is called before a program starts, by code that does not know which end a child will
get. So a pipe begins as a buffer in the component. When a child receives its writing end, the
host's stream of that child becomes one of the pipe's *sources*; when a child receives its reading
end, the stream becomes its *sink*. Nothing is read ahead: a source is read when somebody reads the
pipe, so a child that writes more than a pipe holds blocks, as in POSIX.
"""

from . import waiting
from .border import CHUNK, Closed


class Source:
    """A child's output. The stream is taken at the first read, so that it can be handed on before."""

    def __init__(self, take, hand_on):
        self._take = take
        self._hand_on = hand_on
        self._reader = None
        self.ended = False

    @property
    def taken(self):
        return self._reader is not None

    def take(self):
        if self._reader is None and not self.ended:
            self._reader = self._take()
        return self._reader

    def hand_on(self):
        """Returns the end of the pipe for another child, or None. The source has then ended."""
        if self._reader is not None or self.ended:
            return None
        passed = self._hand_on()
        if passed is not None:
            self.ended = True
        return passed

    def read(self, size):
        """Returns what is there; empty if nothing is, or if the source has ended: see `ended`."""
        reader = self.take()
        if reader is None:
            return b""
        try:
            return reader.read(size)
        except Closed:
            self.close()
            return b""

    def subscribe(self):
        reader = self.take()
        return reader.subscribe() if reader is not None else None

    def close(self):
        """Closes the reading end: the child's next write fails."""
        reader = self.take()
        self.ended = True
        if reader is not None:
            reader.close()


class Pipe:
    """A pipe of the component."""

    def __init__(self):
        self.buffer = bytearray()
        # Open descriptors of the component.
        self.readers = 0
        self.writers = 0
        self.sources = []
        self.sink = None
        self.sink_child = None
        # Options of a child that did not start, which hold the only source: see `spawning`.
        self.parked = None
        self.done = False

    # The reading end.

    def _prune(self):
        if any(source.ended for source in self.sources):
            self.sources = [source for source in self.sources if not source.ended]

    def fill(self, size=CHUNK):
        """Reads from the sources into the buffer what is there, if there is room."""
        for source in self.sources:
            room = min(size, CHUNK - len(self.buffer))
            if room <= 0:
                break
            self.buffer += source.read(room)
        self._prune()

    def readable(self):
        """Whether a read does not block: there are bytes, or the end of the file."""
        if not self.buffer:
            self.fill()
        return bool(self.buffer) or (self.writers == 0 and not self.sources)

    def read(self, size):
        """Returns bytes, empty at the end of the file, or None if it would block."""
        if not self.buffer and len(self.sources) == 1:
            data = self.sources[0].read(size)
            if data:
                return data
            self._prune()
        if not self.readable():
            return None
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def read_subscriptions(self):
        return [source.subscribe for source in self.sources if not source.ended]

    # The writing end.

    def broken(self):
        """Whether nobody can read any more."""
        return self.readers == 0 and (self.sink is None or self.sink.closed)

    def room(self):
        """Returns how many bytes a write takes now; -1 if the pipe is broken."""
        if self.sink is not None and not self.buffer:
            try:
                return min(self.sink.room(), CHUNK)
            except (Closed, OSError):
                self.drop_sink()
        if self.broken():
            return -1
        return CHUNK - len(self.buffer)

    def write(self, data):
        """Writes what fits and returns the number of bytes; -1 if the pipe is broken."""
        if self.sink is not None and not self.buffer:
            try:
                return self.sink.write(data)
            except (Closed, OSError):
                self.drop_sink()
        if self.broken():
            return -1
        part = data[: max(0, CHUNK - len(self.buffer))]
        self.buffer += part
        return len(part)

    def write_subscriptions(self):
        if self.sink is not None and not self.sink.closed:
            return [self.sink.subscribe]
        return []

    # What a child has.

    def add_source(self, source):
        self.sources.append(source)
        self._start()

    def hand_on(self):
        """Returns the only source's end for another child, if nothing has been read of it."""
        self._prune()
        if self.buffer or self.writers or len(self.sources) != 1:
            return None
        passed = self.sources[0].hand_on()
        self._prune()
        return passed

    def set_sink(self, writer, child):
        self.sink = writer
        self.sink_child = child
        self._start()

    def drop_sink(self):
        if self.sink is not None:
            self.sink.close()
        if self.readers == 0:
            self.buffer.clear()
            for source in self.sources:
                # The children that write into this pipe receive SIGPIPE.
                source.close()
            self.sources.clear()

    def _start(self):
        """Becomes a mover if bytes have to go from here to a child."""
        if self.sink is not None and (self.sources or self.buffer or not self.writers):
            self.done = False
            if self not in waiting.movers:
                waiting.movers.append(self)

    def closed_end(self):
        """A descriptor of the component was closed."""
        if self.readers == 0 and self.parked is not None:
            parked, self.parked = self.parked, None
            parked.close()
        if self.readers == 0 and self.sink is None:
            for source in self.sources:
                source.close()
            self.sources.clear()
            self.buffer.clear()
        if self.writers == 0 and self.sink is not None:
            self._start()
            self.move()

    # A mover, from the sources to the sink.

    def move(self):
        moved = False
        if self.sink is None or self.sink.closed:
            self.done = True
            return False
        if not self.buffer and self.sources:
            self.fill()
        if self.buffer:
            try:
                count = self.sink.write(self.buffer)
            except (Closed, OSError):
                self.drop_sink()
                self.done = True
                return True
            if count:
                del self.buffer[:count]
                moved = True
        if not self.buffer and not self.sources:
            self.done = True
            if self.writers == 0:
                # End of file for the child.
                self.sink.close()
                moved = True
        return moved

    def subscriptions(self):
        if self.sink is None or self.sink.closed:
            return []
        if self.buffer:
            return [self.sink.subscribe]
        return self.read_subscriptions()


class FileMover:
    """Moves a child's output to a descriptor of the component, or a file to a child's input."""

    def __init__(self, read, write, finish, subscriptions):
        self._read, self._write, self._finish = read, write, finish
        self._subscriptions = subscriptions
        self._rest = b""
        self.done = False
        waiting.movers.append(self)

    def move(self):
        if self.done:
            return False
        if not self._rest:
            try:
                data = self._read(CHUNK)
            except (Closed, OSError):
                data = b""
            if data is None:
                return False
            if not data:
                self.stop()
                return True
            self._rest = data
        try:
            count = self._write(self._rest)
        except (Closed, OSError):
            self.stop()
            return True
        self._rest = self._rest[count:]
        return count > 0

    def stop(self):
        if not self.done:
            self.done = True
            self._finish()

    def subscriptions(self):
        return self._subscriptions(bool(self._rest))


def output_to_file(source, write, finish):
    """Moves a child's output to a function that writes all bytes that it gets."""

    def read(size):
        data = source.read(size)
        return data if data or source.ended else None

    def write_all(data):
        write(data)
        return len(data)

    def end():
        source.close()
        finish()

    return FileMover(read, write_all, end, lambda rest: [] if source.ended else [source.subscribe])


def file_to_input(read, subscribe, writer, finish):
    """Moves what `read` returns (None: nothing now, empty: the end) to a child's input."""

    def read_for_child(size):
        # What is read and not written would be lost to the component.
        room = writer.room()
        return read(min(size, room)) if room else None

    def end():
        writer.close()
        finish()

    def subscriptions(rest):
        if writer.closed:
            return []
        try:
            full = rest or not writer.room()
        except (Closed, OSError):
            return []
        if full or subscribe is None:
            return [writer.subscribe]
        return [subscribe]

    return FileMover(read_for_child, writer.write, end, subscriptions)

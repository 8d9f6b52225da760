"""The one place where a component waits.

A component has one thread. While it waits for one event, it must also move the bytes that no host
moves for it: a child's output to a file of the component, the output of one child to another.
`until` does both. A *mover* is an object with `move()`, which moves what it can without blocking
and returns whether it moved anything, and `subscriptions()`, which returns what it waits for.
"""

import errno

from . import border

# The movers that have something left to move.
movers = []


def move_all():
    """Lets every mover move what it can. Returns whether one of them moved anything."""
    moved = False
    for mover in list(movers):
        if mover.move():
            moved = True
        if mover.done and mover in movers:
            movers.remove(mover)
    return moved


def deadline_after(seconds):
    """Returns the monotonic time in so many seconds, in nanoseconds; None for None."""
    if seconds is None:
        return None
    if seconds != seconds:
        raise ValueError("Invalid value NaN (not a number)")
    return border.now() + max(0, int(min(float(seconds), 9e9) * 1e9))


def until(ready, subscriptions, deadline_ns=None):
    """Waits until `ready()` is true and returns True, or False once the deadline has passed.

    `subscriptions()` returns functions that return a pollable of what can make `ready` true.
    Raises OSError (EDEADLK) if nothing can: that program would hang for ever.
    """
    while True:
        moved = move_all() if movers else False
        if ready():
            return True
        if moved and (deadline_ns is None or border.now() < deadline_ns):
            continue
        waited = list(subscriptions())
        for mover in movers:
            waited.extend(mover.subscriptions())
        left = None
        if deadline_ns is not None:
            left = deadline_ns - border.now()
            if left <= 0:
                return False
        elif not waited:
            if ready():
                # It occurred after the question above, and so there is nothing to wait for.
                return True
            raise OSError(errno.EDEADLK, "no child and no time can end this wait")
        border.wait(waited, left)


def sleep(seconds):
    """time.sleep, during which children's output moves on."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    until(lambda: False, lambda: (), deadline_after(seconds))

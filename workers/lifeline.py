"""A worker does not outlive its daemon, whatever its engine is doing.

Owns: standard input, which brings the ticket in its first line and whose end means death; and what stands in its
place afterwards. Must not know: the bus, the engine. Invariant: once `hold` has returned, the end of the lifeline
ends this process within milliseconds, on Linux even while an engine holds the interpreter lock.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
import threading

KEY = "VOICEBUS_KEY"
"""In the environment of a worker started by hand: its provider's key, shown in place of a ticket."""

_LONGEST_TICKET = 4096


class NoTicketError(Exception):
    """There is neither a ticket on standard input nor a key in the environment."""


def hold() -> str:
    """The ticket, or the key of a worker that was started by hand. From here on we hang on the lifeline, if any.

    Raises NoTicketError. Standard input is empty afterwards.
    """
    key = os.environ.pop(KEY, "")
    if key:
        return key
    if os.isatty(0):
        raise NoTicketError(f"the daemon starts workers; to start one by hand, put its provider's key into {KEY}")
    ticket = _first_line()
    # Whatever the engine starts must not inherit the lifeline: it would be told of its end, and read from it.
    lifeline = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    _arm(lifeline)
    threading.Thread(target=_watch, args=(lifeline,), name="lifeline", daemon=True).start()
    return ticket


def _first_line() -> str:
    line = b""
    while not line.endswith(b"\n"):
        # Byte by byte: the line is short, and nothing beyond it may be taken.
        byte = os.read(0, 1)
        if not byte or len(line) > _LONGEST_TICKET:
            raise NoTicketError("standard input ended before a ticket came")
        line += byte
    return line[:-1].decode("utf-8", "replace")


def _arm(lifeline: int) -> None:
    """Have the kernel kill us (and what we started, where we lead our group) when anything happens on the lifeline.

    A thread alone is too late when an engine sits in a call that holds the interpreter lock: 8 s were measured.
    """
    if sys.platform != "linux":
        return
    leads = os.getpgrp() == os.getpid()
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp() if leads else os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)


def _watch(lifeline: int) -> None:
    """The same for other systems, and for an end that came before the arming."""
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    poll.poll()
    os._exit(1)

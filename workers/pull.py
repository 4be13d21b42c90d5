"""Turns an engine that calls back into an iterator.

Owns: the helper thread and the hand-over between it and whoever iterates. Must not know: engines, audio. Invariant:
at most one item is ahead of the consumer; when the iterator is closed, `emit` returns False from then on, and the
helper thread is gone before `close` returns.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator

from .engine import Chunk, Emit, Mark


def pull(push: Callable[[Emit], None]) -> Generator[Chunk | Mark, None, None]:
    """What `push` hands to the `emit` it is given, as an iterator; raises what `push` raises.

    `push` runs on a thread of its own, and waits in `emit` for the consumer.
    """
    changed = threading.Condition()
    items: deque[Chunk | Mark] = deque()
    error: BaseException | None = None
    closed = over = False

    def emit(item: Chunk | Mark) -> bool:
        with changed:
            changed.wait_for(lambda: not items or closed)
            items.append(item)
            changed.notify()
            return not closed

    def work() -> None:
        nonlocal error, over
        try:
            push(emit)
        except BaseException as raised:  # noqa: BLE001 - it is raised again where the iteration is
            error = raised
        with changed:
            over = True
            changed.notify()

    thread = threading.Thread(target=work, name="pull", daemon=True)
    thread.start()
    try:
        while True:
            with changed:
                changed.wait_for(lambda: items or over)
                if not items:
                    break
                item = items.popleft()
                changed.notify()
            yield item
        if error is not None:
            raise error
    finally:
        with changed:
            closed = True
            changed.notify()
        thread.join()

"""Children that do a part of a measurement on demand, so that starting Python is not part of it."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Self

_SPAWN = multiprocessing.get_context("spawn")


class Child:
    """A process that runs `function(*arguments)`, which returns what answers each `ask`.

    The function sets up and returns a callable; `ask(...)` calls that in the child and gives its result. Whatever
    goes wrong there is raised here.
    """

    def __init__(self, function: Callable[..., Callable[..., Any]], *arguments: Any) -> None:
        self._here, there = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(there, function, arguments), daemon=True)
        self._process.start()
        there.close()
        self.ready = self._answer()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def tell(self, *arguments: Any) -> None:
        """Begin something; `wait` gives its result."""
        self._here.send(arguments)

    def wait(self, timeout_s: float = 120) -> Any:
        """The result of what was begun. Raises TimeoutError, and what the child raised."""
        if not self._here.poll(timeout_s):
            raise TimeoutError(f"{self._process.name} does not answer")
        return self._answer()

    def ask(self, *arguments: Any) -> Any:
        """Do something and wait for it."""
        self.tell(*arguments)
        return self.wait()

    def _answer(self) -> Any:
        try:
            good, value = self._here.recv()
        except EOFError:
            raise RuntimeError("a child ended without a word") from None
        if not good:
            raise RuntimeError(value)
        return value

    def close(self) -> None:
        """End it."""
        self._here.close()
        self._process.join(1)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _serve(there: Connection, function: Callable[..., Callable[..., Any]], arguments: tuple[Any, ...]) -> None:
    try:
        answer = function(*arguments)
        there.send((True, None))
        while True:
            asked = there.recv()
            there.send((True, answer(*asked)))
    except (EOFError, ConnectionError, KeyboardInterrupt):
        return
    except BaseException:  # noqa: BLE001 - whatever it is, it belongs to whoever asked
        there.send((False, traceback.format_exc()))


class Background:
    """A process that runs `function(*arguments, ready)` until it is killed; `ready()` says that it has begun."""

    def __init__(self, function: Callable[..., None], *arguments: Any) -> None:
        here, there = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_background, args=(there, function, arguments), daemon=True)
        self._process.start()
        there.close()
        try:
            here.recv()
        except EOFError:
            raise RuntimeError(f"{function.__name__} did not begin") from None

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.join()


def _background(there: Connection, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    function(*arguments, lambda: there.send(None))

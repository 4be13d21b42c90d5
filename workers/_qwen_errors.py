"""What torch says when memory ends, in the words of the contract.

Owns: which of torch's errors mean that. Must not know: models, requests. Invariant: any other error passes unchanged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from .engine import EngineError


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raises EngineError("out_of_memory") for what torch raises when there is none."""
    try:
        yield
    except RuntimeError as error:
        line = (str(error).splitlines() or [""])[0]
        if type(error).__name__ == "OutOfMemoryError" or "out of memory" in line or "can't allocate memory" in line:
            raise EngineError("out_of_memory", line) from error
        raise

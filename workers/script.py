"""``python -m voicebus.workers.script FILE``: runs the engine in a person's own file as a worker.

Owns: that the file is read late, on the engine's thread. Must not know: what is in it. Invariant: by the time a line of
it runs, the lifeline is held, standard output is nobody's, and the worker has been let in; whatever is wrong with it
ends this process with one line that says so, and with the exit code for what only a person can change.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .engine import Engine, EngineError
from .registry import from_file
from .runtime import main


def engine_of(path: Path) -> Engine:
    """The engine in a file. Raises EngineError with what is wrong with it."""
    try:
        return from_file(path)()
    except LookupError as error:
        raise EngineError("load_failed", str(error), lasting=True) from None


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m voicebus.workers.script FILE")
    sys.exit(main(lambda: engine_of(Path(sys.argv[1]))))

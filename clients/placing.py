"""Files that get their names when they are whole.

Owns: the draft beside the place, and what is written at once since it is no file. Must not know: what is written.
Invariant: what stood under a name before stays as it was until all of the new is there; a pipe, a device or a symbolic
link stays one; no draft outlives its writer.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def placed(target: str | Path | IO[bytes], mode: int = 0o666) -> Iterator[IO[bytes]]:
    """A file to write, that is `target` when the block ends well. mode: its permissions, less the umask. A stream that
    somebody has opened is written as it comes, and left open.
    Raises OSError with the name of the target."""
    if not isinstance(target, str | Path):
        yield target
        target.flush()
        return
    path = Path(target)
    try:
        if _is_special(path):
            with path.open("wb") as stream:
                yield stream
            return
        # Resolved, so that a symbolic link stays one: what it points to is written.
        with _drafted(path.resolve(), mode) as stream:
            yield stream
    except OSError as error:
        error.filename = str(path)  # the draft is nobody's business
        raise


def _is_special(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return not stat.S_ISREG(path.stat().st_mode)
    return False


@contextlib.contextmanager
def _drafted(path: Path, mode: int) -> Iterator[IO[bytes]]:
    draft = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise

"""Small file systems, to be filled."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def small_disk(size: str) -> Iterator[Path | None]:
    """A file system of a size, which only root can make; None where it cannot be made."""
    folder = Path(tempfile.mkdtemp(prefix="vb-disk-"))
    mounted = not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", folder], capture_output=True
    ).returncode
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "-l", folder], check=True)
        folder.rmdir()


def fill(file: Path, leave: int = 0) -> None:
    """Take all room on a file system but so many bytes, also what somebody else takes or lets go of meanwhile."""

    def over() -> int:
        found = os.statvfs(file.parent)
        return found.f_bavail * found.f_frsize - leave

    with contextlib.suppress(OSError), file.open("ab", buffering=0) as ballast:
        while over() > 0:
            ballast.write(bytes(over()))

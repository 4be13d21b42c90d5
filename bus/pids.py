"""Numbers of processes.

Owns: whether there is one of a number. Must not know: what it is. Invariant: a process of somebody else is one, too.
"""

from __future__ import annotations

import os


def exists(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True

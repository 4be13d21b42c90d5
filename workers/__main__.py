"""``python -m voicebus.workers NAME``: runs the engine of that name (`registry.find`) as a worker."""

from __future__ import annotations

import sys

from .registry import find
from .runtime import main
from .session import REFUSED_EXIT

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m voicebus.workers NAME   (a worker's module, for instance espeak)")
    try:
        chosen = find(sys.argv[1])
    except LookupError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(REFUSED_EXIT)
    sys.exit(main(chosen))

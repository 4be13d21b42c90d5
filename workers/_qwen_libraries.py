"""How the models' libraries are asked for and kept quiet.

Owns: looking for a library without importing it, and where libraries print. Must not know: which ones there are.
Invariant: nothing is imported here; what a library prints never reaches standard output.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import sys
import warnings
from collections.abc import Iterator


def installed(name: str) -> bool:
    """Whether there is a module of this name, which is not imported."""
    return name in sys.modules or importlib.util.find_spec(name) is not None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The libraries warn of what is none of the user's business, some of them on standard output."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

"""voicebus: a local speech service.

A program that wants to speak needs only this package's public face::

    from voicebus import Client

Each name is imported when it is first asked for, so that ``import voicebus`` itself stays light: it loads
neither ZeroMQ nor numpy nor any audio library.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bus import errors as errors
    from .clients.aio import AsyncClient as AsyncClient
    from .clients.sync import Client as Client
    from .workers.engine import Engine as Engine

__version__ = "0.1.0"

OLDEST_PYTHON = (3, 11)
if sys.version_info[:2] < OLDEST_PYTHON:
    # An older one stumbles over some line far from here; workers may be started with any.
    _WANTED, _FOUND = (".".join(map(str, version)) for version in (OLDEST_PYTHON, sys.version_info[:2]))
    raise ImportError(
        f"voicebus {__version__} needs Python {_WANTED} or newer, and this is {_FOUND} ({sys.executable})"
    )

__all__ = ["AsyncClient", "Client", "Engine", "__version__", "errors"]

# Public name: the module it comes from, and its name there (empty: the module itself).
_EXPORTS = {
    "AsyncClient": (".clients.aio", "AsyncClient"),
    "Client": (".clients.sync", "Client"),
    "Engine": (".workers.engine", "Engine"),
    "errors": (".bus.errors", ""),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    source, attribute = _EXPORTS[name]
    module = import_module(source, __name__)
    value = getattr(module, attribute) if attribute else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})

"""Where in a TOML file a key stands, for error messages.

Owns: line numbers, which `tomllib` does not give. Must not know: which keys there are or what they mean.
Invariant: a wrong answer costs a wrong line number in a message and nothing else, so lines that cannot be
read are passed over.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

Path = tuple[str, ...]

_HEADER = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_PART = r"""(?:[A-Za-z0-9_\-]+|"[^"]*"|'[^']*')"""
_KEY = re.compile(rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*=")
_SYNTAX_LINE = re.compile(r"\(at line (\d+)")


def _parts(dotted: str) -> Path:
    """``a."b.c"`` as ("a", "b.c"), by asking the parser itself."""
    try:
        found: Any = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return ()
    parts = []
    while isinstance(found, dict):
        [(name, found)] = found.items()
        parts.append(name)
    return tuple(parts)


class Lines:
    """The lines of a file's keys and tables."""

    def __init__(self, text: str) -> None:
        self._first: dict[Path, int] = {}
        table: Path = ()
        quote = ""
        for number, line in enumerate(text.splitlines(), 1):
            if not quote:
                if header := _HEADER.match(line):
                    table = _parts(header[1])
                    self._note(table, number)
                elif key := _KEY.match(line):
                    self._note(table + _parts(key[1]), number)
            quote = _open_quote(line, quote)

    def _note(self, path: Path, number: int) -> None:
        for length in range(1, len(path) + 1):
            self._first.setdefault(path[:length], number)

    def of(self, path: Path) -> int:
        """The line of a key, or of the nearest thing around it; 0 for none."""
        while path and path not in self._first:
            path = path[:-1]
        return self._first.get(path, 0)


def _open_quote(line: str, quote: str) -> str:
    """The triple quote that is open after a line, if one is."""
    for mark in re.findall(r'"""|\'\'\'', line):
        if not quote:
            quote = mark
        elif mark == quote:
            quote = ""
    return quote


def syntax_line(error: tomllib.TOMLDecodeError) -> int:
    """The line that a syntax error names, 0 for none."""
    found = _SYNTAX_LINE.search(str(error))
    return int(found[1]) if found else 0

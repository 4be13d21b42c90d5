"""Draws the state tables of the daemon's core into docs/architecture.md, as Mermaid diagrams.

`python docs/state_diagrams.py` rewrites what stands between the markers; `--check` only tells whether it would. The
tables are the code (`daemon/core/lifecycle.py`, `daemon/core/breaker.py`), so the diagrams cannot say anything else.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from voicebus.daemon.core.breaker import BREAKER
from voicebus.daemon.core.lifecycle import AUDIO, JOB, SEGMENT, WORKER

DOCUMENT = Path(__file__).with_name("architecture.md")
TABLES = {"job": JOB, "segment": SEGMENT, "worker": WORKER, "audio": AUDIO, "breaker": BREAKER}
FIRST = {"job": "queued", "segment": "waiting", "worker": "down", "audio": "plain", "breaker": "closed"}


def diagram(name: str) -> str:
    """One table as a state diagram; events that lead from one state to the same other share an arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (state, event), following in TABLES[name].items():
        if state != following:
            arrows.setdefault((state, following), []).append(event)
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {FIRST[name]}"]
    lines += [f"    {state} --> {following}: {' / '.join(events)}" for (state, following), events in arrows.items()]
    return "\n".join([*lines, "```"])


def drawn(text: str) -> str:
    """The document with all its diagrams as the tables are now."""
    for name in TABLES:
        pattern = re.compile(rf"(<!-- diagram: {name} -->\n)(?:[^<].*?\n)?(<!-- end -->)", re.DOTALL)
        text, count = pattern.subn(lambda found, name=name: found[1] + diagram(name) + "\n" + found[2], text)
        if count != 1:
            raise SystemExit(f"{DOCUMENT.name} has {count} places for the diagram {name!r}, not one")
    return text


def main() -> int:
    """Write, or with --check compare."""
    before = DOCUMENT.read_text(encoding="utf-8")
    after = drawn(before)
    if "--check" in sys.argv:
        return int(before != after)
    DOCUMENT.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

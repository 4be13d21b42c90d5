"""Equal shares of what there is too little of.

Owns: whose turn it is by what each has had. Must not know: what is shared, who they are. Invariant: somebody who comes
late, or after a rest, has neither saved up a claim nor lost one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Share:
    """Equal shares: who has spent least is next. Whoever comes anew begins where the one served last began."""

    virtual: float = 0.0
    spent: dict[Any, float] = field(default_factory=dict)

    def of(self, key: Any) -> float:
        """How much `key` has spent."""
        return self.spent.get(key, self.virtual)

    def charge(self, key: Any, seconds: float) -> None:
        """It spends more."""
        self.virtual = max(self.of(key), self.virtual)
        self.spent[key] = self.virtual + seconds

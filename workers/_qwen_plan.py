"""What the package prepares of a request, without the audio that it would go on to make.

Owns: the way into the package's public methods, and out of them again. Must not know: how a plan is carried out.
Invariant: the package itself reads the text, the voice and the options; nothing of that is copied here.

The package only returns when everything is made. So its public method is called, and stopped where it would begin to
generate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Plan:
    """What the package has prepared: the prompt's embeddings, the text that is fed with each frame, and how to draw."""

    embeds: Any
    trailing: Any
    pad: Any
    sampling: dict[str, Any]

    def text(self, frame: int) -> Any:
        """What of the text is said with a frame: (1, width)."""
        return self.trailing[:, frame] if frame < self.trailing.shape[1] else self.pad[:, 0]


class _PreparedError(Exception):
    def __init__(self, prepared: dict[str, Any]) -> None:
        super().__init__()
        self.prepared = prepared


def plan(model: Any, call: Callable[[], Any]) -> Plan:
    """Let `call`, one of the package's public methods, prepare an utterance. Raises what it raises."""
    talker = model.talker

    def instead(**prepared: Any) -> None:
        raise _PreparedError(prepared)

    talker.generate = instead
    try:
        call()
    except _PreparedError as stopped:
        told = stopped.prepared
        embeds, trailing, pad = (told.pop(name) for name in ("inputs_embeds", "trailing_text_hidden", "tts_pad_embed"))
        return Plan(embeds, trailing, pad, told)
    finally:
        del talker.generate
    raise RuntimeError("the package made audio without asking its talker; this version of it is not known here")

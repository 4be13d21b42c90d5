"""What the daemon says to workers.

Owns: the name, the fields and their order of these messages. Must not know: when any of them is sent. Invariant: fields
are only ever added at the end, with a default.
"""

from __future__ import annotations

from typing import Literal

from .fields import Count, Hearing, Message, Seconds, Style


class Work(Message, tag="work"):
    """Make this attempt. The body is the text; of kind "transcribe" the end of what was heard before `from_s`; of kind
    "prompt" a MessagePack map, as `docs/protocol.md` describes it.

    credit: audio may be sent up to this offset of the attempt. rate: samples a second to be delivered. voice: a name
    from READY, or a model. language: BCP 47. hearing: how to transcribe. from_s: seconds of the recording that are
    dealt with; nothing that ends before is to be heard again. size: bytes of the recording, to be had by NEED. prompt:
    the key of the voice prompt to speak with, to be had by NEED, "" for none. seeded: the caller chose the
    seed: with it the same must be heard again.
    """

    session: str = ""
    attempt: str = ""
    kind: Literal["speak", "probe", "transcribe", "prompt"] = "speak"
    voice: str = ""
    language: str = ""
    rate: Count = 0
    ssml: bool = False
    style: Style = Style()
    seed: Count = 0
    credit: Count = 0
    hearing: Hearing = Hearing()
    from_s: Seconds = 0.0
    size: Count = 0
    prompt: str = ""
    seeded: bool = False


class Grant(Message, tag="grant"):
    """Audio of this attempt may be sent up to offset `up_to`. Absolute."""

    session: str = ""
    attempt: str = ""
    up_to: Count = 0


class Stop(Message, tag="stop"):
    """Stop this attempt and say STOPPED. To an attempt that it does not have, a worker answers STOPPED as
    well."""

    session: str = ""
    attempt: str = ""


class Feed(Message, tag="feed"):
    """A run of bytes of `key`, in the body. offset: of its first byte. size: of the whole, 0 while nobody knows it; the
    last run ends there. missing: why none will come, "" where they do."""

    session: str = ""
    key: str = ""
    offset: Count = 0
    size: Count = 0
    missing: str = ""


class Forget(Message, tag="forget"):
    """Keep nothing any more of what `key` names, in memory or on a disk. key: "prompt:KEY" of a voice prompt; one that
    is not there is no mistake. It has no answer."""

    session: str = ""
    key: str = ""


class Quit(Message, tag="quit"):
    """Take no more work, finish what is running, and exit with code 0."""

    session: str = ""
